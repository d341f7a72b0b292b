package bridge

import (
	"context"
	"time"
)

// Screener decides what happens to calls. It is declared here and filled by screening, so that the bridges
// know nothing of policies.
type Screener interface {
	// Screen decides. It gets nothing that it must not keep, but it must not block: past the call's
	// deadline its answer is thrown away and the call goes on.
	Screen(f *Facts) Verdict
	// Record is told once for every call that the switch has named, after it has it back. Of one whose facts could
	// not all be read, f has those that came before; v is the zero Verdict when there was no decision.
	Record(f *Facts, v *Verdict, r Result)
	// StarCode serves the star codes by which a person in the house reports the last caller (ringfence_intent = report), or
	// lets the one through who was last stopped (release): it says what the person is asked. Like Screen it must not block.
	StarCode(f *Facts) Inquiry
	// Dialled is told of a call that goes out: one that the dialplan hands over with ringfence_intent=dialled. It is
	// given back as soon as Dialled returns, which must not block.
	Dialled(f *Facts)
	// Headers says what a bridge that must ask for each of them reads of a call, besides From. f has what the switch says
	// unasked; of the trunk it knows Endpoint and Trunk.
	Headers(f *Facts) Headers
}

// Headers say what to read of a call. Each costs a call on Asterisk some 0.1 ms.
type Headers struct {
	Asserted bool // P-Asserted-Identity
	RemoteID bool // Remote-Party-ID
	Address  bool // the peer's address
	Diverted bool // Diversion and History-Info
}

// Inquiry is a question to a person in the house, and what the answer brings.
type Inquiry struct {
	Prompt Sound
	Key    string // the one key that confirms
	// Confirm is run when it was pressed and returns what is heard then. Its context ends when the caller is
	// told nothing any more; what it has done by then stands. nil: the prompt asks nothing.
	Confirm func(context.Context) Sound
}

// Verdict is what to do with a call, in no switch's language: each bridge says it in its own. Its texts become channel
// variables: whoever fills them has made them inert (no $ \ % " < > { } ' or control character).
type Verdict struct {
	ID     string // the journal's id of this call
	Action string // what is done
	Would  string // what the rule says
	Rule   string
	Reason string

	ShowName   string      // the caller's name as the handset shall show it; "" leaves it alone
	ShowNumber string      // the same for the number
	Play       Sound       // what the caller hears first
	Challenge  *Challenge  // what the caller must key in then; nil for nothing
	Answer     bool        // answer before anything is played; else it is early media
	Ringing    string      // country (CN) whose ringing tone the caller hears, after all that, while the phone rings; "" for none of ours
	Whisper    string      // sound file that the person who answers hears before the two are connected; "" for none
	Divert     Destination // where the dialplan sends the call once it has it back; the zero value for nowhere else
	Refuse     int         // SIP status that refuses the call (403 … 608); 0 lets it go on
	Refusal    Refusal     // what the refusal says besides
	Brief      bool        // the same caller was refused a moment ago: this refusal may leave out the variables, to be quick

	Held *Held // lets the Screener end what the caller hears; nil if nothing is played

	Note any // what the Screener wants to see again in Record
}

// Destination is an extension in a context of the switch's dialplan.
type Destination struct {
	Extension string // "" for none
	Context   string
	Dialplan  string // of FreeSWITCH, which has several: XML. Asterisk has one
}

// Sound is what the switch plays: a file as the switch finds it, or several behind each other. The zero value is silence.
type Sound struct {
	Files  []string // as paths, each a WAV file
	Length time.Duration
}

// Silent reports whether there is nothing to hear.
func (s Sound) Silent() bool { return len(s.Files) == 0 }

// Sounds are several sounds played behind each other.
func Sounds(each ...Sound) Sound {
	var all Sound
	for _, s := range each {
		all.Files = append(all.Files, s.Files...)
		all.Length += s.Length
	}
	return all
}

// Challenge is what a caller must key in to be put through.
type Challenge struct {
	Tries  []Question // in their order
	Passed Sound      // what who passes hears
	Failed Sound      // what who does not hears
	Refuse int        // SIP status that refuses who does not pass; 0 lets the call go on
}

// Question is a prompt and the digits that answer it.
type Question struct {
	Prompt Sound
	Want   string
}

// Refusal is what a refusal says besides its SIP status. Both texts come from the administrator and hold
// nothing that the switch expands.
type Refusal struct {
	CallInfo string // value of a Call-Info header (RFC 8688); "" for none
	Reason   string // value of a Reason header in place of the switch's own; "" for that
	Phrase   string // in place of the phrase that goes with the status; "" for that
}

// Result is what became of a screened call.
type Result struct {
	FailOpen  string        // why the call was let through without the verdict; "" if it was carried out
	HungUp    bool          // the caller gave up before we were done
	Keyed     Keyed         // how the caller met the verdict's Challenge
	Dismissed bool          // the verdict's Held was dismissed before the caller was through
	Took      time.Duration // from accept until the switch had the call back
}

// Keyed says how a caller met a challenge.
type Keyed int

const (
	NotAsked     Keyed = iota // there was none, or the caller hung up before it
	KeyedLeft                 // the caller hung up before a prompt had been heard to its end
	KeyedNothing              // the caller heard a whole prompt and pressed no key: many cannot
	KeyedWrong
	KeyedRight
)

// Reasons of a fail-open (Result.FailOpen, and the keys of Counters).
const (
	FailDeadline = "deadline" // no decision in time, or the switch was silent for too long
	FailLate     = "late"     // the connection had waited past its deadline before we saw it
	FailWire     = "wire"     // the connection broke, or what came was not in the switch's protocol
	FailCommand  = "command"  // the switch refused a command of ours
	FailPanic    = "panic"    // a fault of our own
	FailLimit    = "limit"    // too many calls at once
	FailStopping = "stopping" // the daemon ends
	FailUnheard  = "unheard"  // the switch took the call back before it did anything we said
)
