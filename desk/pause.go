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
	var p inforce.Pause
	if err := json.Unmarshal(text, &p); err != nil {
		return fmt.Errorf("the kept pause cannot be read: %w", err)
	}
	if !p.Since.IsZero() {
		d.force.SetPause(&p)
	}
	return nil
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
	return d.setPause(&p)
}

// Resume ends a pause.
func (d *Desk) Resume(context.Context) (*console.PauseState, error) { return d.setPause(nil) }

func (d *Desk) setPause(p *inforce.Pause) (*console.PauseState, error) {
	d.edit.Lock()
	defer d.edit.Unlock()
	text := []byte("{}")
	if p != nil {
		text, _ = json.Marshal(p)
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
