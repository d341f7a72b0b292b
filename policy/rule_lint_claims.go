package policy

// claimed warns of a rule that lets calls pass by what callers say of themselves, or by itself as soon as somebody has talked
// with them, before rules that would do something about them: who is met by those need only claim it, or be called once.
func (l *linter) claimed(i int, r *rule) {
	if r.do.action != Allow || r.trial {
		return
	}
	by, written := "", false
	for j := range r.conditions {
		switch on := r.conditions[j].on; on {
		case onTripped, onScore:
			l.fs.warn(r.line, "rule", "%q lets calls pass by %s, so that to behave badly is a way to get through: take it out, or write what is to become of such calls",
				r.name, on)
			return
		case onWritten, onCallerText, onCallerName, onIdentityDiffers, onDiverted, onAgain:
			if !written {
				by, written = on.String(), true
			}
		case onAttestation, onCallerKind, onKnown:
			if by == "" {
				by = on.String()
			}
		case onCaller, onList, onCallee, onHolder:
			return // the administrator named the numbers
		}
	}
	if by == "" {
		return
	}
	for j := i + 1; j < len(l.p.rules); j++ {
		late := &l.p.rules[j]
		if list := late.find(onList); list != nil && late.refuses() {
			l.fs.warn(r.line, "rule", "%q lets calls pass by %s before rule %q on line %d asks list %s, so a listed caller passes: move it behind that rule",
				r.name, by, late.name, late.line, some(list.words))
			return
		}
	}
	if behind := l.refusing(i + 1); written && behind != "" {
		l.fs.warn(r.line, "rule", "%q lets calls pass by %s, which is for the caller to choose, so whoever knows that gets past %s: write numbers or a list beside it, or action = %q",
			r.name, by, behind, Tag)
	}
}

// refusing is what, from a rule on, does something to calls that callers would rather not have; "" if nothing does.
func (l *linter) refusing(from int) string {
	for j := from; j < len(l.p.rules); j++ {
		if r := &l.p.rules[j]; r.refuses() && !r.trial {
			return "rule " + quote(r.name)
		}
	}
	if l.p.fallback.refuses() {
		return "default = " + quote(l.p.fallback.do.action.String())
	}
	return ""
}

// escaped warns of a rule that spares calls by a header that their callers may add.
func (l *linter) escaped(r *rule) {
	if !r.refuses() || r.trial {
		return
	}
	for _, on := range []subject{onDiverted, onIdentityDiffers} {
		if c := r.find(on); c != nil && !c.yes {
			l.fs.warn(r.line, "rule", "%q spares calls by %s = false, so a caller escapes it who writes a header that makes it true: take that out",
				r.name, on)
		}
	}
}
