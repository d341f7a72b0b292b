package desk

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"runtime/debug"
	"slices"
	"strings"
	"time"
	"unicode"

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

// gathered is what a file says, in order of its numbers. Ten million exact ones take 160 MB until the import is done.
type gathered struct {
	exact []gatheredNumber
	other []gatheredPattern
	says  []gatheredText
	ids   map[gatheredText]uint32
}

type gatheredNumber struct {
	key  uint64
	says uint32 // place in says
	line uint32
}

type gatheredPattern struct {
	text    string // canonical
	pattern number.Pattern
	says    uint32
	line    uint32
}

type gatheredText struct {
	reason  string
	expires time.Time
	remove  bool
}

func (g *gathered) add(p number.Pattern, l *listfile.Line) {
	t := gatheredText{l.Reason, l.Expires, l.Remove}
	var id uint32
	if n := len(g.says); n > 0 && g.says[n-1] == t {
		id = uint32(n - 1)
	} else if known, ok := g.ids[t]; ok {
		id = known
	} else {
		if g.ids == nil {
			g.ids = make(map[gatheredText]uint32)
		}
		id = uint32(n)
		g.ids[t] = id
		g.says = append(g.says, t)
	}
	if key, ok := p.Key(); ok {
		g.exact = append(g.exact, gatheredNumber{key, id, uint32(l.No)})
	} else {
		g.other = append(g.other, gatheredPattern{p.String(), p, id, uint32(l.No)})
	}
}

// sort puts all in order; of a pattern that comes twice the last line counts. It says how many were repeated.
func (g *gathered) sort() (repeated int) {
	slices.SortFunc(g.exact, func(a, b gatheredNumber) int {
		if a.key != b.key {
			return cmp.Compare(a.key, b.key)
		}
		return cmp.Compare(b.line, a.line)
	})
	slices.SortFunc(g.other, func(a, b gatheredPattern) int {
		return cmp.Or(strings.Compare(a.text, b.text), cmp.Compare(b.line, a.line))
	})
	before := len(g.exact) + len(g.other)
	g.exact = slices.CompactFunc(g.exact, func(a, b gatheredNumber) bool { return a.key == b.key })
	g.other = slices.CompactFunc(g.other, func(a, b gatheredPattern) bool { return a.text == b.text })
	return before - len(g.exact) - len(g.other)
}

// rows gives all as storage wants it, in the order of the patterns' texts.
func (g *gathered) rows(source, who string, now time.Time) iter.Seq[storage.ImportRow] {
	return func(yield func(storage.ImportRow) bool) {
		other := g.other
		row := func(text string, says uint32) bool {
			s := &g.says[says]
			return yield(storage.ImportRow{Remove: s.remove, Entry: storage.Entry{Pattern: text, Reason: s.reason, Source: source, Who: who, Added: now, Expires: s.expires}})
		}
		for _, n := range g.exact {
			text := number.KeyPattern(n.key).String()
			for len(other) > 0 && other[0].text < text {
				if !row(other[0].text, other[0].says) {
					return
				}
				other = other[1:]
			}
			if !row(text, n.says) {
				return
			}
		}
		for _, o := range other {
			if !row(o.text, o.says) {
				return
			}
		}
	}
}

// has says whether a number is in the file, be it to be removed.
func (g *gathered) has(key uint64) bool {
	_, ok := slices.BinarySearchFunc(g.exact, key, func(n gatheredNumber, k uint64) int { return cmp.Compare(n.key, k) })
	return ok
}

// added is how many entries are to be on the list.
func (g *gathered) added() (n int) {
	for i := range g.exact {
		if !g.says[g.exact[i].says].remove {
			n++
		}
	}
	for i := range g.other {
		if !g.says[g.other[i].says].remove {
			n++
		}
	}
	return n
}

// adds says whether a number is among those that are added.
func (g *gathered) adds(key uint64) bool {
	at, ok := slices.BinarySearchFunc(g.exact, key, func(n gatheredNumber, k uint64) int { return cmp.Compare(n.key, k) })
	return ok && !g.says[g.exact[at].says].remove
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
	p, now := d.force.Rules().Policy, d.o.Now()
	report := &console.ImportReport{List: q.List, DryRun: q.DryRun, Refusals: []console.Refusal{}, Warnings: []string{}}
	refuse := func(l *listfile.Line, why string) {
		if report.Refused++; len(report.Refusals) < maxRefusals {
			report.Refusals = append(report.Refusals, console.Refusal{Line: l.No, Number: number.InertUpTo(l.Number, 64), Why: why})
		}
	}
	var g gathered
	shield := p.Shield()
	format, err := listfile.Read(file, listfile.Options{
		Format: listfile.Format(q.Format), Now: now, Threshold: q.Threshold, Window: time.Duration(q.Window * float64(time.Second)), Expiry: console.ParseExpiry,
	}, func(l listfile.Line) error {
		if l.Fault != nil {
			refuse(&l, l.Fault.Error())
			return ctx.Err()
		}
		pattern, err := p.Plan().Pattern(l.Number)
		switch {
		case err != nil:
			refuse(&l, err.Error())
			return ctx.Err()
		case !l.Expires.IsZero() && !l.Expires.After(now):
			refuse(&l, "has expired already, at "+l.Expires.Format(time.RFC3339))
			return nil
		case l.Expires.Year() > 9999:
			refuse(&l, "expires after the year 9999: leave the expiry out")
			return nil
		case len(l.Reason) > storage.MaxReason:
			refuse(&l, fmt.Sprintf("its reason has %d bytes; make it %d at most", len(l.Reason), storage.MaxReason))
			return nil
		}
		if !q.Force && !l.Remove {
			if what, hit := shield.Hit(pattern); hit {
				refuse(&l, "would hit "+what+", which is an emergency number or in never_screen: leave it out, or import with --force")
				return nil
			}
		}
		l.Reason = strings.Map(plainText, strings.ToValidUTF8(l.Reason, "?"))
		if g.add(pattern, &l); len(g.exact)+len(g.other) > maxImport {
			return fmt.Errorf("the file has more than %d entries: import it in parts", maxImport)
		}
		return nil
	})
	if report.Format = string(format); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, console.Bad("nothing was changed: " + err.Error())
	}
	report.Repeated = g.sort()
	g.ids = nil
	if whole.name != "" {
		entries := g.added()
		before, err := d.addGone(q.List, &g, whole.name)
		if err != nil {
			return nil, err
		}
		if err := whole.plausible(entries, report.Refused, before); err != nil {
			return nil, err
		}
		g.sort()
	}
	if err := d.warnOfKnown(p, &g, report); err != nil {
		return nil, err
	}
	if q.Strict && report.Refused > 0 {
		report.Strict = true
		return report, nil
	}
	name, who := number.InertUpTo(q.File, maxName), number.InertUpTo(q.Who, maxName)
	source, by := strings.TrimSpace("import "+name), storage.By{Who: who, From: "import"}
	if whole.name != "" {
		source, by.From = whole.name, "feed"
	}
	r, err := d.db.Import(q.List, g.rows(source, who, now), storage.ImportOptions{
		By: by, Source: name, DryRun: q.DryRun, Commit: d.commit,
		Tell: func(pattern string, c storage.Change) {
			switch c {
			case storage.Unchanged:
				report.Unchanged++
			case storage.Absent:
				report.Absent++
			default:
				if q.DryRun && len(report.Would) < maxShown {
					report.Would = append(report.Would, console.Edit{List: q.List, Number: pattern, Change: c.String()})
				}
			}
		},
	})
	if err != nil {
		return nil, refused(err)
	}
	report.Change, report.Added, report.Updated, report.Removed = r.ID, r.Added, r.Updated, r.Removed
	if len(g.exact) > manyEntries {
		g = gathered{}
		debug.FreeOSMemory()
	}
	return report, nil
}

// warnOfKnown warns of entries that would hit numbers that the lines deal with.
func (d *Desk) warnOfKnown(p *policy.Policy, g *gathered, report *console.ImportReport) error {
	index := number.NewIndex()
	for i := range g.other {
		if !g.says[g.other[i].says].remove {
			index.Add(g.other[i].pattern, uint32(i))
		}
	}
	hits := 0
	err := d.db.EachStamp(storage.Known, func(s storage.Stamp) error {
		line, number, ok := strings.Cut(s.Key, "\x00")
		if !ok {
			return nil
		}
		by := ""
		if pattern, err := p.Plan().KeptPattern(number); err == nil {
			if key, ok := pattern.Key(); ok && g.adds(key) {
				by = pattern.String()
			}
		}
		if by == "" && index.Len() > 0 {
			n := p.Plan().Parse(number)
			if m := index.AppendMatches(nil, &n); len(m) > 0 {
				by = m[0].Pattern.String()
			}
		}
		if by == "" {
			return nil
		}
		if hits++; hits <= maxWarnings {
			report.Warnings = append(report.Warnings, fmt.Sprintf("%s hits %s, whom line %s dealt with on %s", by, number, line, s.At.Format("2006-01-02")))
		}
		return nil
	})
	if hits > maxWarnings {
		report.Warnings = append(report.Warnings, fmt.Sprintf("and %d more numbers that lines dealt with", hits-maxWarnings))
	}
	if errors.Is(err, storage.ErrCorrupt) {
		return nil // logged when it was read first
	}
	return err
}

// commit makes a change of the database count, and then in memory, with no edit between.
func (d *Desk) commit(do func() (storage.ChangeRecord, error)) error {
	d.edit.Lock()
	defer d.edit.Unlock()
	r, err := do()
	if err != nil {
		return err
	}
	return d.follow(r)
}

// follow makes the lists in memory what the change made of them on disk. d.edit is held.
func (d *Desk) follow(c storage.ChangeRecord) error {
	r := d.force.Rules()
	if !d.inMemory() {
		return nil
	}
	if n := c.Added + c.Updated + c.Removed; n >= storage.MaxEdit {
		return d.fill(context.Background(), r, map[string]*lists.Loader{c.List: r.Lists.Rebuild(c.List)})
	}
	r.Lists.Put(policy.ListEntry{List: c.List}) // it exists, be it empty
	if c.ID == 0 {
		return nil
	}
	var changes []lists.Change
	err := d.db.ChangedBy(c.ID, func(es []storage.ChangedEntry) error {
		for i := range es {
			pattern, err := r.Policy.Plan().KeptPattern(es[i].Pattern)
			if err != nil {
				continue // a stray
			}
			changes = append(changes, lists.Change{ListEntry: listEntry(c.List, pattern, &es[i].Entry), Remove: es[i].Removed})
		}
		return nil
	})
	if err != nil {
		return err
	}
	r.Lists.Apply(c.List, changes)
	return nil
}

// History calls yield for each change that is kept of a pattern, the oldest first.
func (d *Desk) History(ctx context.Context, text string, yield func(console.ListHistory) error) error {
	key := text
	if p, err := d.force.Rules().Policy.Plan().Pattern(text); err == nil {
		key = p.String()
	}
	return d.db.History(key, func(c storage.PatternChange) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		h := console.ListHistory{Change: changeOf(&c.ChangeRecord), Number: key}
		for _, side := range []struct {
			from *storage.Entry
			to   **console.ListEntry
		}{{c.Before, &h.Before}, {c.After, &h.After}} {
			if side.from != nil {
				e := listEntryOf(c.List, side.from)
				*side.to = &e
			}
		}
		return yield(h)
	})
}

// Changes calls yield for each change to a list that is kept, the oldest first; of all lists if none is named.
func (d *Desk) Changes(ctx context.Context, list string, yield func(console.ListChange) error) error {
	return d.db.Changes(func(r storage.ChangeRecord) error {
		if err := ctx.Err(); err != nil || list != "" && list != r.List {
			return err
		}
		return yield(changeOf(&r))
	})
}

func changeOf(r *storage.ChangeRecord) console.ListChange {
	return console.ListChange{
		ID: r.ID, Time: r.Time, Who: r.Who, From: r.From, Kind: r.Kind, List: r.List, Source: r.Source,
		Added: r.Added, Updated: r.Updated, Removed: r.Removed, Undoes: r.Undoes, Undone: r.Undone, Skipped: r.Skipped,
	}
}

// Undo makes a change undone, as a whole.
func (d *Desk) Undo(ctx context.Context, id uint64) (*console.ListChange, error) {
	r, err := d.db.Undo(id, byOf(ctx), d.commit)
	switch {
	case errors.Is(err, storage.ErrNoChange):
		return nil, console.NotFound(err.Error())
	case err != nil:
		return nil, refused(err)
	}
	c := changeOf(&r)
	return &c, nil
}

func byOf(ctx context.Context) storage.By {
	by := console.ByOf(ctx)
	return storage.By{Who: number.InertUpTo(by.Who, maxName), From: number.InertUpTo(by.From, maxName)}
}

// Backup writes a consistent copy of the database to w.
func (d *Desk) Backup(ctx context.Context, w io.Writer) error {
	return d.db.BackupTo(contextWriter{ctx, w})
}

// Verify reads all of the database and says what is wrong with it.
func (d *Desk) Verify(context.Context) (*console.VerifyReport, error) {
	r, err := d.db.Verify()
	return (*console.VerifyReport)(r), err
}

// contextWriter ends when its context does.
type contextWriter struct {
	ctx context.Context
	w   io.Writer
}

func (c contextWriter) Write(b []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.w.Write(b)
}

// wholeSource is a file that says all that a source has: entries of it that the file no longer names go.
type wholeSource struct {
	name      string                                   // the Source of its entries
	plausible func(entries, refused, before int) error // asked before anything is changed
}

// addGone has a file also remove what its source no longer names, and says how many entries of it there are now.
func (d *Desk) addGone(list string, g *gathered, source string) (before int, err error) {
	id := uint32(len(g.says))
	g.says = append(g.says, gatheredText{remove: true})
	plan := d.force.Rules().Policy.Plan()
	named := make(map[string]bool, len(g.other))
	for i := range g.other {
		named[g.other[i].text] = true
	}
	err = d.db.Entries(list, func(e storage.Entry) error {
		if e.Source != source {
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
	})
	if errors.Is(err, storage.ErrNoList) {
		err = nil
	}
	return before, err
}
