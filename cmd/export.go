package cmd

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"

	"ringfence/storage"
)

type storageExportCmd struct {
	File   string `arg:"" help:"A new file for the older version."`
	Schema int    `placeholder:"N" help:"The schema it reads: the number that it names when it refuses the database (default: that of the version before)."`
	From   string `placeholder:"BACKUP" help:"Write what a backup holds, instead of the database; the daemon may run."`
}

func (c *storageExportCmd) Run(a *app) (err error) {
	file := c.From
	if file == "" {
		if file, err = a.stopped("write its database for an older version"); err != nil {
			return err
		}
	}
	r, err := storage.Export(file, cmp.Or(c.Schema, storage.Schema-1), c.File)
	if err != nil {
		return err
	}
	if a.json {
		return a.print(r, "")
	}
	fmt.Fprintf(a.out, "%s: schema %d, %d bytes, %d lists with %d entries\n", c.File, r.Schema, r.Bytes, r.Lists, r.Entries)
	if r.Merged > 0 {
		fmt.Fprintf(a.out, "%d entries were named by several sources: each has one record there.\n", r.Merged)
	}
	if r.Lines > 0 {
		fmt.Fprintf(a.out, "The older version has no lines of the database: %d are left out. This database has them, and so has its backup.\n", r.Lines)
	}
	if r.Own > 0 {
		fmt.Fprintf(a.out, "With them go %d entries of their own lists.\n", r.Own)
	}
	if r.Left > 0 {
		fmt.Fprintf(a.out, "%d changes cannot be undone there; what they did is in the lists. %d can.\n", r.Left, r.Changes)
	}
	fmt.Fprintf(a.out, "Now install the older version, and with it:\n  ringfence storage restore %s\n", c.File)
	return nil
}

type storageUpgradeCmd struct {
	Keep string `placeholder:"FILE" help:"Where the file as it is now is copied to; beside the database if not said."`
}

func (c *storageUpgradeCmd) Run(a *app) error {
	file, err := a.stopped("bring its database up to date")
	if err != nil {
		return err
	}
	d, err := storage.Open(file, storage.Options{ReadOnly: true})
	if err == nil {
		d.Close()
		return a.print(map[string]any{"file": file, "upgraded": false}, "%s is up to date already", file)
	}
	if !errors.Is(err, storage.ErrOlder) {
		return err
	}
	if d, err = storage.Open(file, storage.Options{KeepAt: c.Keep}); err != nil {
		return err
	}
	if err := d.Close(); err != nil {
		return err
	}
	kept := c.Keep
	if all, err := storage.BeforeFiles(file); kept == "" && err == nil && len(all) > 0 {
		kept = filepath.Base(all[len(all)-1].File)
	}
	return a.print(map[string]any{"file": file, "upgraded": true, "kept": kept}, "%s is up to date; as it was before it is kept as %s", file, kept)
}
