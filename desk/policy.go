package desk

import (
	"context"
	"fmt"

	"ringfence/alert"
	"ringfence/conf"
	"ringfence/console"
	"ringfence/policy"
)

// readPolicy reads and checks a policy file, and gives its text. The policy is nil if it has faults.
func readPolicy(file string) (*policy.Policy, []byte, []policy.Fault, error) {
	text, err := conf.ReadFile(file)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("the policy cannot be read: %w", err)
	}
	p, faults := policy.Load(file, text)
	return p, text, faults, nil
}

// Reload reads the policy file again. With faults, or if it cannot be read, the running policy stays, and the report or the error says
// so. What is taken into force is kept as the last good policy.
func (d *Desk) Reload(ctx context.Context) (*console.ReloadReport, error) {
	d.edit.Lock()
	defer d.edit.Unlock()
	report, err := d.reload(ctx, "")
	d.alertRefused()
	if others := d.policyOfOthers(); err == nil && report.Loaded && others != "" {
		report.Faults = append(report.Faults, console.Fault{Text: others + ". What was read here is changed back to theirs", Warning: true})
	}
	return report, err
}

// reload is Reload with a note on what the policy is for, but for telling a person that the file was refused. d.edit is held.
func (d *Desk) reload(ctx context.Context, note string) (*console.ReloadReport, error) {
	p, text, faults, err := readPolicy(d.conf.Policy)
	if err != nil {
		d.refuse([]string{err.Error()})
		return nil, err
	}
	report := &console.ReloadReport{File: d.conf.Policy, Loaded: p != nil, Faults: []console.Fault{}}
	if p != nil {
		sounds, err := d.sounds(p)
		if err != nil {
			return nil, err
		}
		if err := d.install(p, text, sounds); err != nil {
			return nil, err
		}
		signal(d.rules)
		faults = append(faults, d.checkAgainst(p, sounds)...)
		report.Rules = len(p.Rules())
		d.keepLastGood(text)
		d.keepVersion(ctx, text, len(p.Rules()), note)
		d.refused.Store(nil)
		d.o.Alerts.End(alert.Policy, "", fmt.Sprintf("the policy %s was read and is in force.", d.conf.Policy))
	} else {
		d.refuse(errorsOf(faults))
	}
	for _, f := range faults {
		switch { // whoever asked, whoever reads the log shall know
		case d.o.Journal == nil:
		case f.Warning:
			d.o.Log.Warn(f.String())
		default:
			d.o.Log.Error(f.String())
		}
		report.Faults = append(report.Faults, console.Fault{Text: f.String(), Warning: f.Warning})
	}
	if p == nil && d.o.Journal != nil {
		d.o.Log.Error("the running policy stays, since the file has faults", "file", d.conf.Policy)
	}
	return report, nil
}

// checkAgainst says what is probably not meant of a policy, by the lists, lines and announcements that there are.
func (d *Desk) checkAgainst(p *policy.Policy, sounds *conf.Sounds) []policy.Fault {
	r := d.force.Rules()
	faults := append(p.CheckLists(r.Lists), p.CheckKept(r.Lines)...)
	if sounds != nil {
		faults = append(faults, p.CheckAnnouncements(sounds.Has)...)
	}
	return faults
}

// sounds prepares the announcements for a policy. Only the daemon does that.
func (d *Desk) sounds(p *policy.Policy) (*conf.Sounds, error) {
	if d.o.Journal == nil {
		return nil, nil
	}
	return conf.InstallSounds(d.conf.SoundFolder(), p.Country())
}
