package desk

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"ringfence/console"
	"ringfence/number"
	"ringfence/policy"
	"ringfence/pseudonym"
	"ringfence/storage"
	"ringfence/traffic"
)

// Acquaintances are whom the lines deal with, in memory and on disk.
type Acquaintances interface {
	// Settle has what calls have taught be on disk.
	Settle() error
	// Meet makes numbers known, on disk when it returns, and says what became of each; with dry it only says.
	Meet(ctx context.Context, meetings []traffic.Meeting, dry bool) ([]traffic.Met, error)
	// Lines are those that a number is known to.
	Lines(number string) []string
	// Part makes a number unknown to a line, or with "" to all, but for what is on disk already.
	Part(number, line string)
}

// onDisk are the acquaintances of a desk that was given none: what the disk has can be looked at and forgotten.
type onDisk struct{}

func (onDisk) Settle() error { return nil }
func (onDisk) Meet(context.Context, []traffic.Meeting, bool) ([]traffic.Met, error) {
	return nil, errors.New("nobody can become known here")
}
func (onDisk) Lines(string) []string { return nil }
func (onDisk) Part(string, string)   {}

// Known calls yield for each pair of a line and a number that it deals with, by lines and then numbers.
func (d *Desk) Known(ctx context.Context, q console.KnownQuery, yield func(console.Acquaintance) error) error {
	var s *subject
	if q.Caller != "" {
		var err error
		if s, _, err = d.knownSubject(q.Caller); err != nil {
			return err
		}
	}
	p := d.force.Rules().Policy
	if _, ok := p.LineNamed(q.Line); q.Line != "" && !ok {
		return noLineNamed(q.Line)
	}
	if err := d.o.Known.Settle(); err != nil {
		return err
	}
	oldest := d.o.Now().Add(-traffic.KeepKnown(p)) // what is older goes when it is next looked for
	return d.db.EachStamp(storage.Known, func(f storage.Stamp) error {
		key, caller, ok := strings.Cut(f.Key, "\x00")
		line := policy.LineName(key)
		if !ok || q.Line != "" && line != q.Line || f.At.Before(oldest) || !isThere(p, key) || s != nil && !s.inStamp(storage.Known, &f) {
			return ctx.Err()
		}
		return errors.Join(ctx.Err(), yield(console.Acquaintance{Line: line, Number: caller, Last: f.At}))
	})
}

// isThere reports whether there is a line with a key. What was kept of one that is gone, or whose name another customer has now, is for nobody
// to see.
func isThere(p *policy.Policy, key string) bool {
	_, ok := p.CustomerOfKey(key)
	return ok
}

// namesOfKeys are the names of lines by their keys, without those that are gone.
func namesOfKeys(p *policy.Policy, keys []string) (names []string) {
	for _, key := range keys {
		if isThere(p, key) {
			names = append(names, policy.LineName(key))
		}
	}
	slices.Sort(names)
	return names
}

// knownSubject is who is meant by a number in any spelling, or by the name that a private installation has of one.
func (d *Desk) knownSubject(text string) (s *subject, as string, err error) {
	p := d.force.Rules().Policy
	if as, _, err = subjectText(p, text); err != nil {
		return nil, "", err
	}
	key, err := pseudonym.Open(d.conf.Data, true)
	if err != nil {
		return nil, "", err
	}
	return subjectOf(p.Plan(), key, as), as, nil
}

// ForgetKnown makes a number unknown to a line, or to all. When it returns without an error that is on disk.
func (d *Desk) ForgetKnown(ctx context.Context, q console.KnownForget) (*console.KnownForgotten, error) {
	d.forgetting.Lock()
	defer d.forgetting.Unlock()
	s, as, err := d.knownSubject(q.Number)
	if err != nil {
		return nil, err
	}
	if err := d.o.Known.Settle(); err != nil { // else what is on its way there would not be said to be forgotten
		return nil, err
	}
	p := d.force.Rules().Policy
	d.part(p, as, q.Line)
	lines := make(map[string]bool)
	_, err = d.db.SweepStamps(storage.Known, func(f *storage.Stamp) storage.Fate {
		key, _, _ := strings.Cut(f.Key, "\x00")
		line := policy.LineName(key)
		if q.Line != "" && line != q.Line || !s.inStamp(storage.Known, f) {
			return storage.Stay
		}
		if isThere(p, key) {
			lines[line] = true
		}
		return storage.Drop
	})
	if err != nil {
		return nil, err
	}
	for caller := range s.callers { // as it stood there, perhaps by an earlier reading
		d.part(p, caller, q.Line)
	}
	if by := byOf(ctx); d.o.Journal != nil {
		d.o.Log.Info("an acquaintance was forgotten", "lines", len(lines), "who", by.Who, "from", by.From)
	}
	return &console.KnownForgotten{Number: as, Lines: append([]string{}, slices.Sorted(maps.Keys(lines))...)}, nil
}

// part has memory make a number unknown to a line of a name, also to those that had it before and are gone; to all with "".
func (d *Desk) part(p *policy.Policy, number, line string) {
	if line == "" {
		d.o.Known.Part(number, "")
		return
	}
	keys := slices.DeleteFunc(d.o.Known.Lines(number), func(key string) bool { return policy.LineName(key) != line })
	if l, ok := p.LineNamed(line); ok {
		keys = append(keys, l.Key)
	}
	for _, key := range keys {
		d.o.Known.Part(number, key)
	}
}

// linesNamed are the lines that an import is for, by their keys; none if it names none.
func (d *Desk) linesNamed(names []string) ([]string, error) {
	r := d.force.Rules()
	p := r.Policy
	all := slices.DeleteFunc(p.Lines(), p.IsDecoyLine)
	kept, _ := r.Lines.Len()
	if len(all) == 0 && kept == 0 {
		return nil, console.Conflict("nobody can be known to a line: the policy has no [lines.NAME], and the database has no lines")
	}
	var lines []string
	for _, name := range names {
		switch {
		case name == console.AllLines && slices.Contains(all, name):
			return nil, console.Conflict(fmt.Sprintf("the policy has a line of the name %s, which also stands for all lines here: name each line", name))
		case name == console.AllLines && len(all) == 0:
			return nil, console.Conflict("the policy has no [lines.NAME], and no file is meant for all lines of the database: name each line")
		case name == console.AllLines:
			return all, nil
		case p.IsDecoyLine(name):
			return nil, console.Bad(fmt.Sprintf("nobody has the numbers of the line %s, which is a decoy: write %s", name, lineAdvice(all, kept)))
		}
		l, ok := p.LineNamed(name)
		switch {
		case !ok || l.Name != name: // people do not know keys
			return nil, console.Bad(fmt.Sprintf("there is no line %.60q: write %s", name, lineAdvice(all, kept)))
		case !slices.Contains(lines, l.Key):
			lines = append(lines, l.Key)
		}
	}
	return lines, nil
}

// lineAdvice says which lines can be named: of the policy, and that the database has some, which may be very many.
func lineAdvice(ofPolicy []string, kept int) string {
	switch {
	case kept == 0:
		return "one of " + wordList(ofPolicy) + ", or " + console.AllLines
	case len(ofPolicy) == 0:
		return "one that `ringfence line ls` names"
	}
	return fmt.Sprintf("one of %s, one that `ringfence line ls` names, or %s for those of the policy", wordList(ofPolicy), console.AllLines)
}

// wordList names the first few of several, for advice.
func wordList(words []string) string {
	const few = 10
	text := strings.Join(words[:min(len(words), few)], ", ")
	if more := len(words) - few; more > 0 {
		text += fmt.Sprintf(" (and %d more)", more)
	}
	return text
}

// unknowable says why a number can be no acquaintance of a line, by its key, "" if it can. A number of another customer's line of the database can:
// the customers of a provider call each other as they call anybody.
func (d *Desk) unknowable(n *number.Number, to string) string {
	p := d.force.Rules().Policy
	own, _ := p.LineCalled(n)
	if own.Kept && own.Customer != p.CustomerOf(to) {
		own.Name = ""
	}
	switch {
	case n.Kinds.Has(number.Internal):
		return "is an internal number, which passes by itself"
	case n.Kinds.Has(number.Emergency):
		return "is an emergency number, which passes by itself"
	case n.E164 == "":
		return "is no number that can call from outside"
	case own.Name != "":
		return "is a number of your own line " + own.Name + ": who calls from outside with it has made it up"
	}
	return ""
}
