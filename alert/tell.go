package alert

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	setting = "alerts" // of the database

	tellTimeout = 10 * time.Second // how long the command may take
	stopTime    = 3 * time.Second  // how long it may take when the daemon stops
	retryMin    = time.Minute      // how long after a run that failed; doubled each time
	retryMax    = time.Hour        //
	giveUp      = 24 * time.Hour   // how long an end is tried to be told
	lookEvery   = time.Minute      // how often it is looked whether something is due
)

// What a message says of its incident, the second argument of the command.
const (
	stateStart    = "start"
	stateReminder = "reminder"
	stateEnd      = "end"
)

// Run keeps the book on disk and runs the command for each message until ctx ends. What is due then is told as well, which takes
// stopTime at most: a daemon that cannot start has a person told of it. The rest is told after the next start.
func (b *Book) Run(ctx context.Context) {
	tell, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(stopTime, cancel) })()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		b.keep(false)
		for i, state := b.due(); i != nil && tell.Err() == nil; i, state = b.due() {
			b.told(tell, i, state, b.tell(tell, i, state))
			b.keep(false)
		}
		if ctx.Err() != nil {
			b.keep(true)
			return
		}
		select {
		case <-ctx.Done():
		case <-b.wake:
		case <-tick.C:
		}
	}
}

// due gives an incident that a person is to be told of now, as it is, and what of it; nil if there is none.
func (b *Book) due() (*Incident, string) {
	if b.o.Command == "" {
		return nil, ""
	}
	now := b.o.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, i := range b.all {
		state := ""
		switch {
		case now.Before(i.Again):
		case !i.Ended.IsZero():
			state = stateEnd
		case i.Told.IsZero():
			state = stateStart
		case b.o.Remind > 0 && now.Sub(i.Told) >= b.o.Remind:
			state = stateReminder
		}
		if state != "" {
			is := *i
			return &is, state
		}
	}
	return nil, ""
}

// told notes that a person was told, or that it could not be done.
func (b *Book) told(ctx context.Context, was *Incident, state string, err error) {
	now := b.o.Now().Round(0)
	b.mu.Lock()
	defer b.mu.Unlock()
	at := slices.IndexFunc(b.all, func(i *Incident) bool { return i.ID() == was.ID() && i.Ended.Equal(was.Ended) })
	if err == nil {
		b.unkept = true
		if at < 0 { // it ended meanwhile, and that is told next
			at = slices.IndexFunc(b.all, func(i *Incident) bool { return i.ID() == was.ID() })
		}
		switch {
		case at < 0:
		case state == stateEnd:
			b.all = slices.Delete(b.all, at, at+1)
		default:
			b.all[at].Told, b.all[at].Tries, b.all[at].Again = now, 0, time.Time{}
		}
		return
	}
	if ctx.Err() != nil {
		return // the daemon stops, and took the command along
	}
	b.Failed.Add(1)
	b.o.Log.Error("nobody was told: the command of [notify] failed", "command", b.o.Command, "kind", was.Kind, "subject", was.Subject, "state", state, "text", was.Text, "error", err)
	if at < 0 {
		return
	}
	i := b.all[at]
	i.Again, i.Tries = now.Add(min(retryMin<<min(i.Tries, 10), retryMax)), i.Tries+1
	if state == stateEnd && now.Sub(i.Ended) > giveUp {
		b.all = slices.Delete(b.all, at, at+1)
	}
}

// run runs the command for one message.
func (b *Book) run(ctx context.Context, i *Incident, state string) error {
	out, err := Run(ctx, tellTimeout, strings.NewReader(i.message(state)+"\n"), append(os.Environ(), b.facts(i, state)...), b.o.Command, i.Kind, state)
	if err != nil && out != "" {
		err = fmt.Errorf("%w; it printed %.200q", err, out)
	}
	return err
}

// message is what a person reads.
func (i *Incident) message(state string) string {
	calls := ""
	if i.Calls > 0 {
		calls = fmt.Sprintf(", %d calls unscreened", i.Calls)
	}
	switch state {
	case stateEnd:
		return fmt.Sprintf("Over after %s%s: %s (It was: %s)", lasted(i.Ended.Sub(i.Since)), calls, i.End, i.Text)
	case stateReminder:
		return fmt.Sprintf("Still so, since %s%s: %s", i.Since.Format("2006-01-02 15:04"), calls, i.Text)
	}
	return i.Text
}

// facts are what a program reads, in the environment of the command.
func (b *Book) facts(i *Incident, state string) []string {
	end := b.o.Now()
	facts := []string{
		"ID=" + i.ID(), "KIND=" + i.Kind, "SUBJECT=" + i.Subject, "STATE=" + state, "NODE=" + inert(b.o.Node, maxSubject),
		"SINCE=" + i.Since.UTC().Format(time.RFC3339), "CALLS=" + strconv.FormatUint(i.Calls, 10), "TEXT=" + i.message(state),
	}
	if !i.Ended.IsZero() {
		end = i.Ended
		facts = append(facts, "ENDED="+end.UTC().Format(time.RFC3339))
	}
	facts = append(facts, "SECONDS="+strconv.FormatInt(int64(max(end.Sub(i.Since), 0).Seconds()), 10))
	for at, fact := range facts {
		facts[at] = "RINGFENCE_ALERT_" + fact
	}
	return facts
}

// load reads the incidents that were open when the program ended.
func (b *Book) load() {
	if b.o.Settings == nil {
		return
	}
	text, err := b.o.Settings.Setting(setting)
	if err == nil && len(text) > 0 {
		err = json.Unmarshal(text, &b.all)
	}
	if err != nil {
		b.o.Log.Error("what was wrong before the start cannot be read, and is told again", "error", err)
		b.all = nil
	}
	b.all = slices.DeleteFunc(b.all, func(i *Incident) bool { return i == nil || i.Kind == "" || b.o.Command == "" && !i.Ended.IsZero() })
	b.all = b.all[:min(len(b.all), maxIncidents)]
}

// keep writes the book, if there is something worth a write: that alone calls were counted is kept at the end.
func (b *Book) keep(last bool) {
	if err := b.write(last); err != nil && !last {
		b.o.Log.Warn("what is wrong cannot be kept over a restart; it is tried again", "error", err)
	}
}

func (b *Book) write(last bool) error {
	b.writing.Lock() // what is older must not be written over what is newer
	defer b.writing.Unlock()
	b.mu.Lock()
	if !b.unkept && !(last && len(b.all) > 0) || b.o.Settings == nil {
		b.mu.Unlock()
		return nil
	}
	b.unkept = false
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	err := enc.Encode(b.all)
	b.mu.Unlock()
	if err == nil {
		err = b.o.Settings.PutSetting(setting, text.Bytes())
	}
	if err != nil {
		b.mu.Lock()
		b.unkept = true
		b.mu.Unlock()
	}
	return err
}
