package desk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"ringfence/console"
	"ringfence/lines"
	"ringfence/listfile"
	"ringfence/number"
	"ringfence/policy"
	"ringfence/storage"
)

// importWait is how long an import of lines waits for another import or undo. It is a cron job, and nobody is there to try again.
const importWait = 5 * time.Minute

// ImportLines makes the lines of a file what it says of them, all from one moment on or nothing. Lines of the file that cannot be are refused and
// stay as they are, and the others go in, unless q.Strict. It waits for another import, and says so in the report.
func (d *Desk) ImportLines(ctx context.Context, q console.LineImport, file io.Reader) (*console.LineReport, error) {
	f := &linesFile{
		q: q, byName: map[string]*fileLine{},
		report: &console.LineReport{Source: q.Source, Columns: "", DryRun: q.DryRun, Refusals: []console.LineRefusal{}, Warnings: []string{}},
	}
	if err := f.begin(); err != nil {
		return nil, err
	}
	if err := f.read(ctx, file, newLineMaker(d.force.Rules().Policy)); err != nil {
		return nil, err
	}
	turn, err := f.turn(ctx, d.db, importWait)
	if err != nil {
		return nil, err
	}
	defer turn.End()
	d.edit.Lock()
	defer d.edit.Unlock()
	rules := d.force.Rules()
	f.maker = newLineMaker(rules.Policy) // the policy may be another one by now
	if err := f.compare(d); err != nil {
		return nil, err
	}
	if err := f.goneLines(); err != nil {
		return nil, err
	}
	if err := f.refuseTaken(rules); err != nil {
		return nil, err
	}
	f.count()
	f.leftBehind(d)
	switch edits := f.edits(); {
	case q.Strict && f.report.Refused > 0:
		f.report.Strict = true
	case q.DryRun, len(edits) == 0:
	default:
		_, r, err := d.changeLinesBy(ctx, turn.ChangeLines, storage.ChangeRecord{Kind: storage.KindImport, Source: fileName(q.File)}, edits)
		if err != nil {
			return nil, err
		}
		f.report.Change = r.ID
	}
	report := f.report
	if len(f.inOrder) > manyLines {
		*f = linesFile{}
		debug.FreeOSMemory()
	}
	return report, nil
}

// turn waits for the turn to import, as long as there may be so many edits that they need it. Without it the change is tried all the same: they may be few.
func (f *linesFile) turn(ctx context.Context, db *storage.DB, wait time.Duration) (*storage.ImportTurn, error) {
	edits := len(f.inOrder)
	switch {
	case f.q.DryRun:
		edits = 0
	case f.q.Whole: // those that go are not known yet
		edits = storage.MaxLines
	}
	began := time.Now()
	turn, err := db.LineTurn(ctx, edits, wait)
	if errors.Is(err, storage.ErrBusy) {
		turn, err = db.LineTurn(ctx, 0, 0)
	}
	if waited := time.Since(began); waited >= time.Second {
		f.warn(fmt.Sprintf("it has waited %v for another import or undo", waited.Round(time.Second)))
	}
	return turn, err
}

// fileName is the name of a file as it is kept: of a long one what tells it from others, which is at its end.
func fileName(name string) string {
	if utf8.RuneCountInString(name) > maxName {
		name = filepath.Base(name)
	}
	return number.InertUpTo(name, maxName)
}

// linesFile is a file on its way into the lines.
type linesFile struct {
	q      console.LineImport
	maker  *lineMaker
	report *console.LineReport

	byName   map[string]*fileLine
	inOrder  []*fileLine // of the file
	gone     []storage.Line
	nameless int             // rows of which nobody can tell what line they name
	broken   map[string]bool // customers that have rows of which only that can be told
	warned   int
	before   int            // lines that the source kept
	changes  []lines.Change // what goes in, and what goes
}

// fileLine is what a file says of a line, in one row or in several.
type fileLine struct {
	row     int // the first
	set     console.LineSet
	cells   []string // of the first row, without the numbers
	numbers []string // canonical, as they come
	why     string   // it is refused
	whyRow  int

	now    *storage.Line
	then   storage.Line
	change string
	round  int // of refuseTaken in which it was refused
}

// refuse has a line stay as it is, for the first reason there is.
func (l *fileLine) refuse(row int, format string, args ...any) {
	if l.why == "" {
		l.why, l.whyRow = fmt.Sprintf(format, args...), row
	}
}

// begin looks at what is asked for.
func (f *linesFile) begin() error {
	source, err := plain("source", f.q.Source, maxName)
	if err != nil {
		return console.Bad("nothing was changed: " + err.Error())
	}
	if f.q.Source, f.report.Source = source, source; f.q.Whole && source == "" {
		return console.Bad("nothing was changed: a whole import needs a name for what keeps its lines (--source NAME), to know next time which of the lines there are were its own")
	}
	if f.q.Profile, err = readProfile(f.q.Profile); err == nil {
		f.q.Mode, err = readLineMode(f.q.Mode)
	}
	if err != nil {
		return console.Bad("nothing was changed: " + err.Error())
	}
	return nil
}

// read gathers what the file says of lines.
func (f *linesFile) read(ctx context.Context, file io.Reader, m *lineMaker) error {
	rows, err := rowsOf(&f.q)
	if err != nil {
		return err
	}
	f.report.Format = rows.format
	info, err := listfile.ReadTable(file, listfile.TableOptions{
		Columns: rows.columns, Named: f.q.Columns, Encoding: f.q.Encoding, Country: m.policy.Country(),
	}, func(r listfile.TableRow) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if r.Fault != nil {
			f.nameless++
			f.refusal(r.No, "", r.Fault.Error())
			return nil
		}
		line, skip, err := rows.line(&r, m)
		switch {
		case skip:
			f.report.Skipped++
		case err != nil:
			f.unread(&line)
			f.refusal(r.No, line.name, err.Error())
		default:
			f.add(r.No, &line, m)
		}
		if len(f.inOrder) > storage.MaxLines {
			return fmt.Errorf("the file has more than %d lines, which is as many as there may be", storage.MaxLines)
		}
		return nil
	})
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return console.Bad("nothing was changed: " + err.Error())
	}
	f.report.Columns = info.Columns
	if info.Encoding == "" && f.strange() {
		f.warn("the file is no UTF-8, and its encoding cannot be told: say it, as in --encoding windows-1252")
	}
	for _, l := range f.inOrder {
		f.fill(l, rows, info.Has)
	}
	return nil
}

// unread notes a row that may be about any line, or about any one of a customer: in a whole file none of these goes by what the file does not name.
func (f *linesFile) unread(l *rowLine) {
	if l.customer == "" {
		f.nameless++
		return
	}
	if f.broken == nil {
		f.broken = make(map[string]bool)
	}
	f.broken[strings.Clone(l.customer)] = true
}

// strange reports whether a text of the file is no UTF-8.
func (f *linesFile) strange() bool {
	return slices.ContainsFunc(f.inOrder, func(l *fileLine) bool {
		return slices.ContainsFunc(l.cells, func(c string) bool { return !utf8.ValidString(c) })
	})
}

// warn notes a warning. Those that are too many are counted.
func (f *linesFile) warn(text string) {
	if f.warned++; f.warned <= maxWarnings {
		f.report.Warnings = append(f.report.Warnings, text)
	}
}

func (f *linesFile) refusal(row int, name, why string) {
	if f.report.Refused++; len(f.report.Refusals) < maxRefusals {
		f.report.Refusals = append(f.report.Refusals, console.LineRefusal{Row: row, Name: number.InertUpTo(name, 64), Why: why})
	}
}

// maxCell is how many bytes of a cell are kept: more than any text of a line may have.
const maxCell = 2 * storage.MaxLineText

// add takes what a row says. Rows of one name are one line, which has the numbers of all, if they say the same besides.
func (f *linesFile) add(row int, from *rowLine, m *lineMaker) {
	l := f.byName[from.name]
	if l == nil {
		l = &fileLine{row: row, set: console.LineSet{Name: strings.Clone(from.name)}, cells: make([]string, len(from.cells))}
		for i, c := range from.cells {
			if len(c) <= maxCell {
				l.cells[i] = strings.Clone(c)
			}
		}
		f.byName[l.set.Name] = l
		f.inOrder = append(f.inOrder, l)
	}
	for i, c := range from.cells {
		if len(c) > maxCell {
			l.refuse(row, "its %s has %d bytes: make it shorter", listfile.LineColumns[i+lineFirst].Name, len(c))
		} else if l.cells[i] != c {
			l.refuse(row, "its %s is %.40q here and %.40q in line %d of the file: make them the same, or write different names", listfile.LineColumns[i+lineFirst].Name, c, l.cells[i], l.row)
		}
	}
	if strings.TrimSpace(from.numbers) == "" {
		l.refuse(row, "its cell for the numbers is empty: write one at least, or take the row out")
		return
	}
	read, err := m.entries(from.numbers)
	if err != nil {
		l.refuse(row, "%.64q: %s", from.numbers, err)
		return
	}
	for _, p := range read {
		if len(l.numbers) <= storage.MaxLineNumbers {
			l.numbers = append(l.numbers, p.String())
		}
	}
}

// fill sets of a line what the file has columns for.
func (f *linesFile) fill(l *fileLine, rows *lineRows, has []bool) {
	numbers := l.numbers
	l.set.Numbers = &numbers
	for i, to := range []**string{&l.set.Customer, &l.set.Profile, &l.set.Mode, &l.set.Timezone, &l.set.Language, &l.set.Notify, &l.set.Note} {
		if rows.says(i, has) {
			*to = &l.cells[i]
		}
	}
}

// compare finds what is different about the lines that the file names. d.edit is held.
func (f *linesFile) compare(d *Desk) error {
	kept := make(map[string]*storage.Line)
	err := d.db.Lines(func(l storage.Line) error {
		if f.byName[l.Name] != nil {
			kept[l.Name] = &l
		}
		if f.q.Source != "" && l.Import == f.q.Source {
			f.before++
			if f.q.Whole && f.byName[l.Name] == nil {
				f.gone = append(f.gone, l)
			}
		}
		return nil
	})
	if err != nil && !errors.Is(err, storage.ErrCorrupt) { // what is damaged is put right, if the file names it
		return err
	}
	for _, l := range f.inOrder {
		if err := f.maker.name(l.set.Name); err != nil {
			l.refuse(l.row, "%s", err)
			if policy.BadLineName(l.set.Name) != "" { // no line has it, so that the row is meant for another one
				f.nameless++
			}
		}
		if l.why != "" {
			continue
		}
		l.now = kept[l.set.Name]
		if l.now == nil && l.set.Profile == nil {
			l.set.Profile = &f.q.Profile
		}
		if l.now == nil && l.set.Mode == nil {
			l.set.Mode = &f.q.Mode
		}
		if l.then, err = f.maker.make(l.now, &l.set); err != nil {
			first, _, _ := strings.Cut(err.Error(), "\n")
			l.refuse(l.row, "%s", first)
			continue
		}
		if f.q.Source != "" {
			l.then.Import = f.q.Source
		}
		switch {
		case l.now == nil:
			l.change = console.LineAdded
		case sameLine(l.now, &l.then):
			l.change = console.LineUnchanged
		default:
			l.change = console.LineUpdated
		}
	}
	return nil
}

// goneLines looks whether the lines that a whole import takes away can be meant.
func (f *linesFile) goneLines() error {
	if len(f.gone) == 0 {
		return nil
	}
	if f.nameless > 0 { // it may be one of these
		f.warn(fmt.Sprintf("%d lines that the file does not name stay, because of %d rows nobody can tell which line they name: put these right", len(f.gone), f.nameless))
		f.gone = nil
		return nil
	}
	all := len(f.gone)
	f.gone = slices.DeleteFunc(f.gone, func(l storage.Line) bool { return f.broken[l.Customer] })
	if stay := all - len(f.gone); stay > 0 {
		f.warn(fmt.Sprintf("%d lines that the file does not name stay, because rows of their customers cannot be read: put these right, or remove the lines (ringfence line remove)", stay))
	}
	if f.q.Force || f.before < console.LinesGoneFloor || float64(len(f.gone)) <= console.MaxLinesGone*float64(f.before) {
		return nil
	}
	text := fmt.Sprintf("%d of the %d lines of %s would go, which is more than %.0f percent: see whether the file is whole, or import with --force",
		len(f.gone), f.before, number.Inert(f.q.Source), 100*console.MaxLinesGone)
	if f.q.DryRun {
		f.warn("this import would be refused: " + text)
		return nil
	}
	return console.Conflict("nothing was changed: " + text)
}

// goesIn reports whether a line of the file is one that changes something.
func (l *fileLine) goesIn() bool {
	return l.why == "" && l.change != console.LineUnchanged
}

// edits are the changes that the file makes.
func (f *linesFile) edits() (edits []storage.LineEdit) {
	for _, l := range f.inOrder {
		if l.goesIn() {
			edits = append(edits, storage.LineEdit{Line: l.then})
		}
	}
	for i := range f.gone {
		edits = append(edits, storage.LineEdit{Line: storage.Line{Name: f.gone[i].Name}, Remove: true})
	}
	return edits
}

// inMemory are the same, as lines in memory have them.
func (f *linesFile) inMemory() ([]lines.Change, error) {
	var changes []lines.Change
	for i := range f.gone {
		changes = append(changes, lines.Change{Line: lines.Line{Name: f.gone[i].Name}, Remove: true})
	}
	for _, l := range f.inOrder {
		if !l.goesIn() {
			continue
		}
		line, err := lineInMemory(f.maker.plan, &l.then)
		if err != nil {
			return nil, fmt.Errorf("the line %s: %w", l.then.Name, err)
		}
		changes = append(changes, lines.Change{Line: line})
	}
	return changes, nil
}

// count says what became of the lines of the file, and what is probably not meant.
func (f *linesFile) count() {
	r := f.report
	doubts := 0
	for _, l := range f.inOrder {
		if l.why != "" {
			f.refusal(l.whyRow, l.set.Name, l.why)
			continue
		}
		r.Lines++
		r.Numbers += len(l.then.Numbers)
		switch l.change {
		case console.LineAdded:
			r.Added++
		case console.LineUpdated:
			r.Updated++
		default:
			r.Unchanged++
			continue
		}
		if l.now != nil && customerOf(l.now) != customerOf(&l.then) {
			r.Given++
		}
		f.would(l.then.Name, l.change, l.now, &l.then)
		for _, n := range l.then.Numbers {
			if l.now != nil && slices.Contains(l.now.Numbers, n) {
				continue
			}
			if why := f.maker.doubtful(n); why != "" {
				if doubts++; doubts <= maxLines {
					f.warn(fmt.Sprintf("line %d of the file: %s: %s", l.row, l.then.Name, why))
				}
			}
		}
	}
	slices.SortStableFunc(r.Refusals, func(a, b console.LineRefusal) int { return a.Row - b.Row })
	if doubts > maxLines {
		f.warn(fmt.Sprintf("and %d more numbers of that kind", doubts-maxLines))
	}
	for _, text := range f.maker.beside(f.changes) {
		f.warn(text)
	}
	if r.Given > 0 {
		f.warn(fmt.Sprintf("%d lines belong to another customer now: their own lists, and whom they know, do not go along", r.Given))
	}
	if more := f.warned - maxWarnings; more > 0 {
		r.Warnings = append(r.Warnings, fmt.Sprintf("and %d more warnings", more))
	}
	r.Removed = len(f.gone)
	for i := range f.gone {
		f.would(f.gone[i].Name, console.LineRemoved, &f.gone[i], nil)
	}
}

// maxLeftBehind is of how many new lines it is looked whether one of the name was there before.
const maxLeftBehind = 1000

// leftBehind warns of new lines whose name another had before, from which nothing goes along.
func (f *linesFile) leftBehind(d *Desk) {
	looked, found := 0, 0
	for _, l := range f.inOrder {
		if l.why != "" || l.change != console.LineAdded {
			continue
		}
		if looked++; looked > maxLeftBehind {
			break
		}
		if d.leftBehind(l.set.Name) > 0 {
			found++
		}
	}
	if found > 0 {
		f.warn(fmt.Sprintf("%d lines that are new have the name of one that was there before, whose own lists, and whom it knew, stay behind: an undo of its removal has them (`ringfence line history NAME`)", found))
	}
}

// would notes what a dry run says of a line.
func (f *linesFile) would(name, change string, now, then *storage.Line) {
	if !f.q.DryRun || len(f.report.Would) >= maxShown {
		return
	}
	e := console.LineEdit{Name: name, Change: change}
	if now != nil && then != nil {
		e.What = lineChanges(now, then)
	}
	f.report.Would = append(f.report.Would, e)
}
