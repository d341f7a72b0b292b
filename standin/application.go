package standin

import (
	"strconv"
	"strings"
	"time"
)

// application is a dialplan application. It runs on the channel's thread and
// returns its response, which most have none of.
type application struct {
	run   func(ch *channel, arg string) (response string)
	media bool // needs sound: an unanswered call gets 183 first
}

var applications = map[string]application{
	"answer":          {run: func(ch *channel, _ string) string { ch.answer(); return "" }},
	"break":           {run: nothing},
	"deflect":         {run: transferApp},
	"eval":            {run: nothing},
	"export":          {run: exportApp},
	"gentones":        {run: playApp, media: true},
	"hangup":          {run: func(ch *channel, arg string) string { ch.hangup(causeOf(arg)); return "" }},
	"info":            {run: nothing},
	"log":             {run: nothing},
	"multiset":        {run: multisetApp},
	"park":            {run: nothing},
	"playback":        {run: playApp, media: true},
	"pre_answer":      {run: func(ch *channel, _ string) string { ch.preAnswer(); return "" }},
	"read":            {run: readApp, media: true},
	"redirect":        {run: transferApp},
	"respond":         {run: respondApp},
	"ring_ready":      {run: func(ch *channel, _ string) string { ch.event("CHANNEL_PROGRESS"); return "" }},
	"sched_cancel":    {run: func(ch *channel, arg string) string { ch.unschedule(or(arg, ch.uuid)); return "" }},
	"sched_transfer":  {run: schedTransferApp},
	"set":             {run: func(ch *channel, arg string) string { ch.baseSet(arg); return "" }},
	"set_profile_var": {run: profileApp},
	"sleep":           {run: sleepApp},
	"stop":            {run: nothing},
	"transfer":        {run: transferApp},
	"unset":           {run: func(ch *channel, arg string) string { ch.setByPeer(arg, ""); return "" }},
}

func nothing(*channel, string) string { return "" }

// private carries out what sendmsg brought (switch_ivr_parse_event).
func (ch *channel) private(p *packet) {
	command, _ := p.headers.get("call-command")
	switch strings.ToLower(command) {
	case "execute":
		name, _ := p.headers.get("execute-app-name")
		arg, _ := p.headers.get("execute-app-arg")
		if contentType, _ := p.headers.get("content-type"); arg == "" && strings.EqualFold(contentType, "text/plain") {
			arg = p.body
		}
		loops := 1
		if text, ok := p.headers.get("loops"); ok {
			loops, _ = strconv.Atoi(text)
		}
		id, _ := p.headers.get("event-uuid")
		ch.execute(name, arg, id, loops)
	case "hangup":
		text, _ := p.headers.get("hangup-cause")
		ch.kill(causeOf(text))
	case "":
		ch.fault("sendmsg without call-command: %q", p.text)
	default:
		ch.fault("sendmsg with call-command %q is not simulated", command)
	}
}

// kill is a hangup on the peer's order. One that reaches a call which already
// rang tears that down.
func (ch *channel) kill(c cause) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	if ch.where == taken && !ch.down {
		ch.res.Killed = true
	}
	ch.hangupLocked(c)
}

// execute runs an application, again up to loops times while it takes at least half a second.
func (ch *channel) execute(name, arg, id string, loops int) {
	for n := 1; n <= loops || loops < 0; n++ {
		ch.setAll(Header{"current_loop", strconv.Itoa(n)}, Header{"total_loops", strconv.Itoa(loops)})
		start := time.Now()
		if !ch.executeOnce(name, arg, id) {
			break
		}
		if !ch.ready() || time.Since(start) < ch.sw.scaled(500*time.Millisecond) {
			break
		}
	}
	ch.setAll(Header{"current_loop", ""}, Header{"total_loops", ""})
}

func (ch *channel) executeOnce(name, arg, id string) bool {
	if ch.isDown() {
		return false // a hung up channel runs nothing
	}
	app, known := applications[name]
	if !known {
		ch.fault("application %q is unknown, or not simulated", name)
		ch.kill(causeOf("DESTINATION_OUT_OF_ORDER"))
		return false
	}
	if app.media {
		ch.preAnswer()
	}
	arg = ch.expand(arg)
	if id == "" {
		id = newUUID()
	}
	ch.mu.Lock()
	ch.vars.set("current_application", name)
	ch.vars.set("current_application_data", arg)
	ch.vars.set("current_application_response", "")
	ch.eventLocked("CHANNEL_EXECUTE",
		Header{"Application", name}, Header{"Application-Data", arg}, Header{"Application-UUID", id})
	ch.vars.set("current_application", name)
	ch.mu.Unlock()

	response := app.run(ch, arg)

	ch.mu.Lock()
	defer ch.mu.Unlock()
	ch.vars.set("current_application_response", response)
	ch.eventLocked("CHANNEL_EXECUTE_COMPLETE",
		Header{"Application", name}, Header{"Application-Data", arg},
		Header{"Application-Response", or(response, "_none_")}, Header{"Application-UUID", id})
	return true
}

// socketEnded is the end of the application `socket` itself, in async mode.
func (ch *channel) socketEnded() {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	mode := " async"
	if !ch.call.NotFull {
		mode += " full"
	}
	response, _ := ch.vars.get("current_application_response")
	ch.eventLocked("CHANNEL_EXECUTE_COMPLETE",
		Header{"Application", "socket"}, Header{"Application-Data", ch.sw.Address + mode},
		Header{"Application-Response", or(response, "_none_")}, Header{"Application-UUID", newUUID()})
}

// expand replaces variables in an application's argument and records API
// commands that the real switch would have run.
func (ch *channel) expand(text string) string {
	x := expander{
		lookup: ch.get,
		ran: func(command, argument string) {
			ch.mu.Lock()
			defer ch.mu.Unlock()
			if len(ch.res.Expanded) < 100 {
				ch.res.Expanded = append(ch.res.Expanded, command+"("+argument+")")
			}
		},
	}
	return x.expand(text)
}

// baseSet is `set NAME=VALUE`. The value was expanded once with the argument and is expanded again here.
func (ch *channel) baseSet(arg string) {
	name, value, ok := strings.Cut(arg, "=")
	if !ok {
		name, value, _ = strings.Cut(arg, ",")
	}
	if name == "" {
		ch.fault("set without a name: %q", arg)
		return
	}
	ch.setByPeer(name, ch.expand(value))
}

func exportApp(ch *channel, arg string) string {
	name, value, _ := strings.Cut(arg, "=")
	name = strings.TrimPrefix(name, "nolocal:")
	ch.setByPeer(name, value)
	return ""
}

func multisetApp(ch *channel, arg string) string {
	delimiter := " "
	if strings.HasPrefix(arg, "^^") && len(arg) > 3 {
		delimiter, arg = arg[2:3], arg[3:]
	}
	for _, part := range strings.Split(arg, delimiter) {
		if part != "" {
			ch.baseSet(part)
		}
	}
	return ""
}

func profileApp(ch *channel, arg string) string {
	name, value, _ := strings.Cut(arg, "=")
	ch.mu.Lock()
	defer ch.mu.Unlock()
	switch name {
	case "caller_id_name":
		ch.profile.name = value
	case "caller_id_number":
		ch.profile.number = value
	}
	return ""
}

func playApp(ch *channel, file string) string {
	ch.mu.Lock()
	ch.vars.set("playback_terminator_used", "")
	ch.res.Played = append(ch.res.Played, file)
	ch.mu.Unlock()
	length, found := ch.sw.soundLength(file)
	if !found {
		ch.fault("playback of %q: there is no such file, or it is no WAV file", file)
		return "FILE NOT FOUND"
	}
	played := ch.wait(length)
	ms := int(played / time.Millisecond)
	ch.setAll(
		Header{"playback_last_offset_pos", strconv.Itoa(ms * 8)},
		Header{"playback_seconds", strconv.Itoa(ms / 1000)},
		Header{"playback_ms", strconv.Itoa(ms)},
		Header{"playback_samples", strconv.Itoa(ms * 8)},
	)
	if played < length {
		return "PLAYBACK ERROR"
	}
	return "FILE PLAYED"
}

// readApp is `read MIN MAX FILE VARIABLE TIMEOUT TERMINATORS DIGIT-TIMEOUT` (switch_ivr_read): the file plays
// until the first key, then the keys are gathered.
func readApp(ch *channel, arg string) string {
	parts := separate(arg, 7)
	if len(parts) < 5 {
		ch.fault("read with the arguments %q", arg)
		return ""
	}
	most, _ := strconv.Atoi(parts[1])
	timeout, _ := strconv.Atoi(parts[4])
	terminators := "#"
	if len(parts) > 5 {
		terminators = parts[5]
	}
	file, variable := parts[2], parts[3]
	ch.setByPeer(variable, "")
	keys := ""
	if ch.call.Keys != nil {
		keys = ch.call.Keys(file)
	}
	if i := strings.IndexAny(keys, terminators); i >= 0 {
		keys = keys[:i]
	}
	keys = keys[:min(len(keys), most)]
	if keys == "" {
		ch.broken.Store(false)
		playApp(ch, file)
		if !ch.broken.Load() {
			ch.wait(time.Duration(timeout) * time.Millisecond)
		}
	} else {
		ch.mu.Lock()
		ch.res.Played = append(ch.res.Played, file)
		ch.mu.Unlock()
	}
	if ch.ready() && keys != "" {
		ch.setByPeer(variable, keys)
	}
	return ""
}

func sleepApp(ch *channel, arg string) string {
	ms, _ := strconv.Atoi(arg)
	ch.wait(time.Duration(max(ms, 0)) * time.Millisecond)
	return ""
}

// respondApp is `respond CODE Phrase`. Codes from 400 end an unanswered call
// with that status; below, nothing comes of it.
func respondApp(ch *channel, arg string) string {
	digits, phrase, _ := strings.Cut(arg, " ")
	code, _ := strconv.Atoi(digits)
	if code == 0 {
		code, phrase = 488, ""
	}
	ch.mu.Lock()
	defer ch.mu.Unlock()
	if code < 400 || ch.call.Loopback || code == 488 && !ch.answered.IsZero() {
		return ""
	}
	if !ch.answered.IsZero() {
		ch.faultLocked("respond %s on an answered call: the caller gets a BYE", arg)
	}
	ch.respond, ch.phrase = code, or(phrase, phraseOf(code))
	if ch.where == taken {
		ch.res.Killed = true
	}
	ch.hangupLocked(causeOfStatus(code))
	return ""
}

// transferApp sends the call elsewhere: it leaves the extension it was in.
func transferApp(ch *channel, arg string) string {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	if ch.down {
		return ""
	}
	if ch.where == taken {
		ch.res.Killed = true
	}
	ch.where = sentAway
	ch.res.TransferredTo = arg
	ch.tookLocked()
	ch.stopLocked()
	return ""
}

// schedTransferApp is `sched_transfer +SECONDS DEST`. The switch polls in
// whole seconds, so that +N may come as early as N−1; that is when it comes here.
func schedTransferApp(ch *channel, arg string) string {
	parts := separate(arg, 4)
	if len(parts) < 2 {
		return ""
	}
	seconds, _ := strconv.Atoi(strings.TrimPrefix(parts[0], "+"))
	id := ch.schedule(time.Duration(max(seconds-1, 0)) * time.Second)
	ch.set("last_sched_id", id)
	return ""
}
