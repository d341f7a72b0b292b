package eslbridge

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strconv"
	"strings"
	"time"
)

// How long a caller has for the keys of a challenge: to the first one, counted from the end of the prompt,
// and from one to the next. Elderly people need it.
const (
	firstKey = 5 * time.Second
	nextKey  = 3 * time.Second
)

// Between the end of a step and the moment that the switch's guard may take the call away. The guard counts
// in whole seconds, from N-1 to N+0.5: with this much room it fires from 0.4 to 2.9 s after the step.
const (
	guardRoom = 400 * time.Millisecond
	guardHair = 50 * time.Millisecond // by which our own deadline comes before it
)

// margin is what a step may take beyond its own length where no guard of the switch bounds it.
const margin = 2 * time.Second

// beginPlaying sends what has been collected, and answers the call if that is wanted.
func (c *call) beginPlaying(answer bool) error {
	if c.facts.Async {
		c.cmd.myevents() // the end of an application is an event there
	}
	if err := c.send(); err != nil {
		return err
	}
	if err := c.replies(); err != nil {
		return err
	}
	if !answer || c.facts.CallAnswer {
		return nil
	}
	if err := c.execute("answer", ""); err != nil {
		return err
	}
	c.facts.CallAnswer = true
	return nil
}

// play lets the caller hear a sound and returns when it has ended.
func (c *call) play(s Sound) error {
	if s.File == "" {
		return nil
	}
	if err := c.step(s.Length); err != nil {
		return err
	}
	return c.execute("playback", s.File)
}

// challenge asks the caller for digits and says whether they came. c.keyed keeps how it went, also when the
// caller hangs up on it.
func (c *call) challenge(ch *Challenge) (passed bool, err error) {
	for _, q := range ch.Tries {
		keys, err := c.ask(q.Prompt, len(q.Want))
		switch {
		case err != nil:
			if errors.Is(err, errHungUp) && c.keyed == NotAsked {
				c.keyed = KeyedNothing
			}
			return false, err
		case keys == q.Want:
			c.keyed = KeyedRight
			return true, c.play(ch.Passed)
		case keys != "":
			c.keyed = KeyedWrong
		case c.keyed == NotAsked:
			c.keyed = KeyedNothing
		}
	}
	return false, c.play(ch.Failed)
}

// ask plays a prompt and returns the keys that the caller pressed, from its first word on, until there are n,
// or #, or the time is up.
func (c *call) ask(prompt Sound, n int) (keys string, err error) {
	if !plainFile(prompt.File) {
		return "", fmt.Errorf("%w: the path of the announcement %q has characters that split an argument: move the data folder", errRefused, prompt.File)
	}
	if err := c.step(prompt.Length + firstKey + time.Duration(n-1)*nextKey); err != nil {
		return "", err
	}
	const variable = "ringfence_keys"
	argument := fmt.Sprintf("%d %d %s %s %d # %d", n, n, prompt.File, variable, firstKey.Milliseconds(), nextKey.Milliseconds())
	if err := c.execute("read", argument); err != nil {
		return "", err
	}
	if c.facts.Async {
		keys, _ = c.event.Get("variable_" + variable)
	} else if keys, err = c.variable(variable); err != nil {
		return "", err
	}
	if strings.Trim(keys, "0123456789*#ABCD") != "" {
		return "", nil // not keys
	}
	return keys, nil
}

// variable reads a channel variable that holds keys. Where there is none, the switch's reply is an error text
// or empty, and so that is not looked at.
func (c *call) variable(name string) (string, error) {
	c.cmd.reset()
	c.cmd.getvar(name)
	if err := c.send(); err != nil {
		return "", err
	}
	for {
		if err := c.next(); err != nil {
			return "", err
		}
		if c.in.Type() == typeReply && len(c.owed) == 1 {
			c.owed = c.owed[:0]
			return string(c.in.Raw("Reply-Text")), nil
		}
	}
}

// confirmWait is how long a report may take to get to the disk before its caller is left without an answer.
const confirmWait = 2 * time.Second

// report serves the star code. The dialplan ends the call when it has it back.
func (c *call) report(r StarCoder) error {
	c.srv.Counters.Reports.Add(1)
	q := r.StarCode(&c.facts)
	if err := c.beginPlaying(true); err != nil {
		return err
	}
	if q.Confirm == nil {
		if err := c.play(q.Prompt); err != nil {
			return err
		}
		return c.leave()
	}
	key, err := c.ask(q.Prompt, len(q.Key))
	if err != nil {
		return err
	}
	if key == q.Key {
		if err := c.step(confirmWait); err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(context.Background(), confirmWait)
		defer cancel()
		done := make(chan Sound, 1)
		go func() {
			defer func() {
				if p := recover(); p != nil {
					c.srv.log.Error("a report could not be taken", "fault", p, "stack", string(debug.Stack()))
					done <- Sound{}
				}
			}()
			done <- q.Confirm(ctx)
		}()
		select {
		case s := <-done:
			if err := c.play(s); err != nil {
				return err
			}
		case <-ctx.Done():
		}
	}
	return c.leave()
}

// step gives the next thing the caller hears its time: the switch's guard is set anew, and our own deadline
// follows it. In sync mode, and where the dialplan has set no guard, only the deadline moves.
func (c *call) step(length time.Duration) error {
	if !c.facts.Async || c.facts.GuardTask == "" {
		c.extend(time.Now().Add(length + margin))
		return nil
	}
	seconds := guardSeconds(length)
	from := time.Now() // the guard counts from a later moment
	if err := c.moveGuard(seconds); err != nil {
		return err
	}
	c.extend(from.Add(time.Duration(seconds-1)*time.Second - guardHair))
	return nil
}

// guardSeconds is the guard of a step.
func guardSeconds(length time.Duration) int {
	return int((length+guardRoom+time.Second-1)/time.Second) + 1
}

// moveGuard gives the switch's guard (a scheduled transfer that takes the call away from a daemon that
// hangs) so many seconds from now. The new one is set before the old one is removed, and that one by its
// id: others of the administrator's stay.
func (c *call) moveGuard(seconds int) error {
	if !plainDestination(c.facts.GuardTo) || !digits(c.facts.GuardTask) {
		return fmt.Errorf("%w: ringfence_guard_to or ringfence_guard_task is not as the shipped dialplan sets it", errRefused)
	}
	if err := c.execute("sched_transfer", "+"+strconv.Itoa(seconds)+" "+c.facts.GuardTo); err != nil {
		return err
	}
	task, _ := c.event.Get("variable_last_sched_id")
	if !digits(task) || task == c.facts.GuardTask {
		return fmt.Errorf("%w: the switch does not say which guard it set", errRefused)
	}
	c.cmd.reset()
	c.cmd.api("sched_del " + c.facts.GuardTask)
	c.set("ringfence_guard_task", task)
	c.facts.GuardTask = task
	if err := c.send(); err != nil {
		return err
	}
	return c.replies()
}

// whisper has the person who answers hear a sound file before the two are connected. The switch copies these
// variables to every leg that it calls; what they name runs on a leg that has answered, and that leg is
// connected when it ends, however it ends (switch_ivr_originate.c, collect_thread_run). The shipped
// dialplan plays the file to phones alone: a mailbox or a mobile elsewhere would record or hear it too. One
// that the administrator has set stays.
func (c *call) whisper(file string) {
	if c.facts.Confirm != "" || !plainFile(file) {
		return
	}
	c.tell("group_confirm_key", "exec")
	c.tell("group_confirm_file", "execute_extension "+file+" XML ringfence-whisper")
	c.tell("group_confirm_cancel_timeout", "true") // the time a phone may ring does not end the whisper
}

// execute runs an application and waits until it has ended. In sync mode the reply says so, in async mode
// the CHANNEL_EXECUTE_COMPLETE event, which c.event then holds.
func (c *call) execute(application, argument string) error {
	const id = "ringfence-step"
	c.cmd.reset()
	c.cmd.execute(application, argument, id)
	if err := c.send(); err != nil {
		return err
	}
	if !c.facts.Async {
		return c.replies()
	}
	for {
		if err := c.next(); err != nil {
			return err
		}
		switch c.in.Type() {
		case typeReply, typeAPI:
			// The event may come before the reply; the reply is waited for by whoever asks next.
			if err := c.answered(); err != nil {
				return err
			}
		case typeEvent:
			if err := c.in.Event(&c.event); err != nil {
				return err
			}
			if string(c.event.Raw("Event-Name")) == "CHANNEL_EXECUTE_COMPLETE" &&
				string(c.event.Raw("Application-UUID")) == id && string(c.event.Raw("Application")) == application {
				return nil
			}
		}
	}
}

const plain = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_-+."

// plainDestination reports whether a guard's destination, which becomes an application's argument, is
// made of harmless characters only.
func plainDestination(s string) bool { return s != "" && strings.Trim(s, plain+" *#") == "" }

// plainFile reports whether the path of a sound is one argument among several of an application.
func plainFile(s string) bool {
	s = strings.TrimPrefix(s, "file_string://")
	return s != "" && strings.Trim(s, plain+"/!") == ""
}

func digits(s string) bool { return s != "" && len(s) < 12 && strings.Trim(s, "0123456789") == "" }
