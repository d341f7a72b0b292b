package cmd

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"

	"ringfence/conf"
	"ringfence/console"
	"ringfence/daemon"
	"ringfence/pseudonym"
	"ringfence/storage"
)

type backupCmd struct {
	File string `arg:"" help:"A new file for the copy."`
}

func (c *backupCmd) Run(a *app) error {
	return a.withDesk(true, func(d *desk) error {
		size := counter(0)
		err := storage.WriteNew(c.File, "the backup", func(w io.Writer) error { return d.Backup(a.ctx, io.MultiWriter(w, &size)) })
		if err != nil {
			return err
		}
		return a.print(map[string]any{"file": c.File, "bytes": int64(size)}, "%s: %d bytes", c.File, int64(size))
	})
}

// counter counts the bytes written to it.
type counter int64

func (c *counter) Write(b []byte) (int, error) {
	*c += counter(len(b))
	return len(b), nil
}

type storageCmd struct {
	Verify  storageVerifyCmd  `cmd:"" help:"Read all of the database, or of a backup, and say what is wrong with it."`
	Compact storageCompactCmd `cmd:"" help:"Give back the space that was freed in the database. The daemon must not run."`
	Restore storageRestoreCmd `cmd:"" help:"Put a backup in the place of the database. The daemon must not run."`
	Export  storageExportCmd  `cmd:"" help:"Write the database for an older version, to go back to it. The daemon must not run."`
	Upgrade storageUpgradeCmd `cmd:"" help:"Bring the database of an older version up to date, as the daemon does when it starts."`
}

type storageVerifyCmd struct {
	File string `arg:"" optional:"" help:"A backup; without it, the database."`
}

func (c *storageVerifyCmd) Run(a *app) error {
	report, err := c.verify(a)
	if err != nil {
		return err
	}
	for _, f := range report.Faults {
		fmt.Fprintln(a.err, shown(f))
	}
	if err := a.print(report, "%d bytes, %d lists with %d entries, %d lines, %d changes, %d journal records: %d faults",
		report.Bytes, report.Lists, report.Entries, report.Lines, report.Changes, report.Records, len(report.Faults)); err != nil {
		return err
	}
	if len(report.Faults) > 0 {
		fmt.Fprintln(a.err, "ringfence: keep a copy of the file, and put the last good backup in its place: ringfence storage restore FILE")
		return errSilent
	}
	return nil
}

func (c *storageVerifyCmd) verify(a *app) (*console.VerifyReport, error) {
	file := c.File
	if file == "" {
		client, _, err := a.dial()
		if err == nil {
			defer client.Close()
			return client.Verify(a.ctx)
		}
		if !errors.Is(err, console.ErrNotRunning) {
			return nil, err
		}
		c, err := conf.LoadForCommand(a.config)
		if err != nil {
			return nil, err
		}
		file = c.Database()
	}
	db, err := storage.Open(file, storage.Options{ReadOnly: true})
	if err != nil {
		return nil, err
	}
	defer db.Close()
	r, err := db.Verify()
	return (*console.VerifyReport)(r), err
}

// stopped is the database's file, for what is done only while no daemon runs.
func (a *app) stopped(what string) (string, error) {
	c, err := conf.LoadForCommand(a.config)
	if err != nil {
		return "", err
	}
	client, err := console.Dial(a.ctx, c.Socket)
	if err == nil {
		client.Close()
		return "", fmt.Errorf("the daemon is running: stop it to %s (`systemctl stop ringfence`); calls pass unscreened until it is started again", what)
	}
	if !errors.Is(err, console.ErrNotRunning) {
		return "", err
	}
	return c.Database(), nil
}

type storageCompactCmd struct{}

func (storageCompactCmd) Run(a *app) error {
	file, err := a.stopped("compact its database")
	if err != nil {
		return err
	}
	before, after, err := storage.Compact(file)
	if err != nil {
		return err
	}
	return a.print(map[string]any{"file": file, "before": before, "after": after}, "%s: %d bytes, %d before", file, after, before)
}

type storageRestoreCmd struct {
	File string `arg:"" help:"The backup."`
}

func (c *storageRestoreCmd) Run(a *app) error {
	file, err := a.stopped("restore a backup")
	if err != nil {
		return err
	}
	kept, _, err := storage.Restore(c.File, file)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("the backup cannot be read: %w", err)
	}
	if err != nil {
		return err
	}
	text := ""
	if kept != "" {
		text = "; what was there is kept as " + filepath.Base(kept)
	}
	forgotten, err := a.forgetAgain()
	if err != nil {
		return fmt.Errorf("%s is that of the backup%s, but who was forgotten since could not be taken out of it; the daemon does it when it starts: %w", file, text, err)
	}
	if forgotten > 0 {
		text += fmt.Sprintf("; %d records of who was forgotten since were taken out", forgotten)
	}
	return a.print(map[string]any{"file": file, "kept": kept, "forgotten": forgotten}, "%s is that of the backup%s", file, text)
}

// forgetAgain takes out of the database who was forgotten after it was copied. No daemon runs.
func (a *app) forgetAgain() (int, error) {
	c, err := conf.LoadForCommand(a.config)
	if err != nil || !pseudonym.AnyForgotten(c.Data) { // it needs a policy that can be read
		return 0, err
	}
	d, err := daemon.OpenDesk(c, false, commandLog(a.err))
	if err != nil {
		return 0, err
	}
	done, err := d.ApplyForgotten(a.ctx)
	return done, errors.Join(err, d.Close())
}
