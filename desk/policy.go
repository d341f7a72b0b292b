package desk

import (
	"context"
	"fmt"
	"os"

	"ringfence/conf"
	"ringfence/console"
	"ringfence/policy"
)

// maxPolicy bounds a policy file, in bytes.
const maxPolicy = 4 << 20

// readPolicy reads and checks a policy file. The policy is nil if it has faults.
func readPolicy(file string) (*policy.Policy, []policy.Fault, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, nil, fmt.Errorf("the policy cannot be read: %w", err)
	}
	if info.Size() > maxPolicy {
		return nil, nil, fmt.Errorf("the policy %s has %d bytes: at most %d are read; keep long lists of numbers in a list (ringfence list import)", file, info.Size(), maxPolicy)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, nil, fmt.Errorf("the policy cannot be read: %w", err)
	}
	p, faults := policy.Load(file, text)
	return p, faults, nil
}

// Reload reads the policy file again. With faults the running policy stays, and the report says so.
func (d *Desk) Reload(context.Context) (*console.ReloadReport, error) {
	d.edit.Lock()
	defer d.edit.Unlock()
	p, faults, err := readPolicy(d.conf.Policy)
	if err != nil {
		return nil, err
	}
	report := &console.ReloadReport{File: d.conf.Policy, Loaded: p != nil, Faults: []console.Fault{}}
	if p != nil {
		sounds, err := d.sounds(p)
		if err != nil {
			return nil, err
		}
		if err := d.install(p, sounds); err != nil {
			return nil, err
		}
		signal(d.rules)
		faults = append(faults, p.CheckLists(d.force.Rules().Lists)...)
		if sounds != nil {
			faults = append(faults, p.CheckAnnouncements(sounds.Has)...)
		}
		report.Rules = len(p.Rules())
	}
	if p == nil {
		d.o.Notify("policy", fmt.Sprintf("the policy %s was refused for its faults; the one that was in force stays. `ringfence policy check %s` names them.", d.conf.Policy, d.conf.Policy))
	}
	for _, f := range faults {
		if f.Warning && d.o.Journal != nil {
			d.o.Log.Warn(f.String())
		}
		report.Faults = append(report.Faults, console.Fault{Text: f.String(), Warning: f.Warning})
	}
	return report, nil
}

// sounds prepares the announcements for a policy. Only the daemon does that.
func (d *Desk) sounds(p *policy.Policy) (*conf.Sounds, error) {
	if d.o.Journal == nil {
		return nil, nil
	}
	return conf.InstallSounds(d.conf.SoundFolder(), p.Country())
}
