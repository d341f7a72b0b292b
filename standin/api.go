package standin

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// api serves `api COMMAND [ARGUMENT]`: the answer is a frame of its own, even
// to the peer's first command.
func (l *listener) api(p *packet) {
	answer := l.runAPI(p.line[len("api "):])
	if answer == "" {
		answer = "-ERR no reply\n"
	}
	l.write("Content-Type: api/response\nContent-Length: " + strconv.Itoa(len(answer)) + "\n\n")
	l.write(answer)
}

// bgapi runs the same commands, answers with a number and sends the result as an event.
func (l *listener) bgapi(p *packet) {
	job, ok := p.headers.get("job-uuid")
	if !ok {
		job = newUUID()
	}
	command := p.line[len("bgapi "):]
	answer := l.runAPI(command)
	if !l.first {
		l.write("Content-Type: command/reply\nReply-Text: +OK Job-UUID: " + job + "\nJob-UUID: " + job + "\n\n")
	}
	if l.wants("BACKGROUND_JOB") {
		name, arg, _ := strings.Cut(command, " ")
		h := l.ch.sw.eventHead("BACKGROUND_JOB")
		h.add("Job-UUID", job)
		h.add("Job-Owner-UUID", l.ch.uuid)
		h.add("Job-Command", name)
		if arg != "" {
			h.add("Job-Command-Arg", arg)
		}
		head := strings.TrimSuffix(string(h.text()), "\n")
		l.deliver([]byte(head + "Content-Length: " + strconv.Itoa(len(answer)) + "\n\n" + answer))
	}
}

// runAPI carries out the few API commands that a screening daemon may want.
func (l *listener) runAPI(command string) string {
	ch := l.ch
	name, arg, _ := strings.Cut(command, " ")
	switch name {
	case "status":
		return ch.sw.status()
	case "version":
		return "FreeSWITCH Version 1.11.3-dev simulated 64bit\n"
	case "echo":
		return arg
	case "create_uuid":
		return newUUID()
	case "uuid_exists":
		return strconv.FormatBool(ch.has(arg))
	case "uuid_getvar":
		return ch.apiGetVar(arg)
	case "uuid_setvar":
		return ch.apiSetVar(arg)
	case "uuid_setvar_multi":
		return ch.apiSetVars(arg)
	case "uuid_kill":
		uuid, text, _ := strings.Cut(arg, " ")
		if !ch.has(uuid) {
			return noChannel
		}
		ch.kill(causeOf(text))
		return "+OK\n"
	case "uuid_break":
		return ch.apiBreak(arg)
	case "sched_del":
		return fmt.Sprintf("+OK Deleted: %d\n", ch.unschedule(arg))
	}
	ch.fault("api command %q is unknown or not simulated", name)
	return "-ERR " + name + " Command not found!\n"
}

// noChannel is what the switch says of a UUID that it has no channel for.
const noChannel = "-ERR No such channel!\n"

// has reports whether a command finds the channel by a UUID.
func (ch *channel) has(uuid string) bool { return uuid == ch.uuid && !ch.gone() }

func (sw *Switch) status() string {
	up := time.Since(sw.started)
	n := sw.calls.Load()
	return fmt.Sprintf("UP 0 years, 0 days, %d hours, %d minutes, %d seconds, %d milliseconds, %d microseconds\n"+
		"FreeSWITCH (Version 1.11.3-dev simulated 64bit) is ready\n%d session(s) since startup\n"+
		"%d session(s) - peak %d, last 5min %d \n%d session(s) per Sec out of max 2000, peak %d, last 5min %d \n"+
		"10000 session(s) max\nmin idle cpu 0.00/92.00\nCurrent Stack Size/Max 240K/240K\n",
		int(up.Hours()), int(up.Minutes())%60, int(up.Seconds())%60, up.Milliseconds()%1000, up.Microseconds()%1000,
		n, 1, 1, 1, 1, 1, 1)
}

func (ch *channel) apiGetVar(arg string) string {
	parts := separate(arg, 4)
	switch {
	case len(parts) < 2 || parts[0] == "":
		return "-USAGE: <uuid> <var>\n"
	case !ch.has(parts[0]):
		return noChannel
	case parts[1] == "":
		return "-ERR No variable name specified!\n"
	}
	return or(ch.get(parts[1]), "_undef_")
}

func (ch *channel) apiSetVar(arg string) string {
	parts := separate(arg, 3)
	switch {
	case len(parts) < 2 || parts[0] == "":
		return "-USAGE: <uuid> <var> [value]\n"
	case !ch.has(parts[0]):
		return noChannel
	case parts[1] == "":
		return "-ERR No variable specified\n"
	}
	value := ""
	if len(parts) == 3 {
		value = parts[2]
		if given := strings.TrimSpace(afterWords(arg, 2)); given != value {
			ch.fault("uuid_setvar %s: quotes or backslashes changed %q into %q", parts[1], given, value)
		}
	}
	ch.setByPeer(parts[1], value)
	return "+OK\n"
}

func (ch *channel) apiSetVars(arg string) string {
	uuid, list, ok := strings.Cut(arg, " ")
	if !ok {
		return ""
	}
	if !ch.has(uuid) {
		return noChannel + "-USAGE: <uuid> <var>=<value>;<var>=<value>...\n"
	}
	for _, part := range separateAt(list, ';', 64) {
		name, value, _ := strings.Cut(part, "=")
		if name == "" {
			return "-ERR No variable specified\n"
		}
		if !holdsVariable(value) { // this one refuses what uuid_setvar takes
			ch.setByPeer(name, value)
		}
	}
	return "+OK\n"
}

func (ch *channel) apiBreak(arg string) string {
	uuid, how, _ := strings.Cut(arg, " ")
	if !ch.has(uuid) {
		return noChannel
	}
	if how != "all" {
		ch.fault("uuid_break without all is not simulated")
	}
	select {
	case ch.breaks <- struct{}{}:
	default: // nothing plays
	}
	return "+OK\n"
}

// gone reports whether the channel can no longer be found by its UUID.
func (ch *channel) gone() bool { return ch.isDown() }

// afterWords drops the first n words.
func afterWords(s string, n int) string {
	for range n {
		s = strings.TrimLeft(s, " ")
		_, s, _ = strings.Cut(s, " ")
	}
	return s
}
