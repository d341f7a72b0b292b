package standin

import (
	"strconv"
	"strings"
	"time"
)

// handle carries out one command as mod_event_socket's parse_command does: a
// command is known by how its line begins, in either case.
func (l *listener) handle(p *packet) {
	ch := l.ch
	l.note(p)
	is := func(name string) bool {
		return len(p.line) >= len(name) && strings.EqualFold(p.line[:len(name)], name)
	}
	if l.first && !is("connect") && !is("exit") && !is("...") {
		ch.fault("command before connect: %q", p.line)
	}
	if !is("sendmsg") && !is("bgapi") && !is("sendevent") && len(p.headers.list) > 0 {
		ch.fault("%q is followed by lines of its own: %q", p.line, p.text)
	}
	switch {
	case is("exit"), is("..."):
		l.running = false
		l.reply("+OK bye")
	case is("filter "):
		l.reply(l.filter(strings.Fields(p.line[len("filter "):])))
	case is("resume"):
		l.resume = true
		ch.set("socket_resume", "true")
		l.reply("+OK")
	case is("connect"):
		l.connect()
	case is("getvar"):
		_, name, _ := strings.Cut(p.line, " ")
		// The value goes out as it is, line breaks and all.
		l.reply(ch.get(name))
	case is("myevents"):
		l.reply(l.myevents())
	case is("divert_events"):
		l.reply("+OK events diverted")
	case is("sendmsg"):
		l.sendmsg(p)
	case ch.call.NotFull:
		// All that follows needs the dialplan's `full`.
		ch.fault("%q without full in the dialplan's socket line", p.line)
		l.reply("")
	case is("api "):
		l.api(p)
	case is("bgapi "):
		l.bgapi(p)
	case is("linger"):
		l.lingerOn(p.line[len("linger"):])
	case is("nolinger"):
		l.linger = false
		l.reply("+OK will not linger")
	case is("nolog"):
		l.reply("-ERR not loging")
	case is("log"):
		l.reply("+OK log level " + strings.TrimSpace(p.line[3:]) + " [7]")
	case is("event"):
		l.reply(l.subscribe(strings.Fields(p.line)[1:], true))
	case is("nixevent"):
		l.reply(l.subscribe(strings.Fields(p.line)[1:], false))
	case is("noevents"):
		l.reply(l.noEvents())
	default:
		ch.fault("unknown command: %q", p.line)
		l.reply("")
	}
}

// note keeps the command for the result.
func (l *listener) note(p *packet) {
	ch := l.ch
	ch.mu.Lock()
	defer ch.mu.Unlock()
	r := &ch.res
	if len(r.Commands) < 10000 {
		r.Commands = append(r.Commands, p.text)
	}
	if ch.where == taken && !strings.EqualFold(p.line, "exit") {
		r.Late = append(r.Late, p.text)
	}
	if r.ReplyAt != 0 && r.FirstAnswer == 0 {
		r.FirstAnswer = max(p.at.Sub(ch.begun)-r.ReplyAt, 1)
	}
}

func (l *listener) connect() {
	ch := l.ch
	select {
	case <-l.connected:
	default:
		if ch.call.Async {
			// The channel parks within about a millisecond. Its event comes too
			// early for a peer that first waits for this reply.
			ch.event("CHANNEL_PARK")
		}
		close(l.connected)
	}
	l.write(string(ch.connectReply()))
	ch.mu.Lock()
	if ch.res.ReplyAt == 0 {
		ch.res.ReplyAt = time.Since(ch.begun)
	}
	ch.mu.Unlock()
}

// callEvents are the events that `myevents` asks for.
var callEvents = []string{
	"CHANNEL_ANSWER", "CHANNEL_APPLICATION", "CHANNEL_BRIDGE", "CHANNEL_CREATE", "CHANNEL_DATA",
	"CHANNEL_DESTROY", "CHANNEL_EXECUTE", "CHANNEL_EXECUTE_COMPLETE", "CHANNEL_HANGUP",
	"CHANNEL_HANGUP_COMPLETE", "CHANNEL_ORIGINATE", "CHANNEL_UUID", "CHANNEL_OUTGOING",
	"CHANNEL_PARK", "CHANNEL_PROGRESS", "CHANNEL_PROGRESS_MEDIA", "CHANNEL_STATE",
	"CHANNEL_UNBRIDGE", "CHANNEL_UNPARK", "DETECTED_SPEECH", "DTMF", "NOTALK", "TALK",
}

// otherEvents are further names that `event` knows here; the switch knows more.
var otherEvents = []string{
	"ALL", "BACKGROUND_JOB", "CUSTOM", "HEARTBEAT", "CHANNEL_CALLSTATE", "CHANNEL_HOLD",
	"CHANNEL_UNHOLD", "API", "RELOADXML", "ADD_SCHEDULE", "DEL_SCHEDULE", "EXE_SCHEDULE",
	"MESSAGE", "PRESENCE_IN", "RECORD_START", "RECORD_STOP", "PLAYBACK_START", "PLAYBACK_STOP",
	"CODEC", "SHUTDOWN", "LOG", "TRAP",
}

func (l *listener) myevents() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mine {
		return "-ERR aready enabled."
	}
	l.mine, l.enabled = true, true
	for _, name := range callEvents {
		l.list[name] = true
	}
	return "+OK Events Enabled"
}

// subscribe serves `event` and `nixevent`. The format is always plain here.
func (l *listener) subscribe(words []string, on bool) string {
	if on && len(words) > 0 {
		switch strings.ToLower(words[0]) {
		case "xml", "json":
			l.ch.fault("events as %s: only plain is simulated", words[0])
			words = words[1:]
		case "plain":
			words = words[1:]
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	known := 0
	for _, w := range words {
		w = strings.ToUpper(w)
		for _, names := range [][]string{callEvents, otherEvents} {
			for _, name := range names {
				if name == w {
					known++
					l.list[w] = on
					if w == "ALL" {
						l.all = on
					}
				}
			}
		}
	}
	if known == 0 {
		return "-ERR no keywords supplied"
	}
	l.enabled = true
	if on {
		return "+OK event listener enabled plain"
	}
	return "+OK events nixed"
}

func (l *listener) noEvents() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.enabled {
		return "-ERR not listening for events"
	}
	l.enabled, l.all, l.events = false, false, nil
	clear(l.list)
	return "+OK no longer listening for events"
}

func (l *listener) filter(words []string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(words) > 1 && strings.EqualFold(words[0], "delete") {
		name, value := words[1], strings.Join(words[2:], " ")
		kept := l.filters[:0]
		for _, f := range l.filters {
			if !strings.EqualFold(name, "all") && !strings.EqualFold(f.Name, name) {
				kept = append(kept, f)
			}
		}
		l.filters = kept
		return "+OK filter deleted. [" + name + "][" + value + "]"
	}
	if len(words) > 2 && strings.EqualFold(words[0], "add") {
		words = words[1:]
	}
	if len(words) < 2 {
		return "-ERR invalid syntax"
	}
	name, value := words[0], strings.Join(words[1:], " ")
	l.filters = append(l.filters, Header{name, value})
	return "+OK filter added. [" + name + "]=[" + value + "]"
}

func (l *listener) lingerOn(argument string) {
	l.linger = true
	argument = strings.TrimSpace(argument)
	if argument == "" {
		l.lingerFor = -1
		l.reply("+OK will linger")
		return
	}
	n, _ := strconv.Atoi(argument)
	l.lingerFor = time.Duration(n) * time.Second
	l.reply("+OK will linger " + strconv.Itoa(n) + " seconds")
}

// messageHeaders are the headers that sendmsg is known to carry. Another one
// may be a value that broke out of its line.
var messageHeaders = map[string]bool{
	"call-command": true, "execute-app-name": true, "execute-app-arg": true, "event-lock": true,
	"event-lock-pri": true, "event-uuid": true, "event-uuid-name": true, "loops": true,
	"hangup-cause": true, "content-type": true, "content-length": true, "hold-bleg": true,
	"lead-frames": true, "async": true, "session-id": true, "application": true,
}

func (l *listener) sendmsg(p *packet) {
	ch := l.ch
	for _, h := range p.headers.list {
		if !messageHeaders[strings.ToLower(h.Name)] {
			ch.fault("sendmsg with a header %q: did a value hold a line break?", h.Name)
		}
	}
	uuid := strings.TrimSpace(p.line[len("sendmsg"):])
	if uuid == "" {
		uuid, _ = p.headers.get("session-id")
	}
	if uuid != "" && uuid != ch.uuid {
		ch.fault("sendmsg to another call: %q", uuid)
		l.reply("-ERR invalid session id [" + uuid + "]")
		return
	}
	if async, _ := p.headers.get("async"); isTrue(async) && !ch.call.Async {
		ch.fault("sendmsg with async: true in sync mode is not simulated: it is done at once")
	}
	if ch.call.Async {
		ch.push(p)
	} else {
		ch.private(p)
	}
	l.reply("+OK")
}
