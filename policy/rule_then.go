package policy

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"ringfence/number"
	"ringfence/tomlfile"
)

const day = 24 * time.Hour

// MaxGrace is the longest that a caller who left a challenge may be let through later.
const MaxGrace = day

// readRule reads one [[rule]]. The name is "" when the file gives none that can be used.
func (r *reader) readRule(s *section) rule {
	out := rule{line: s.at.Line, at: make(map[string]int)}
	for key := range s.values {
		out.at[key] = s.line(key)
	}
	out.name = r.ruleName(s)
	out.conditions = r.readWhen(s)
	out.trial = s.oneOf("mode", "enforce", "observe") == "observe"

	action, ok := r.readAction(s)
	if !ok {
		s.only(tableKeys["rule"], conditionHints())
		return out
	}
	r.onlyKeysOf(s, action)
	out.do = r.readTreatment(s, action, out.find(onTrunk))
	r.checkGrounds(s, &out)
	return out
}

// readAction reads a rule's action; ok is false if there is none that can be used.
func (r *reader) readAction(s *section) (Action, bool) {
	if !s.has("action") {
		s.fault("action", "is missing: write what the rule does, one of %s", strings.Join(actionNames[:], ", "))
		return Allow, false
	}
	word, ok := s.text("action", "warn")
	if !ok {
		return Allow, false
	}
	action, ok := ParseAction(word)
	if !ok {
		s.fault("action", "%q is no action: %s", word, tomlfile.DidYouMean(word, actionNames[:]))
	}
	return action, ok
}

// ruleName reads and checks the name of a rule.
func (r *reader) ruleName(s *section) string {
	name := s.newName("rule", "sales calls", r.ruleLine)
	if contains(ReservedRules(), name) {
		s.fault("name", "%q stands for decisions that no rule makes: write another name", name)
		delete(r.ruleLine, name)
	}
	return name
}

// newName reads the name of a rule or a detector, which no other of those may have, and notes where it stands. It is "" when the file gives none
// that can be used.
func (s *section) newName(what, example string, taken map[string]int) string {
	if !s.has("name") {
		s.fault("name", "is missing: write what the %s is for, as in name = %q", what, example)
		return ""
	}
	name, ok := s.text("name", example)
	if !ok {
		return ""
	}
	switch earlier, twice := taken[name]; {
	case name == "":
		s.fault("name", "is empty: write what the %s is for, as in name = %q", what, example)
	case number.Inert(name) != name:
		s.fault("name", "%s", inertAdvice(name))
	case twice:
		s.fault("name", "%q is already the name of the %s on line %d: write another name", name, what, earlier)
	default:
		taken[name] = s.line("name")
	}
	return name
}

// inertAdvice says what a text that goes to handsets and channel variables must look like.
func inertAdvice(text string) string {
	if clean := number.Inert(text); clean != "" {
		return fmt.Sprintf("has characters that a dialplan would act on, or more than %d of them: write %q", number.MaxInert, clean)
	}
	return "has nothing that a handset could show: write letters or digits"
}

// conditionHints answer for conditions written beside `when` instead of in it.
func conditionHints() map[string]string {
	hints := make(map[string]string)
	for _, key := range whenKeys() {
		value := "[…]"
		switch key {
		case onKnown.String(), scopeKey, onAgain.String():
			value = `"…"`
		case onIdentityDiffers.String(), onDiverted.String():
			value = "true"
		case onScore.String():
			value = conditionExamples[onScore]
		}
		hints[key] = fmt.Sprintf("is a condition: write it inside when, as in when = { %s = %s }", key, value)
	}
	return hints
}

// onlyKeysOf notes keys that are unknown and keys that another action takes.
func (r *reader) onlyKeysOf(s *section, action Action) {
	known := append(append([]string(nil), ruleKeys...), actionKeys[action]...)
	hints := conditionHints()
	for _, key := range tableKeys["rule"] {
		if contains(known, key) {
			continue
		}
		var takers []string
		for a, keys := range actionKeys {
			if contains(keys, key) {
				takers = append(takers, actionNames[a])
			}
		}
		hints[key] = fmt.Sprintf("does nothing with action = %q, only with %s: take it out or change the action", action, orList(takers))
	}
	s.only(known, hints)
}

// readTreatment reads the keys of an action. from is the rule's condition on trunks, nil if calls of every trunk may meet it.
func (r *reader) readTreatment(s *section, action Action, from *condition) treatment {
	t := byDefault(action)
	takes := func(key string) bool { return contains(actionKeys[action], key) && s.has(key) }

	if action == Tag && !s.has("label") {
		s.fault("label", "is missing: write what the handset shows before the caller's name, as in label = %q", "Sales?")
	}
	if takes("label") {
		t.label = r.shownText(s, "label", "Sales?")
	}
	if action == Warn && !s.has("announcement") {
		s.fault("announcement", "is missing: write what the caller hears, as in announcement = %q", DefaultAnnouncement)
	}
	if takes("announcement") {
		t.announcement = r.soundName(s, "announcement")
	}
	if takes("whisper") {
		t.whisper = r.soundName(s, "whisper")
	}
	if takes("then") {
		t.then = s.oneOf("then", "continue", "hangup")
	}
	if takes("media") {
		t.media = s.oneOf("media", "early", "answer")
	}
	if t.then == "hangup" {
		t.overflow = "reject" // else a campaign that fills the trunk would ring the phones it was kept from
	}
	if takes("overflow") {
		t.overflow = s.oneOf("overflow", "allow", "reject")
	}
	if takes("otherwise") {
		t.otherwise = s.oneOf("otherwise", "reject", "allow")
	}
	if action == Divert && !s.has("to") {
		s.fault("to", "is missing: write where the call goes: an extension, \"voicemail\", or \"extension dialplan context\"")
	}
	if takes("to") {
		t.to = r.destination(s)
	}
	if takes("sip") {
		t.sip = r.sipCode(s)
		r.sipAdvice(s, t, from)
	}
	if action == Challenge {
		t.digits = s.number("digits", t.digits, 1, 8)
		t.tries = s.number("tries", t.tries, 1, 9)
		t.remember = s.duration("remember", t.remember, 0, 3650*day)
		t.grace = s.duration("grace", t.grace, 0, MaxGrace)
		if t.grace > 0 && t.grace < GraceGap {
			s.warn("grace", "lets nobody through, since who calls again within 30 seconds is asked again: write a longer one, as in grace = %q, or 0", "10m")
		}
	}
	return t
}

// shownText reads a text that a handset shows.
func (r *reader) shownText(s *section, key, example string) string {
	text, ok := s.text(key, example)
	if ok && text == "" {
		s.fault(key, "is empty: write a text, as in %s = %q", key, example)
	} else if ok && number.Inert(text) != text {
		s.fault(key, "%s", inertAdvice(text))
	}
	return text
}

// announcement is the name of a message: a file's name without folder and ending, with a language in front
// where the country's is not meant.
var announcement = regexp.MustCompile(`^([a-z]{2}/)?[A-Za-z0-9_-]+$`)

// soundName reads the name of a recorded message: a name, not a path.
func (r *reader) soundName(s *section, key string) string {
	name, ok := s.text(key, DefaultAnnouncement)
	if !ok {
		return ""
	}
	switch {
	case name == "":
		s.fault(key, "is empty: write the name of a message, as in %s = %q", key, DefaultAnnouncement)
	case len(name) > 64:
		s.fault(key, "%s", badName(name))
	case !announcement.MatchString(name):
		s.fault(key, "%q is no name of a message: write letters, digits, - and _, as in %s = %q, with a language in front if it must be that one, as in %q",
			name, key, DefaultAnnouncement, "en/"+DefaultAnnouncement)
	default:
		r.policy.sounds = append(r.policy.sounds, mention{name: name, line: s.line(key), key: s.key(key)})
	}
	return name
}

// destination reads where a diverted call goes.
func (r *reader) destination(s *section) string {
	to, ok := s.text("to", "voicemail")
	if !ok {
		return ""
	}
	words := strings.Split(to, " ")
	const form = "write an extension, \"voicemail\", or \"extension dialplan context\" with one space between"
	if len(words) != 1 && len(words) != 3 {
		s.fault("to", "%q has %d words: %s", to, len(words), form)
		return to
	}
	for _, w := range words {
		if w == "" || strings.Trim(w, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+*#_.-") != "" {
			s.fault("to", "%q is no destination: %s", to, form)
			return to
		}
	}
	return to
}

// sipCode reads the SIP answer of a refused call.
func (r *reader) sipCode(s *section) int {
	code := 603
	n, ok := s.values["sip"].(int64)
	if !ok {
		s.fault("sip", "is %s: write a number without quotes, as in sip = 603", tomlfile.TypeName(s.values["sip"]))
		return code
	}
	for _, c := range SIPCodes() {
		if n == int64(c) {
			return c
		}
	}
	var codes []string
	for _, c := range SIPCodes() {
		codes = append(codes, strconv.Itoa(c))
	}
	s.fault("sip", "%d is no answer for a refused call: write %s", n, orList(codes))
	return code
}

// sipAdvice warns of a SIP answer that no caller will ever get.
func (r *reader) sipAdvice(s *section, t treatment, from *condition) {
	if near := onAsterisk(t.sip); near != t.sip {
		if trunks := r.asterisk(from); len(trunks) > 0 {
			s.warn("sip", "%d cannot be had on Asterisk, which trunk %s belongs to (endpoint:): there callers get %d", t.sip, orList(trunks), near)
		}
	}
	switch {
	case t.action == Warn && t.then != "hangup":
		s.warn("sip", "has no effect, since the call goes on after the announcement: write then = \"hangup\", or take sip out")
	case (t.action == Warn || t.action == Challenge) && t.media == "answer":
		s.warn("sip", "cannot be had after answering, and media = \"answer\" answers first: the call will just end; write media = \"early\", or take sip out")
	case t.action == Warn || t.action == Reject && t.announcement != "":
		if trunks := r.answering(from); t.media == "" && len(trunks) > 0 {
			s.warn("sip", "cannot be had after answering, and calls from trunk %s are answered for announcements (media = \"answer\"): there the call will just end", orList(trunks))
		}
	}
}

// onAsterisk is what a caller sees of a SIP answer where Asterisk gives it.
func onAsterisk(sip int) int {
	switch sip {
	case 600:
		return 486
	case 607, 608:
		return 603
	}
	return sip
}

// asterisk lists the trunks that are Asterisk's, among those of the condition.
func (r *reader) asterisk(from *condition) []string {
	var names []string
	for _, name := range r.policy.trunkNames {
		for value, trunk := range r.policy.trunkOf {
			if trunk == name && strings.HasPrefix(value, "endpoint:") && (from == nil || contains(from.words, name)) {
				names = append(names, name)
				break
			}
		}
	}
	return names
}

// answering lists the trunks that answer a call before they play an announcement, among those of the condition.
func (r *reader) answering(from *condition) []string {
	var names []string
	for _, name := range r.policy.trunkNames {
		if r.policy.trunks[name].Media == "answer" && (from == nil || contains(from.words, name)) {
			names = append(names, name)
		}
	}
	return names
}

// orList is "a", "a or b", "a, b or c".
func orList(words []string) string {
	if n := len(words); n > 1 {
		return strings.Join(words[:n-1], ", ") + " or " + words[n-1]
	}
	return strings.Join(words, "")
}

func quote(s string) string { return strconv.Quote(s) }
