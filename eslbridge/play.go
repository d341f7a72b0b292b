package eslbridge

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// margin is what an announcement may take beyond its own length.
const margin = 2 * time.Second

// play lets the caller hear the verdict's announcement and returns when it has ended.
func (c *call) play(v *Verdict) error {
	if c.facts.Async {
		c.cmd.myevents() // the end of an application is an event there
	}
	if err := c.send(); err != nil {
		return err
	}
	if err := c.replies(); err != nil {
		return err
	}
	c.extend(v.Length + margin)
	if c.facts.Async && c.facts.GuardTask != "" {
		if err := c.moveGuard(v.Length + margin); err != nil {
			return err
		}
	}
	if v.Answer && !c.facts.CallAnswer {
		if err := c.execute("answer", ""); err != nil {
			return err
		}
	}
	return c.execute("playback", v.Play)
}

// moveGuard gives the switch's guard (a scheduled transfer that takes the call away from a daemon that
// hangs) time for the step to come. The new one is set before the old one is removed, and that one by its
// id: others of the administrator's stay.
func (c *call) moveGuard(step time.Duration) error {
	if !plainDestination(c.facts.GuardTo) || !digits(c.facts.GuardTask) {
		return fmt.Errorf("%w: ringfence_guard_to or ringfence_guard_task is not as the shipped dialplan sets it", errRefused)
	}
	// Whole seconds, and the switch fires up to one early.
	seconds := int((step+time.Second-1)/time.Second) + 1
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

// plainDestination reports whether a guard's destination, which becomes an application's argument, is
// made of harmless characters only.
func plainDestination(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !(c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || strings.IndexByte(" _-+*#.", c) >= 0) {
			return false
		}
	}
	return s != ""
}

func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != "" && len(s) < 12
}
