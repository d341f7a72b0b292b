package desk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"ringfence/console"
	"ringfence/listfile"
	"ringfence/lists"
	"ringfence/number"
	"ringfence/policy"
	"ringfence/storage"
)

// Bounds of what a report of an import names one by one; the rest is counted.
const (
	maxRefusals = 1000
	maxWarnings = 50
	maxShown    = 1000
	// maxImport is how many entries a file may have.
	maxImport = 50_000_000
	// maxOwnFile is how many lines a file for an own list of a line may have, those that take entries away included.
	maxOwnFile = 4 * lists.MaxOwnLine
	// maxName is how many characters are kept of a file's or a person's name.
	maxName = 60
)

// plainText is a character as a reason may have it: control characters and line breaks become spaces.
func plainText(r rune) rune {
	if unicode.IsControl(r) {
		return ' '
	}
	return r
}

// Import adds what a file says to a list, all of it from one moment on or nothing. Lines that are no entries are refused and
// named, and the others go in, unless q.Strict.
func (d *Desk) Import(ctx context.Context, q console.ImportQuery, file io.Reader) (*console.ImportReport, error) {
	return d.importFile(ctx, q, file, wholeSource{})
}

// ImportWhole is Import of a file that says all that a source has: entries of the source that the file no longer names go.
// plausible is asked before anything is changed; its error refuses the file.
func (d *Desk) ImportWhole(ctx context.Context, q console.ImportQuery, file io.Reader, source string, plausible func(entries, refused, before int) error) (*console.ImportReport, error) {
	return d.importFile(ctx, q, file, wholeSource{name: source, plausible: plausible})
}

// importFile is Import, or with a whole source named the update of a feed.
func (d *Desk) importFile(ctx context.Context, q console.ImportQuery, file io.Reader, whole wholeSource) (*console.ImportReport, error) {
	f := &fileImport{
		d: d, q: q, whole: whole, policy: d.force.Rules().Policy, now: d.o.Now(), origin: storage.FromImport,
		report: &console.ImportReport{List: q.List, DryRun: q.DryRun, Refusals: []console.Refusal{}, Warnings: []string{}},
	}
	f.name = q.File
	if utf8.RuneCountInString(f.name) > maxName { // what tells it from others is at its end
		f.name = filepath.Base(f.name)
	}
	f.name, f.by = number.InertUpTo(f.name, maxName), storage.By{Who: number.InertUpTo(q.Who, maxName), From: "import"}
	f.source = strings.TrimSpace("import " + f.name)
	if whole.name != "" {
		f.origin, f.source, f.by.From = storage.FromFeed, whole.name, "feed"
	}
	at, err := d.named(q.List)(d.force.Rules())
	if err != nil {
		return nil, err
	}
	f.at, f.cautions = at, d.cautionsFor(f.policy, &at)
	if err := f.read(ctx, file); err != nil {
		return nil, err
	}
	if err := f.addGone(); err != nil {
		return nil, err
	}
	if f.cautions.hit != nil { // to let an acquaintance pass is what a list that does so is for
		if err := d.warnOfKnown(f.policy, &f.g, f.report); err != nil {
			return nil, err
		}
	}
	if q.Strict && f.report.Refused > 0 {
		f.report.Strict = true
		return f.report, nil
	}
	if err := f.write(); err != nil {
		return nil, err
	}
	if len(f.g.exact) > manyEntries {
		f.g = gathered{}
		debug.FreeOSMemory()
	}
	return f.report, nil
}

// fileImport is one file on its way into a list.
type fileImport struct {
	d      *Desk
	q      console.ImportQuery
	whole  wholeSource
	policy *policy.Policy
	now    time.Time
	report *console.ImportReport
	g      gathered

	at       place
	cautions *cautions
	doubts   doubts
	strange  bool // a reason has what is no UTF-8

	name   string         // of the file, for the record
	origin storage.Origin // with source, whose records its lines are
	source string
	by     storage.By
}

// read gathers what the file says.
func (f *fileImport) read(ctx context.Context, file io.Reader) error {
	columns, err := listfile.ParseColumns(f.q.Columns)
	if err != nil {
		return console.Bad("nothing was changed: " + err.Error())
	}
	shield := f.policy.Shield()
	info, err := listfile.Read(file, listfile.Options{
		Format: listfile.Format(f.q.Format), Now: f.now, Threshold: f.q.Threshold, Window: time.Duration(f.q.Window * float64(time.Second)), Expiry: console.ParseExpiry,
		Columns: columns, Encoding: f.q.Encoding, Country: f.policy.Country(),
	}, func(l listfile.Line) error {
		f.strange = f.strange || !utf8.ValidString(l.Reason)
		l.Reason = strings.TrimSpace(strings.Map(plainText, strings.ToValidUTF8(l.Reason, "?")))
		pattern, why := f.pattern(&l, shield)
		if why != "" {
			f.refuse(&l, why)
			return ctx.Err()
		}
		f.doubt(&l, pattern)
		f.g.add(pattern, &l)
		switch n := len(f.g.exact) + len(f.g.other); {
		case n > maxImport:
			return fmt.Errorf("the file has more than %d entries: import it in parts", maxImport)
		case f.at.line != "" && n > maxOwnFile:
			f.d.ownRefused.Add(1)
			return fmt.Errorf("the file has more than %d lines, and a line may have %d entries on its own lists", maxOwnFile, lists.MaxOwnLine)
		}
		return nil
	})
	if f.report.Format, f.report.Columns = string(info.Format), info.Columns; err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return console.Bad("nothing was changed: " + err.Error())
	}
	if info.Encoding == "" && f.strange {
		f.warn("the file is no UTF-8, and its encoding cannot be told: what is not ASCII is ? in the reasons. Say it, as in --encoding windows-1252")
	}
	f.report.Repeated = f.g.sort()
	f.g.ids = nil
	f.warnOfDoubts()
	return nil
}

// pattern is what a line names, or why it is refused.
func (f *fileImport) pattern(l *listfile.Line, shield *policy.Shield) (p number.Pattern, why string) {
	if l.Fault != nil {
		return p, l.Fault.Error()
	}
	p, err := entryOfLine(f.policy.Plan(), l)
	switch {
	case err != nil:
		return p, err.Error()
	case !l.Expires.IsZero() && !l.Expires.After(f.now):
		return p, "has expired already, at " + l.Expires.Format(time.RFC3339)
	case l.Expires.Year() > 9999:
		return p, "expires after the year 9999: leave the expiry out"
	case len(l.Reason) > storage.MaxReason:
		return p, fmt.Sprintf("its reason has %d bytes; make it %d at most", len(l.Reason), storage.MaxReason)
	}
	if !f.q.Force && !l.Remove {
		if what, hit := shield.Hit(p); hit {
			return p, "would hit " + what + ", which is an emergency number or in never_screen: leave it out, or import with --force"
		}
	}
	return p, ""
}

func (f *fileImport) refuse(l *listfile.Line, why string) {
	if f.report.Refused++; len(f.report.Refusals) < maxRefusals {
		f.report.Refusals = append(f.report.Refusals, console.Refusal{Line: l.No, Number: number.InertUpTo(l.Number, 64), Why: why})
	}
}

// addGone has a file that says all that its source has, a feed's or one that replaces, also take away what that said before.
func (f *fileImport) addGone() error {
	if f.whole.name == "" && !f.q.Replace {
		return nil
	}
	entries := f.g.added()
	before, err := f.d.addGone(&f.at, &f.g, f.origin, f.source)
	if err != nil {
		return err
	}
	switch {
	case f.whole.name != "":
		if err := f.whole.plausible(entries, f.report.Refused, before); err != nil {
			return err
		}
	case entries == 0 && before > 0:
		return console.Bad(fmt.Sprintf("nothing was changed: the file has no entry that can be read, and would take away all %d of before; `ringfence list undo` takes an import back", before))
	}
	f.g.sort()
	return nil
}

// write makes what was gathered count.
func (f *fileImport) write() error {
	report := f.report
	if f.q.DryRun {
		if err := f.room(); err != nil {
			return err
		}
	}
	r, err := f.d.db.Import(f.at.table, f.rows(), storage.ImportOptions{
		By: f.by, Source: f.name, DryRun: f.q.DryRun,
		Commit: func(do func() (storage.ChangeRecord, error)) error { return f.d.commitIf(f.room, do) },
		Tell: func(text string, c storage.Change) {
			pattern := f.at.pattern(text)
			switch c {
			case storage.Unchanged, storage.Joined:
				report.Unchanged++
			case storage.Absent:
				report.Absent++
			default:
				if f.q.DryRun && len(report.Would) < maxShown {
					report.Would = append(report.Would, f.would(pattern, c))
				}
			}
		},
	})
	if err != nil {
		return refused(err)
	}
	report.Change, report.Added, report.Updated, report.Removed = r.ID, r.Added, r.Updated, r.Removed
	return nil
}

// rows are the records to write, as the table has them.
func (f *fileImport) rows() iter.Seq[storage.ImportRow] {
	return func(yield func(storage.ImportRow) bool) {
		for row := range f.g.rows(f.origin, f.source, f.by.Who, f.now) {
			row.Pattern = f.at.text(row.Pattern)
			if !yield(row) {
				return
			}
		}
	}
}

// room refuses a file for an own list of a line that has no room for it, or whose line has gone meanwhile.
func (f *fileImport) room() error {
	if f.at.line == "" {
		return nil
	}
	if _, err := f.d.ownOf(f.at.line, f.at.own)(f.d.force.Rules()); err != nil {
		return err
	}
	var texts []string
	var remove []bool
	for row := range f.rows() {
		texts, remove = append(texts, row.Pattern), append(remove, row.Remove)
	}
	records, err := f.d.db.Lookup(f.at.table, texts...)
	if err != nil {
		return err
	}
	more := 0
	for i, of := range records {
		switch {
		case !remove[i] && len(of) == 0:
			more++
		case remove[i] && len(of) == 1 && of[0].Origin == f.origin && of[0].Source == f.source:
			more--
		}
	}
	return f.d.ownRoom(f.at.line, more)
}

// would is what a dry run says of a pattern.
func (f *fileImport) would(pattern string, c storage.Change) console.Edit {
	e := console.Edit{List: f.q.List, Number: pattern, Change: c.String()}
	if p, err := f.policy.Plan().KeptPattern(pattern); err == nil && c != storage.Removed {
		if s := f.g.saysOf(pattern, p); s != nil {
			e.Reason, e.Expires = s.reason, s.expires
		}
	}
	return e
}

// commitIf makes a change of the database count, and then in memory, with no edit between, unless check refuses it.
func (d *Desk) commitIf(check func() error, do func() (storage.ChangeRecord, error)) error {
	d.edit.Lock()
	defer d.edit.Unlock()
	if err := check(); err != nil {
		return err
	}
	return d.commitAlone(do)
}

// commitAlone is commitIf for who holds d.edit.
func (d *Desk) commitAlone(do func() (storage.ChangeRecord, error)) error {
	r, err := do()
	if err != nil {
		d.pieces.edited(err)
		return err
	}
	if err = d.follow(r); err != nil {
		d.pieces.doubt.Store(true)
	} else {
		signal(d.pieces.whole)
	}
	return err
}

// follow makes the lists in memory what the change made of them on disk. d.edit is held.
func (d *Desk) follow(c storage.ChangeRecord) error {
	r := d.force.Rules()
	if !d.inMemory() {
		return nil
	}
	if c.Rows >= storage.MaxEdit {
		return d.fill(context.Background(), r, map[string]loader{c.List: load(r, c.List, true)})
	}
	if !storage.IsOwn(c.List) {
		r.Lists.Put(policy.ListEntry{List: c.List}) // it exists, be it empty
	}
	if c.ID == 0 {
		return nil
	}
	changes := make(map[string][]lists.Change) // by the line of an own list
	err := d.db.ChangedBy(c.ID, func(listed []storage.Listed) error {
		for i := range listed {
			at := placeAt(storage.Place{List: c.List, Text: listed[i].Pattern})
			text := at.pattern(listed[i].Pattern)
			pattern, err := r.Policy.Plan().KeptPattern(text)
			if err == nil && len(listed[i].Records) == 0 && pattern.String() != text {
				// A text of an earlier normaliser: what else says the same number stays in memory.
				same, err := d.db.Lookup(c.List, at.text(pattern.String()))
				if err != nil {
					return err
				}
				listed[i].Records = same[0]
			}
			switch {
			case err != nil: // a stray
			case len(listed[i].Records) == 0:
				changes[at.line] = append(changes[at.line], lists.Change{ListEntry: policy.ListEntry{Pattern: pattern}, Remove: true})
			default:
				changes[at.line] = append(changes[at.line], lists.Change{ListEntry: policy.ListEntry{Pattern: pattern}, Records: sourcesOf(listed[i].Records)})
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for line, mine := range changes {
		at := place{table: c.List, line: line}
		at.own, _ = lists.OwnTable(c.List)
		d.apply(r, &at, mine)
	}
	return nil
}

// wholeSource is a feed's file, which says all that the feed has: what it no longer names, the feed says no more.
type wholeSource struct {
	name      string                                   // the Source of its records
	plausible func(entries, refused, before int) error // asked before anything is changed
}

// addGone has a file also take away what its source said and says no longer, and tells how many entries of it there are now.
func (d *Desk) addGone(at *place, g *gathered, origin storage.Origin, source string) (before int, err error) {
	id := uint32(len(g.says))
	g.says = append(g.says, gatheredText{remove: true})
	plan := d.force.Rules().Policy.Plan()
	named := make(map[string]bool, len(g.other))
	for i := range g.other {
		named[g.other[i].text] = true
	}
	gone := func(e storage.Entry) error {
		if e.Origin != origin || e.Source != source {
			return nil
		}
		before++
		if named[e.Pattern] {
			return nil
		}
		if p, err := plan.KeptPattern(e.Pattern); err == nil {
			if key, ok := p.Key(); ok && g.has(key) {
				return nil
			}
		}
		g.other = append(g.other, gatheredPattern{text: e.Pattern, says: id})
		return nil
	}
	pages := func(es []storage.Entry) error {
		at.strip(es)
		for _, e := range es {
			if err := gone(e); err != nil {
				return err
			}
		}
		return nil
	}
	if at.line != "" {
		err = d.db.LineEntries(at.table, at.line, false, pages)
	} else {
		err = d.db.EntryPages(at.table, false, pages)
	}
	if errors.Is(err, storage.ErrNoList) {
		err = nil
	}
	return before, err
}
