package screening

import (
	"crypto/rand"
	"math/big"
	"strings"

	"ringfence/bridge"
	"ringfence/conf"
	"ringfence/inforce"
	"ringfence/number"
	"ringfence/policy"
)

// carryOut turns a decision into what the switch shall do. What cannot be done lets the call pass.
func (sc *Screener) carryOut(v *bridge.Verdict, f *bridge.Facts, c *considered, r *inforce.Rules) {
	dec := &c.decision
	pass := func(why string) {
		v.Action, v.Reason = policy.Allow.String(), number.InertUpTo("let through: "+why+" ("+dec.Reason()+")", maxReason)
	}
	switch dec.Action {
	case policy.Tag:
		name, shown := c.call.Name, c.call.Caller.Shown()
		if c.call.Withheld || c.call.Caller.Kind == number.Anonymous {
			name, shown = "", "" // neither is shown on a handset
		}
		v.ShowName = number.TagName(dec.Label, name, shown)
	case policy.Warn, policy.Reject:
		if dec.Announcement != "" {
			sound, err := r.Sounds.Find(dec.Announcement)
			if err != nil && dec.Action == policy.Warn {
				pass("its announcement is missing")
				return
			} else if err == nil {
				v.Play, v.Answer = soundOf(sound), dec.Media == "answer"
				v.Ringing = r.Policy.Country()
			}
		}
		if dec.Action == policy.Reject || dec.Then == "hangup" {
			v.Refuse = dec.SIP
		}
	case policy.Divert:
		v.Divert = destination(dec.To, f.Context)
	case policy.Challenge:
		challenge, err := challengeOf(dec, r.Sounds)
		if err != nil {
			pass("a recording of the challenge is missing")
			return
		}
		v.Challenge, v.Answer = challenge, dec.Media == "answer"
		v.Ringing = r.Policy.Country()
	}
	v.Refusal = sc.refusal(v)
	if dec.Whisper != "" && v.Refuse == 0 {
		if sound, err := r.Sounds.Find(dec.Whisper); err == nil { // else the two are connected without
			v.Whisper = sound.File
		}
	}
}

// refusal is what a refusal says besides its code.
func (sc *Screener) refusal(v *bridge.Verdict) bridge.Refusal {
	status := v.Refuse
	if v.Challenge != nil {
		status = v.Challenge.Refuse
	}
	switch c := sc.o.Reject; {
	case status == 608 && c.Redress != "":
		return bridge.Refusal{CallInfo: "<" + c.Redress + ">;purpose=jwscard"}
	case status == 603 && c.Analytics != "":
		return bridge.Refusal{Reason: `Q.850;cause=21;text="v=analytics1;` + c.Analytics + `"`, Phrase: "Network Blocked"}
	}
	return bridge.Refusal{}
}

// destination completes a rule's `to`. An extension alone is one of the context that the call came in by;
// were it not named here, the switch would look for it in the context that transfers the call.
func destination(to, context string) bridge.Destination {
	if to == "voicemail" {
		return bridge.Destination{Extension: "voicemail", Context: "ringfence-after"} // of the shipped dialplan
	}
	if words := strings.Fields(to); len(words) == 3 {
		return bridge.Destination{Extension: words[0], Dialplan: words[1], Context: words[2]}
	}
	if number.Inert(context) != context || context == "" || strings.Contains(context, " ") {
		context = "public"
	}
	return bridge.Destination{Extension: to, Context: context}
}

// challengeOf prepares the prompts of a challenge, with digits of its own for each try. The error names a
// recording that is missing.
func challengeOf(d *policy.Decision, sounds *conf.Sounds) (*bridge.Challenge, error) {
	find := func(name string) (bridge.Sound, error) {
		s, err := sounds.Find(name)
		return soundOf(s), err
	}
	ch := &bridge.Challenge{}
	var err error
	if ch.Passed, err = find("challenge-passed"); err != nil {
		return nil, err
	}
	if d.Otherwise != "allow" {
		ch.Refuse = d.SIP
		if ch.Failed, err = find("challenge-failed"); err != nil {
			return nil, err
		}
	}
	for try := range d.Tries {
		name := "challenge-intro"
		if try > 0 {
			name = "challenge-again"
		}
		prompt, err := find(name)
		if err != nil {
			return nil, err
		}
		digits := randomDigits(d.Digits)
		spoken, err := sounds.Digits(digits)
		if err != nil {
			return nil, err
		}
		parts := []bridge.Sound{prompt}
		for _, s := range spoken {
			parts = append(parts, soundOf(s))
		}
		ch.Tries = append(ch.Tries, bridge.Question{Prompt: bridge.Sounds(parts...), Want: digits})
	}
	return ch, nil
}

// soundOf is an announcement as the bridges take it.
func soundOf(s conf.Sound) bridge.Sound {
	if s.File == "" {
		return bridge.Sound{}
	}
	return bridge.Sound{Files: []string{s.File}, Length: s.Length}
}

// randomDigits cannot be guessed by a machine that has heard others.
func randomDigits(n int) string {
	ten := big.NewInt(10)
	out := make([]byte, n)
	for i := range out {
		d, _ := rand.Int(rand.Reader, ten) // never fails
		out[i] = '0' + byte(d.Int64())
	}
	return string(out)
}
