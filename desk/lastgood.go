package desk

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"ringfence/alert"
	"ringfence/console"
	"ringfence/number"
	"ringfence/policy"
	"ringfence/storage"
)

// A policy file with a fault at the next start must not keep the daemon down, and all calls unscreened. So each policy that is taken into
// force is kept beside the database, as it was written, and put in force at a start that finds the file refused.

// maxFaults is how many faults of a refused policy are kept for those who ask how the daemon is.
const maxFaults = 20

// refuse notes that the policy file was refused. d.edit is held.
func (d *Desk) refuse(faults []string) {
	shown := faults[:min(len(faults), maxFaults)]
	r := &console.PolicyRefused{At: d.o.Now().Round(0), Faults: shown, More: len(faults) - len(shown)}
	if was := d.refused.Load(); was != nil {
		r.LastGood = was.LastGood
	}
	d.refused.Store(r)
}

// alertRefused has a person told that the policy file was refused, if it was.
func (d *Desk) alertRefused() {
	r := d.refused.Load()
	if r == nil {
		return
	}
	stays := "The one that was in force stays"
	if !r.LastGood.IsZero() {
		stays = "The last good one, taken " + r.LastGood.Format("2006-01-02 15:04") + ", is in force"
	}
	d.o.Alerts.Begin(alert.Policy, "", fmt.Sprintf("the policy was refused: %s. %s. Mend the file (ringfence policy check %s), then: ringfence policy reload.",
		number.InertUpTo(r.Summary(), 250), stays, d.conf.Policy))
}

// errorsOf are the texts of faults, without warnings.
func errorsOf(faults []policy.Fault) []string {
	var texts []string
	for _, f := range faults {
		if !f.Warning {
			texts = append(texts, f.String())
		}
	}
	return texts
}

// keepLastGood keeps the text of a policy that is in force now. A disk that does not take it is logged: the policy counts. d.edit is held.
func (d *Desk) keepLastGood(text []byte) {
	file := d.conf.LastGoodPolicy()
	if d.o.Journal == nil || file == d.conf.Policy {
		return
	}
	if kept, err := os.ReadFile(file); err == nil && bytes.Equal(kept, text) {
		return
	}
	if err := storage.ReplaceFile(file, 0o640, text); err != nil {
		d.o.Log.Error("the policy is in force, but cannot be kept for a start that finds its file with faults", "file", file, "error", err)
	}
}

// loadLastGood puts the last good policy in force at a start, after the policy file was refused with why. d.edit is held.
func (d *Desk) loadLastGood(why error) error {
	file := d.conf.LastGoodPolicy()
	info, err := os.Stat(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w\nand there is no last good policy to start with: no policy has been in force with this data folder yet", why)
	case err != nil:
		return fmt.Errorf("%w\nand the last good policy cannot be read: %w", why, err)
	}
	p, text, faults, err := readPolicy(file)
	if err != nil {
		return fmt.Errorf("%w\nand so it is with the last good one: %w", why, err)
	}
	if p == nil {
		return fmt.Errorf("%w\nand the last good one, which another version may have taken, has faults as well:\n%s", why, errorsOf(faults)[0])
	}
	sounds, err := d.sounds(p)
	if err != nil {
		return err
	}
	if err := d.install(p, text, sounds); err != nil {
		return err
	}
	r := *d.refused.Load()
	r.LastGood = info.ModTime().Round(0)
	d.refused.Store(&r)
	d.alertRefused()
	for _, f := range r.Faults {
		d.o.Log.Error(f)
	}
	d.o.Log.Error("THE POLICY WAS REFUSED: calls are decided by the last good one. Mend the file, then `ringfence policy reload`",
		"policy", d.conf.Policy, "last_good", file, "taken", r.LastGood.Format(time.RFC3339))
	return nil
}
