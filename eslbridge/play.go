package eslbridge

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"ringfence/bridge"
)

// Between the end of a step and the moment that the switch's guard may take the call away. The guard counts
// in whole seconds, from N-1 to N+0.5: with this much room it fires from 0.4 to 2.9 s after the step.
const (
	guardRoom = 400 * time.Millisecond
	guardHair = 50 * time.Millisecond // by which our own deadline comes before it
)

// Begin sends what has been collected, and answers the call if that is wanted.
func (c *call) Begin(answer bool, ringing string) error {
	if ringing != "" && c.facts.Ringback == "" {
		tone := ringingTone(ringing)
		c.tell("ringback", tone)
		c.tell("transfer_ringback", tone)
	}
	c.tellAll()
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

// Play lets the caller hear a sound and returns when it has ended.
func (c *call) Play(s bridge.Sound) error {
	if err := c.step(s.Length); err != nil {
		return err
	}
	return c.execute("playback", playable(s))
}

// Keys plays a prompt and returns the keys that the caller pressed, from its first word on, until there are n,
// or #, or the time is up.
func (c *call) Keys(prompt bridge.Sound, n int) (keys string, err error) {
	for _, file := range prompt.Files {
		if !plainFile(file) {
			return "", fmt.Errorf("%w: the path of the announcement %q has characters that split an argument: move the data folder", errRefused, file)
		}
	}
	if err := c.step(prompt.Length + bridge.FirstKey + time.Duration(n-1)*bridge.NextKey); err != nil {
		return "", err
	}
	argument := fmt.Sprintf("%d %d %s %s %d # %d", n, n, playable(prompt), keysVariable, bridge.FirstKey.Milliseconds(), bridge.NextKey.Milliseconds())
	if err := c.execute("read", argument); err != nil {
		return "", err
	}
	if c.facts.Async {
		keys = c.event.keys
	} else if keys, err = c.variable(keysVariable); err != nil {
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
		if c.in.Type() == typeReply && c.last() {
			return string(c.in.Raw("Reply-Text")), nil
		}
	}
}

// last takes the one reply that is owed, if it is one.
func (c *call) last() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.owed) != 1 {
		return false
	}
	c.owed = c.owed[:0]
	return true
}

// keysVariable is the channel variable that holds the keys of a caller, and nothing else.
const keysVariable = "ringfence_keys"

// Wait gives what the caller does not hear its time.
func (c *call) Wait(length time.Duration) error { return c.step(length) }

// step gives the next thing the caller hears its time: the switch's guard is set anew, and our own deadline
// follows it. In sync mode, and where the dialplan has set no guard, only the deadline moves.
func (c *call) step(length time.Duration) error {
	if !c.facts.Async || c.facts.GuardTask == "" {
		c.Extend(time.Now().Add(length + bridge.Margin))
		return nil
	}
	seconds := guardSeconds(length)
	from := time.Now() // the guard counts from a later moment
	if err := c.moveGuard(seconds); err != nil {
		return err
	}
	c.Extend(from.Add(time.Duration(seconds-1)*time.Second - guardHair))
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
	task := c.event.task
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
			if e := &c.event; e.name == "CHANNEL_EXECUTE_COMPLETE" && e.id == id && e.application == application {
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
func plainFile(s string) bool { return s != "" && strings.Trim(s, plain+"/") == "" }

// playable is a sound as the switch's applications take it: a file, or several behind each other (mod_dptools.c,
// file_string).
func playable(s bridge.Sound) string {
	if len(s.Files) == 1 {
		return s.Files[0]
	}
	return "file_string://" + strings.Join(s.Files, "!")
}

// ringingTone is the ringing tone that callers of a country know (ITU-T E.180 supplement 2), as the switch's
// tone generator writes it: on and off in milliseconds, then the frequencies.
func ringingTone(country string) string {
	switch country {
	case "CN", "TW":
		return "%(1000,4000,450)"
	case "US", "CA":
		return "%(2000,4000,440,480)"
	case "GB", "IE", "HK", "SG", "MY", "AU", "NZ", "IN", "ZA":
		return "%(400,200,400,450);%(400,2000,400,450)"
	case "JP":
		return "%(1000,2000,400)"
	}
	return "%(1000,4000,425)"
}

func digits(s string) bool { return s != "" && len(s) < 12 && strings.Trim(s, "0123456789") == "" }
