package ami

import (
	"bytes"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"ringfence/attach"
)

// channel is what an event says of a channel.
type channel struct {
	name   string // PJSIP/telecom-0000001f
	state  int    // of enum ast_channel_state
	number string // CallerIDNum: on a channel that Asterisk placed, whom it called
	title  string // CallerIDName
	shown  string // ConnectedLineNum: on a channel that Asterisk placed, the number shown there
	context,
	exten string
	uuid   string // Uniqueid
	linked string // Linkedid: the Uniqueid of the channel that all began with

	id    string // ChanVariables, where the administrator has Asterisk tell them
	guard bool
}

// States of a channel (channelstate.h).
const (
	stateRing    = 4 // it called in
	stateRinging = 5 // the phone it was placed to rings
	stateUp      = 6
	stateBusy    = 7 // the dialplan refused it with Busy or Congestion
)

// channelKeys are the lines that describe a channel, in Asterisk's order (ast_manager_build_channel_state_string_prefix),
// the same from Asterisk 13 to 23.
var channelKeys = [...]string{
	"Channel", "ChannelState", "ChannelStateDesc", "CallerIDNum", "CallerIDName", "ConnectedLineNum",
	"ConnectedLineName", "Language", "AccountCode", "Context", "Exten", "Priority", "Uniqueid", "Linkedid",
}

// channelOf reads the description of a channel whose keys have a prefix. ok is false unless each of its lines is there
// once and in order: a caller may have written lines, or ended the block, within CallerIDNum, ConnectedLineNum and
// Exten. These hold at most 79 bytes of theirs (AST_CHANNEL_NAME, AST_MAX_EXTENSION), so they cannot write the lines that are missing
// between theirs and a Uniqueid after a number; after Exten they can. But the channel's name stands before all that is theirs,
// except that chan_sip names a guest's channel by the domain they give: docs/asterisk.md says allowguest=no.
// there is false when no such channel is described at all.
func (b *block) channelOf(prefix string) (c channel, there, ok bool) {
	want := 0
	for i := range b.fields {
		key, match := bytes.CutPrefix(b.key(i), []byte(prefix))
		switch {
		case !match:
		case want == len(channelKeys) && string(key) == "ChanVariable":
			c.variable(string(b.value(i)))
		case want < len(channelKeys) && string(key) == channelKeys[want]:
			c.take(want, b.value(i))
			want++
		case want > 0 && isChannelKey(key):
			return channel{}, true, false
		}
	}
	return c, want > 0, want == len(channelKeys) && c.name != "" && c.uuid != "" && c.linked != "" && !b.odd
}

func isChannelKey(key []byte) bool {
	for _, k := range channelKeys {
		if k == string(key) {
			return true
		}
	}
	return false
}

// take takes the line number i of channelKeys.
func (c *channel) take(i int, value []byte) {
	switch i {
	case 0:
		c.name = text(value)
	case 1:
		c.state, _ = strconv.Atoi(string(value))
	case 3:
		c.number = text(value)
	case 4:
		c.title = text(value)
	case 5:
		c.shown = text(value)
	case 9:
		c.context = text(value)
	case 10:
		c.exten = text(value)
	case 12:
		c.uuid = text(value)
	case 13:
		c.linked = text(value)
	}
}

// text is a value, cut to attach.MaxText bytes; "" for none.
func text(value []byte) string {
	if string(value) == "<unknown>" {
		return ""
	}
	if room := attach.MaxText + utf8.UTFMax; len(value) > room {
		value = value[:room]
	}
	return attach.Cut(string(value))
}

// variable takes NAME=VALUE.
func (c *channel) variable(text string) {
	switch name, value, _ := strings.Cut(text, "="); name {
	case "RINGFENCE_ID":
		if len(value) <= 64 && strings.Trim(value, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") == "" {
			c.id = value
		}
	case "RINGFENCE_GUARD":
		c.guard = value == "fired"
	}
}

// began is when a channel began, by its Uniqueid [SYSTEM-]SECONDS.NUMBER; zero if it does not say, or says the future.
func began(uuid string, now time.Time) time.Time {
	seconds, _, ok := strings.Cut(uuid[strings.LastIndexByte(uuid, '-')+1:], ".")
	n, err := strconv.ParseInt(seconds, 10, 64)
	if t := time.Unix(n, 0); ok && err == nil && t.Before(now) && now.Sub(t) < attach.LongestCall {
		return t
	}
	return time.Time{}
}

// dialled is the number in what Dial was told: ENDPOINT/sip:NUMBER@HOST, NUMBER@ENDPOINT, or "" of an ENDPOINT alone.
func dialled(dialString string) string {
	if _, uri, ok := strings.Cut(dialString, "/sip:"); ok {
		dialString = uri
	} else if _, uri, ok := strings.Cut(dialString, "/sips:"); ok {
		dialString = uri
	} else if !strings.Contains(dialString, "@") {
		return ""
	}
	number, _, _ := strings.Cut(dialString, "@")
	number, _, _ = strings.Cut(number, ";")
	return number
}
