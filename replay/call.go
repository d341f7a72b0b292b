package replay

import (
	"errors"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"ringfence/policy"
)

// Call is one call that a file tells of.
type Call struct {
	Line int    // where in its file, from 1
	ID   string // the journal's or the switch's, "" if the file has none

	// Facts are what the caller and the switch said. Trunk and Inside are found for each policy, from origin
	// and claim.
	Facts  policy.Facts
	origin origin
	claim  claim

	Ended    bool    // what became of the call is known
	Answered bool    // somebody picked up
	Talk     float64 // seconds of conversation

	was       Verdict // what was decided then
	recorded  bool    // was holds something
	undecided bool    // the call passed without a decision: paused, or a technical failure
}

// claim reports whether a call may come from an internal number where its trunk does not say so.
type claim uint8

const (
	claimNone    claim = iota
	claimJournal       // the journal took the number for internal: an authenticated user called, or the trunk was one that may claim it
	claimUnknown       // a call detail record, which does not say; most such calls are those of the PBX's own phones
)

// origin is what a file says of where a call came in.
type origin struct {
	any       string // a trunk's name, or the gateway, endpoint, profile or address it is known by
	switching policy.TrunkFacts
}

// trunk is the trunk of a policy that a call came in by, as in a live call. A name that the policy does not
// know is kept.
func (o *origin) trunk(p *policy.Policy) string {
	if o.any == "" {
		return p.Trunk(o.switching).Name
	}
	if p.TrunkNamed(o.any).Known {
		return o.any
	}
	f := policy.TrunkFacts{Gateway: o.any, Endpoint: o.any, Profile: o.any}
	switch kind, value, _ := strings.Cut(o.any, ":"); kind {
	case "gateway":
		f = policy.TrunkFacts{Gateway: value}
	case "endpoint":
		f = policy.TrunkFacts{Endpoint: value}
	case "profile":
		f = policy.TrunkFacts{Profile: value}
	}
	f.Address, _ = netip.ParseAddr(o.any)
	if name := p.Trunk(f).Name; name != "" {
		return name
	}
	return o.any
}

// earliest is the first year a call is taken to be of: switches write 1970 for a call that was never answered.
const earliest = 1980

// timeForms is what advice about times shows.
const timeForms = "2026-03-02 09:30:00, 2026-03-02T09:30:00+08:00, or seconds since 1970"

// parseTime reads a time. Without an offset it is meant by the clock of zone; digits alone are seconds since
// 1970, milliseconds from 12 digits on, microseconds from 15 on. ok is false for what is no time, or one
// before 1980.
func parseTime(text string, zone *time.Location) (t time.Time, ok bool) {
	if t, ok = plainTime(text, zone); !ok {
		t, ok = otherTime(text, zone)
	}
	if !ok || t.Year() < earliest || t.Year() > 9999 {
		return time.Time{}, false
	}
	return t, true
}

// plainTime reads 2026-03-02 09:30:00, which nearly all switches write, many times faster than time.Parse.
func plainTime(s string, zone *time.Location) (time.Time, bool) {
	if len(s) != len(time.DateTime) || s[4] != '-' || s[7] != '-' || s[10] != ' ' && s[10] != 'T' || s[13] != ':' || s[16] != ':' {
		return time.Time{}, false
	}
	var v [6]int
	for i, span := range [...][2]int{{0, 4}, {5, 7}, {8, 10}, {11, 13}, {14, 16}, {17, 19}} {
		for _, c := range []byte(s[span[0]:span[1]]) {
			if c < '0' || c > '9' {
				return time.Time{}, false
			}
			v[i] = v[i]*10 + int(c-'0')
		}
	}
	t := time.Date(v[0], time.Month(v[1]), v[2], v[3], v[4], v[5], 0, zone)
	if t.Day() != v[2] || v[1] < 1 || v[1] > 12 || v[3] > 23 || v[4] > 59 || v[5] > 59 {
		return time.Time{}, false
	}
	return t, true
}

func otherTime(s string, zone *time.Location) (time.Time, bool) {
	if whole, fraction, _ := strings.Cut(s, "."); len(whole) <= 16 && strings.Trim(whole+fraction, "0123456789") == "" {
		n, err := strconv.ParseInt(whole, 10, 64)
		switch {
		case err != nil:
			return time.Time{}, false
		case len(whole) >= 15:
			return time.UnixMicro(n), true
		case len(whole) >= 12:
			return time.UnixMilli(n), true
		}
		return time.Unix(n, 0), true
	}
	for _, layout := range [...]string{time.RFC3339, time.DateTime, "2006-01-02T15:04:05", "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05 -0700", "2006-01-02T15:04:05-0700", "2006-01-02 15:04"} {
		if t, err := time.ParseInLocation(layout, s, zone); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

var errTalk = errors.New("is no number of seconds")

// parseTalk reads how long people talked: seconds, or 1:02:03.
func parseTalk(text string) (float64, error) {
	if text == "" {
		return 0, nil
	}
	total := 0.0
	for part := range strings.SplitSeq(text, ":") {
		n, err := strconv.ParseFloat(part, 64)
		if err != nil || !(n >= 0 && n < 1e12) {
			return 0, errTalk
		}
		total = total*60 + n
	}
	if total > 1e12 {
		return 0, errTalk
	}
	return total, nil
}

// parseAnswered reads whether somebody picked up: true or 1, a disposition, or the time when it was.
func parseAnswered(text string, zone *time.Location) bool {
	switch strings.ToLower(text) {
	case "true", "t", "yes", "y", "1", "answered", "answer":
		return true
	}
	_, ok := parseTime(text, zone)
	return ok
}

// callerName takes the name out of a caller's "Li Wei" <13800138000>, as Asterisk writes it.
func callerName(text string) string {
	name, number, ok := strings.Cut(text, "<")
	if !ok || !strings.HasSuffix(number, ">") {
		return text
	}
	name = strings.TrimSpace(name)
	if len(name) >= 2 && name[0] == '"' && name[len(name)-1] == '"' {
		name = name[1 : len(name)-1]
	}
	return name
}

// channelOrigin tells where a call came in from the name of its channel: PJSIP/telecom-0000001a is the
// endpoint telecom, sofia/external/13800138000@203.0.113.7 the profile external.
func channelOrigin(channel string, o *policy.TrunkFacts) {
	technology, rest, ok := strings.Cut(channel, "/")
	if !ok {
		return
	}
	switch strings.ToLower(technology) {
	case "pjsip", "sip", "iax2":
		if at := strings.LastIndexByte(rest, '-'); at > 0 {
			o.Endpoint = rest[:at]
		}
	case "sofia":
		o.Profile, _, _ = strings.Cut(rest, "/")
	}
}
