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
	if err := d.o.Known.Settle(); err != nil {
		return err
	}
	oldest := d.o.Now().Add(-traffic.KeepKnown(d.force.Rules().Policy)) // what is older goes when it is next looked for
	return d.db.EachStamp(storage.Known, func(f storage.Stamp) error {
		line, caller, ok := strings.Cut(f.Key, "\x00")
		if !ok || q.Line != "" && line != q.Line || f.At.Before(oldest) || s != nil && !s.inStamp(storage.Known, &f) {
			return ctx.Err()
		}
		return errors.Join(ctx.Err(), yield(console.Acquaintance{Line: line, Number: caller, Last: f.At}))
	})
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
	d.o.Known.Part(as, q.Line)
	lines := make(map[string]bool)
	_, err = d.db.SweepStamps(storage.Known, func(f *storage.Stamp) storage.Fate {
		line, _, _ := strings.Cut(f.Key, "\x00")
		if q.Line != "" && line != q.Line || !s.inStamp(storage.Known, f) {
			return storage.Stay
		}
		lines[line] = true
		return storage.Drop
	})
	if err != nil {
		return nil, err
	}
	for caller := range s.callers { // as it stood there, perhaps by an earlier reading
		d.o.Known.Part(caller, q.Line)
	}
	if by := byOf(ctx); d.o.Journal != nil {
		d.o.Log.Info("an acquaintance was forgotten", "lines", len(lines), "who", by.Who, "from", by.From)
	}
	return &console.KnownForgotten{Number: as, Lines: append([]string{}, slices.Sorted(maps.Keys(lines))...)}, nil
}

// linesNamed are the lines of the policy that an import is for; none if it names none.
func (d *Desk) linesNamed(names []string) ([]string, error) {
	p := d.force.Rules().Policy
	all := slices.DeleteFunc(p.Lines(), p.IsDecoyLine)
	if len(all) == 0 {
		return nil, console.Conflict("nobody can be known to a line: the policy has no [lines.NAME]")
	}
	var lines []string
	for _, name := range names {
		switch {
		case name == console.AllLines && slices.Contains(all, name):
			return nil, console.Conflict(fmt.Sprintf("the policy has a line of the name %s, which also stands for all lines here: name each line", name))
		case name == console.AllLines:
			return all, nil
		case p.IsDecoyLine(name):
			return nil, console.Bad(fmt.Sprintf("nobody has the numbers of the line %s, which is a decoy: write %s, or %s", name, wordList(all), console.AllLines))
		case !slices.Contains(all, name):
			return nil, console.Bad(fmt.Sprintf("there is no line %.60q in the policy: write %s, or %s", name, wordList(all), console.AllLines))
		case !slices.Contains(lines, name):
			lines = append(lines, name)
		}
	}
	return lines, nil
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

// unknowable says why a number can be no acquaintance, "" if it can.
func (d *Desk) unknowable(n *number.Number) string {
	p := d.force.Rules().Policy
	switch line := p.LineOf(n); {
	case n.Kinds.Has(number.Internal):
		return "is an internal number, which passes by itself"
	case n.Kinds.Has(number.Emergency):
		return "is an emergency number, which passes by itself"
	case n.E164 == "":
		return "is no number that can call from outside"
	case line != "":
		return "is a number of your own line " + line + ": who calls from outside with it has made it up"
	}
	return ""
}
