package ami

import (
	"strconv"
	"strings"
	"time"

	"ringfence/attach"
)

// Bounds of what is kept of calls that are up. What does not fit, or is forgotten, is known by what its last event
// says alone, as if this program had been started meanwhile.
const (
	maxLegs = 20_000
	legAge  = 24 * time.Hour // without a word
)

// legs are the channels that are up, by their names: of what an event says, a caller cannot write the name. They
// outlive a connection to the switch.
type legs struct {
	byName  map[string]*leg
	byUUID  map[string]*leg
	bridges map[string]*bridged
	count   *attach.Counters
	looked  time.Time // when old ones were last looked for
}

// bridged is who is connected.
type bridged struct {
	in   []*leg
	left *leg // who left last
}

// begin takes a new connection: who is in which bridge may have changed meanwhile.
func (t *legs) begin(c *attach.Counters) {
	if t.byName == nil {
		t.byName, t.byUUID = map[string]*leg{}, map[string]*leg{}
	}
	t.bridges = map[string]*bridged{}
	for _, l := range t.byName {
		l.bridge = ""
	}
	t.count = c
}

// events are those that are of use here.
var events = map[string]bool{
	"Newchannel": true, "Newstate": true, "NewCallerid": true, "DialBegin": true, "DialState": true, "DialEnd": true,
	"BridgeEnter": true, "BridgeLeave": true, "HangupRequest": true, "Hangup": true, "Rename": true,
}

// take takes an event. ended is a leg that is over, nil if none is. ok is false if the event cannot be what
// Asterisk wrote.
func (t *legs) take(name string, b *block, now time.Time) (ended *leg, ok bool) {
	if name == "Rename" {
		return nil, t.rename(b)
	}
	c, there, ok := b.channelOf("")
	if !ok && there || !there && !strings.HasPrefix(name, "Dial") {
		return nil, false
	}
	var l *leg
	if there {
		if l = t.leg(name, &c, now); l == nil {
			return nil, false
		}
	}
	switch name {
	case "DialBegin", "DialState", "DialEnd":
		return nil, t.dial(name, l, b, now)
	case "BridgeEnter":
		if !strings.HasPrefix(b.first("BridgeTechnology"), "holding") { // parked, or on hold: nobody is with them
			t.join(l, b.first("BridgeUniqueid"), now)
			if n := b.first("BridgeNumChannels"); n != "1" {
				l.withSomebody()
			}
		}
	case "BridgeLeave":
		if !strings.HasPrefix(b.first("BridgeTechnology"), "holding") {
			t.leave(l, b, now)
		}
	case "HangupRequest":
		if l.asked.IsZero() && !l.busy {
			l.asked = now
			l.cause, _ = strconv.Atoi(b.last("Cause"))
		}
	case "Hangup":
		l.cause, _ = strconv.Atoi(b.last("Cause"))
		t.remove(l)
		return l, true
	}
	return nil, true
}

// leg finds the leg of a channel, or begins one, and notes what has changed. nil: the event names another channel by
// its Uniqueid than by its name. A leg for which there is no room is not kept.
func (t *legs) leg(event string, c *channel, now time.Time) *leg {
	l := t.byName[c.name]
	if l != nil && event == "Newchannel" {
		t.lose(l)
		l = nil
	}
	if l == nil {
		l = &leg{channel: *c, key: c.name, created: now, placed: c.state != stateRing}
		if event == "Newchannel" {
			l.home = c.context
		} else {
			l.created, l.placed = began(c.uuid, now), c.uuid != c.linked
			if c.state == stateUp {
				l.late, l.answered = true, l.created
			}
		}
		if o := t.byUUID[c.linked]; l.placed && o != nil {
			l.other, l.from = o, o.channel
		}
		t.keep(l, event, now)
	}
	if l.uuid != c.uuid {
		return nil
	}
	l.heard = now
	l.update(c, now)
	return l
}

// update takes what an event says of a leg that is known.
func (l *leg) update(c *channel, now time.Time) {
	switch c.state {
	case stateRing: // chan_sip begins with another state
		l.placed = l.placed && l.from.name != ""
	case stateRinging:
		if l.placed && l.rang.IsZero() {
			l.rang = now
		}
	case stateUp:
		if l.answered.IsZero() {
			l.answered = now
		}
	case stateBusy:
		if !l.placed { // the caller's end takes note of it, sometimes before it is told here
			l.busy, l.asked = true, time.Time{}
		}
	}
	if l.placed && l.number == "" { // the dialplan tells only now whom it calls, and for whom
		l.number = c.number
	}
	if l.shown == "" {
		l.shown = c.shown
	}
	if special(l.exten) && !special(c.exten) {
		l.exten = c.exten
	}
	if c.id != "" {
		l.id = c.id
	}
	l.guard = l.guard || c.guard
}

// keep finds room for a leg.
func (t *legs) keep(l *leg, event string, now time.Time) {
	if event == "Hangup" {
		return
	}
	if len(t.byName) >= maxLegs {
		t.forget(now)
	}
	if len(t.byName) >= maxLegs {
		if event == "Newchannel" {
			t.count.NoRoom.Add(1)
		}
		return
	}
	t.byName[l.key] = l
	if t.byUUID[l.uuid] == nil { // what a caller writes takes nobody's place
		t.byUUID[l.uuid] = l
	}
}

// forget drops legs that have not been heard of for a long time.
func (t *legs) forget(now time.Time) {
	if now.Sub(t.looked) < time.Minute {
		return
	}
	t.looked = now
	for _, l := range t.byName {
		if now.Sub(l.heard) > legAge {
			t.lose(l)
		}
	}
}

// lose takes out a leg whose end was missed.
func (t *legs) lose(l *leg) {
	t.remove(l)
	l.other = nil
	t.count.Forgotten.Add(1)
}

// remove takes a leg out of the table. What it was connected with still knows it.
func (t *legs) remove(l *leg) {
	if t.byName[l.key] == l {
		delete(t.byName, l.key)
	}
	if t.byUUID[l.uuid] == l {
		delete(t.byUUID, l.uuid)
	}
	if b := t.bridges[l.bridge]; b != nil {
		b.drop(l)
		if len(b.in) == 0 {
			delete(t.bridges, l.bridge)
		}
	}
	l.bridge = ""
}

// dial takes what becomes of ringing somebody. by is the leg that rings them, nil if it is none's.
func (t *legs) dial(event string, by *leg, b *block, now time.Time) bool {
	c, there, ok := b.channelOf("Dest")
	if !there || !ok {
		return false
	}
	l := t.leg(event, &c, now)
	if l == nil || l == by {
		return false
	}
	status := b.last("DialStatus")
	l.placed = true
	from := by
	if by != nil && by.local() { // the leg that all began with is who calls
		if first := t.byUUID[by.linked]; first != nil && first != l {
			from = first
		}
	}
	if event == "DialBegin" {
		l.dial = b.last("DialString")
	}
	if from != nil && l.bridged.IsZero() {
		l.other, l.from = from, from.channel
	}
	if by == nil {
		return true
	}
	switch {
	case event == "DialBegin":
		by.status, by.tried = "", now
	case event == "DialEnd":
		by.status, l.status = status, status
	case by.rang.IsZero() && (status == "RINGING" || status == "PROGRESS"):
		by.rang = now
	}
	if by.bridged.IsZero() && (by.other == nil || by.other.answered.IsZero()) { // not one that was quicker
		by.other = l
	}
	return true
}

// join takes a leg into a bridge, and connects it with who is there.
func (t *legs) join(l *leg, id string, at time.Time) {
	if l.bridge == id || id == "" || t.byName[l.key] != l {
		return
	}
	if old := t.bridges[l.bridge]; old != nil {
		old.drop(l)
	}
	b := t.bridges[id]
	if b == nil {
		if len(t.bridges) >= maxLegs {
			return
		}
		b = &bridged{}
		t.bridges[id] = b
	}
	with := b.left
	if n := len(b.in); n > 0 {
		with = b.in[n-1]
	}
	l.bridge, l.joined, b.in = id, at, append(b.in, l)
	if with != nil && with != l {
		l.connect(with, at)
		with.connect(l, at)
		t.through(l, with)
		t.through(with, l)
	}
}

// through connects a leg with who is at the other end of the Local channel that it is connected with.
func (t *legs) through(l, with *leg) {
	if !with.local() {
		return
	}
	last := len(with.key) - 1 // NAME;1 and NAME;2
	half := t.byName[with.key[:last]+map[byte]string{'1': "2", '2': "1"}[with.key[last]]]
	if half != nil && half.other != nil && half.other != l && !half.other.local() {
		l.other, half.other.other = half.other, l
	}
}

// connect notes with whom a leg is connected.
func (l *leg) connect(with *leg, at time.Time) {
	l.other = with
	if l.bridged.IsZero() {
		l.bridged = at
	}
}

// leave takes a leg out of a bridge.
func (t *legs) leave(l *leg, b *block, now time.Time) {
	id, others := b.first("BridgeUniqueid"), b.first("BridgeNumChannels") != "0"
	if l.bridge != id { // it was there before we came
		at := now
		if l.late {
			at = l.created
		}
		t.join(l, id, at)
	}
	if others {
		l.withSomebody()
	}
	l.bridge, l.joined = "", time.Time{}
	br := t.bridges[id]
	if br == nil {
		return
	}
	br.drop(l)
	br.left = l
	if !others {
		for _, lost := range br.in { // whose leaving was missed
			lost.bridge = ""
		}
		delete(t.bridges, id)
	}
}

// withSomebody notes that a leg is connected with another, of which we may not have heard.
func (l *leg) withSomebody() {
	if l.bridged.IsZero() {
		l.bridged = l.joined
	}
}

func (b *bridged) drop(l *leg) {
	for i := range b.in {
		if b.in[i] == l {
			b.in = append(b.in[:i], b.in[i+1:]...)
			return
		}
	}
}

// rename takes the new name of a channel, as after a transfer.
func (t *legs) rename(b *block) bool {
	from, to := b.first("Channel"), b.last("Newname")
	l := t.byName[from]
	if l == nil {
		return true
	}
	if l.uuid != b.last("Uniqueid") || to == "" || b.odd {
		return false
	}
	if old := t.byName[to]; old != nil && old != l {
		t.lose(old)
	}
	delete(t.byName, from)
	l.key = to
	t.byName[to] = l
	return true
}
