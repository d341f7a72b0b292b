package replay

import (
	"errors"
	"net/netip"
	"strconv"
	"strings"

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

	out        direction // which way it went, where the file says so
	shown      string    // our number that a call that went out showed; "" if the file does not say
	unreadable bool      // who called: a spreadsheet has rounded the number away
	part       part      // of which call this is a record, where a call has several

	Ended     bool    // what became of the call is known
	Answered  bool    // somebody picked up
	Talk      float64 // seconds of conversation
	Ring      float64 // seconds until somebody picked up, or until it was over
	ringKnown bool    // the file says so

	label label // whether the call was wanted, where the file says so

	was       Verdict // what was decided then
	recorded  bool    // was holds something
	undecided bool    // the call passed without a decision: paused, or a technical failure
	stopped   bool    // it was kept from ringing then, or would have been but for a trial

	repeats uint64 // further calls like it within a minute, which nobody answered: the journal has one record of them all
	trial   bool   // a doctor's
}

// weight is how many calls a record stands for.
func (c *Call) weight() uint64 { return 1 + c.repeats }

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

var errTalk = errors.New("is no number of seconds")

// parseTalk reads how long people talked: seconds, or 1:02:03. comma says that a comma may stand before a fraction.
func parseTalk(text string, comma bool) (float64, error) {
	if text == "" {
		return 0, nil
	}
	if comma {
		text = strings.Replace(text, ",", ".", 1)
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
func parseAnswered(text string, c *clock) bool {
	switch strings.ToLower(text) {
	case "true", "t", "yes", "y", "1", "answered", "answer":
		return true
	}
	_, ok := c.read(text)
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
