package desk

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"ringfence/console"
	"ringfence/inforce"
)

// pauseSetting keeps the pause in the database, so that it survives a restart.
const pauseSetting = "pause"

func (d *Desk) loadPause() error {
	text, err := d.db.Setting(pauseSetting)
	if err != nil || len(text) == 0 {
		return err
	}
	var p keptPause
	if err := json.Unmarshal(text, &p); err != nil {
		return fmt.Errorf("the kept pause cannot be read: %w", err)
	}
	if !p.Since.IsZero() {
		d.force.SetPause(&p.Pause)
	}
	return nil
}

// keptPause is the pause, or none, as it is kept.
type keptPause struct {
	inforce.Pause
	At time.Time `json:"at,omitzero"` // when it was begun, or ended, by a person
}

// PauseKept is the pause, nil for none, and when that came to be so; zero: never.
func (d *Desk) PauseKept() (p *inforce.Pause, at time.Time, err error) {
	text, err := d.db.Setting(pauseSetting)
	if err != nil || len(text) == 0 {
		return nil, time.Time{}, err
	}
	var kept keptPause
	if err := json.Unmarshal(text, &kept); err != nil {
		return nil, time.Time{}, fmt.Errorf("the kept pause cannot be read: %w", err)
	}
	if kept.Since.IsZero() {
		return nil, kept.At, nil
	}
	if kept.At.IsZero() {
		kept.At = kept.Since
	}
	return &kept.Pause, kept.At, nil
}

// TakePause has a pause of another node, nil for none, count here, as it was begun or ended there at a time. One that was begun or ended here since then
// stays.
func (d *Desk) TakePause(p *inforce.Pause, at time.Time, node string) error {
	_, ours, err := d.PauseKept()
	if err != nil || !at.After(ours) {
		return err
	}
	d.o.Log.Info("whether screening is paused was changed on another node", "node", node)
	_, err = d.setPause(p, at)
	return err
}

func (d *Desk) pauseState() console.PauseState {
	p := d.force.Paused(d.o.Now())
	if p == nil {
		return console.PauseState{}
	}
	return console.PauseState{Paused: true, Since: p.Since, Until: p.Until}
}

// Pause lets every call pass from now on, for a time or (0) until Resume.
func (d *Desk) Pause(_ context.Context, length time.Duration) (*console.PauseState, error) {
	if length < 0 {
		return nil, console.Bad("a pause cannot be shorter than nothing: write --for 1h")
	}
	p := inforce.Pause{Since: d.o.Now().Round(0)}
	if length > 0 {
		p.Until = p.Since.Add(length)
	}
	return d.setPause(&p, p.Since)
}

// Resume ends a pause.
func (d *Desk) Resume(context.Context) (*console.PauseState, error) {
	return d.setPause(nil, d.o.Now())
}

func (d *Desk) setPause(p *inforce.Pause, at time.Time) (*console.PauseState, error) {
	d.edit.Lock()
	defer d.edit.Unlock()
	kept := keptPause{At: at.Round(0)}
	if p != nil {
		kept.Pause = *p
	}
	text, err := json.Marshal(kept)
	if err != nil {
		return nil, err
	}
	if err := d.db.PutSetting(pauseSetting, text); err != nil {
		return nil, err
	}
	d.force.SetPause(p)
	s := d.pauseState()
	if s.Paused {
		d.o.Log.Warn("screening is paused: every call passes and is recorded", "until", s.Until)
	} else {
		d.o.Log.Info("screening is on")
	}
	return &s, nil
}
