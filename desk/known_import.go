package desk

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"ringfence/console"
	"ringfence/listfile"
	"ringfence/number"
	"ringfence/policy"
	"ringfence/replay"
	"ringfence/traffic"
)

// Bounds of an import of acquaintances.
const (
	maxMeetings = 1_000_000 // pairs of a line and a number: as many as there is room for at all
	callsPeek   = 64 << 10  // bytes that are looked at to tell call records from an address book
)

// ImportKnown makes the numbers of a file known to lines. Those that cannot be read are refused and named, and the others go in. When
// it returns without an error they are on disk.
func (d *Desk) ImportKnown(ctx context.Context, q console.KnownImport, file io.Reader) (*console.KnownReport, error) {
	lines, err := d.linesNamed(q.Lines)
	if err != nil {
		return nil, err
	}
	k := &knownImport{
		d: d, q: q, policy: d.force.Rules().Policy, now: d.o.Now(), lines: lines, at: make(map[knownPair]int64),
		report: &console.KnownReport{DryRun: q.DryRun, Format: q.Format, Lines: namesOfKeys(d.force.Rules().Policy, lines), Refusals: []console.Refusal{}, Warnings: []string{}},
	}
	k.oldest = k.now.Add(-traffic.KeepKnown(k.policy))
	if err := d.needLists(); err != nil {
		return nil, err
	}
	if d.o.Journal == nil { // a running daemon has them
		if err := d.readWaiting(); err != nil {
			return nil, refused(err)
		}
	}
	if err := k.read(ctx, file); err != nil {
		return nil, err
	}
	if err := k.write(ctx); err != nil {
		return nil, err
	}
	return k.report, nil
}

// knownImport is a file of acquaintances on its way.
type knownImport struct {
	d      *Desk
	q      console.KnownImport
	policy *policy.Policy
	now    time.Time
	oldest time.Time // what is longer ago is not kept
	lines  []string
	at     map[knownPair]int64 // when each was so last, in milliseconds since 1970
	listed map[string]bool     // numbers that were warned of
	over   int                 // of these, how many warnings are too many
	marked int                 // calls of numbers that the line has reported since
	report *console.KnownReport
}

// knownPair is a line and what a number is known by.
type knownPair struct{ line, number string }

// read gathers what the file says.
func (k *knownImport) read(ctx context.Context, file io.Reader) error {
	columns, calls, err := splitColumns(k.q.Columns)
	if err != nil {
		return console.Bad("nothing was changed: " + err.Error())
	}
	switch k.q.Format {
	case string(listfile.FTC), string(listfile.PhoneBlock):
		return console.Bad(fmt.Sprintf("nothing was changed: %s is a list of nuisance callers, not of acquaintances: `ringfence list import` takes it", k.q.Format))
	case console.FormatCalls:
		return k.readCalls(ctx, file, calls)
	case "":
		in := bufio.NewReaderSize(file, callsPeek)
		if calls != (replay.Columns{}) || k.looksLikeCalls(in) {
			return k.readCalls(ctx, in, calls)
		}
		file = in
	}
	if calls != (replay.Columns{}) {
		return console.Bad(fmt.Sprintf("nothing was changed: a file of the format %s has no columns of calls", k.q.Format))
	}
	return k.readBook(ctx, file, columns)
}

// splitColumns tells the columns of an address book from those of calls.
func splitColumns(words []string) (book []string, calls replay.Columns, err error) {
	named := map[string]*string{
		"caller": &calls.Caller, "callee": &calls.Callee, "time": &calls.Time, "talk": &calls.Talk, "answered": &calls.Answered, "trunk": &calls.Trunk,
	}
	for _, w := range words {
		name, column, ok := strings.Cut(w, "=")
		if to := named[strings.TrimSpace(strings.ToLower(name))]; ok && to != nil && strings.TrimSpace(column) != "" {
			*to = strings.TrimSpace(column)
			continue
		}
		if _, err := listfile.ParseColumns([]string{w}); err != nil {
			return nil, calls, fmt.Errorf("%.60q: write number=COLUMN for an address book, or caller=, callee=, time=, talk=, answered= or trunk= and COLUMN for calls, "+
				"where COLUMN is a name in the header or a place from 1", w)
		}
		book = append(book, w)
	}
	if len(book) > 0 && calls != (replay.Columns{}) {
		return nil, calls, errors.New("number= is a column of an address book, and the others are of calls: write one kind")
	}
	return book, calls, nil
}

// looksLikeCalls reports whether a file begins as call detail records or a journal do.
func (k *knownImport) looksLikeCalls(in *bufio.Reader) bool {
	head, _ := in.Peek(callsPeek)
	if text := bytes.TrimLeft(head, " \t\r\n"); bytes.HasPrefix(text, []byte("{")) {
		var line struct {
			Caller json.RawMessage `json:"caller"`
			Callee *string         `json:"callee"`
		}
		return json.NewDecoder(bytes.NewReader(text)).Decode(&line) == nil && line.Caller != nil && line.Callee != nil
	}
	if len(bytes.TrimSpace(head)) == 0 || len(head) >= len("BEGIN:VCARD") && bytes.EqualFold(head[:len("BEGIN:VCARD")], []byte("BEGIN:VCARD")) {
		return false
	}
	_, err := replay.Open("calls", bytes.NewReader(head), 0, replay.SourceOptions{Zone: time.UTC, Now: k.now, TimeFormat: k.q.TimeFormat})
	return err == nil
}

// readBook gathers the numbers of an address book, or of another list of numbers. They are known from now on.
func (k *knownImport) readBook(ctx context.Context, file io.Reader, columns []string) error {
	if len(k.lines) == 0 {
		all := slices.DeleteFunc(k.policy.Lines(), k.policy.IsDecoyLine)
		kept, _ := k.d.force.Rules().Lines.Len()
		return console.Bad(fmt.Sprintf("nothing was changed: whose address book is it? Write --line and %s",
			lineAdvice(all, kept)))
	}
	named, err := listfile.ParseColumns(columns)
	if err != nil {
		return console.Bad("nothing was changed: " + err.Error())
	}
	info, err := listfile.Read(file, listfile.Options{
		Format: listfile.Format(k.q.Format), Now: k.now, Expiry: console.ParseExpiry, Columns: named, Encoding: k.q.Encoding, Country: k.policy.Country(),
	}, func(l listfile.Line) error {
		e164, lines, why := k.entry(&l)
		if why != "" {
			k.refuse(l.No, l.Number, why)
			return ctx.Err()
		}
		k.meet(lines, e164, k.now)
		return ctx.Err()
	})
	if k.report.Format, k.report.Columns = string(info.Format), info.Columns; err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return console.Bad("nothing was changed: " + err.Error())
	}
	if info.Format == listfile.FTC || info.Format == listfile.PhoneBlock {
		return console.Bad(fmt.Sprintf("nothing was changed: the file is a list of nuisance callers (%s), not of acquaintances: `ringfence list import` takes it", info.Format))
	}
	return nil
}

// entry is the number that a line of an address book names, and the lines that it can be known to, or why there is none.
func (k *knownImport) entry(l *listfile.Line) (e164 string, lines []string, why string) {
	if l.Fault != nil {
		return "", nil, l.Fault.Error()
	}
	pattern, err := entryOfLine(k.policy.Plan(), l)
	switch {
	case err != nil:
		return "", nil, err.Error()
	case l.Remove:
		return "", nil, "is to be removed, says the file: `ringfence known forget` does that"
	case !pattern.IsExact():
		return "", nil, "is a range of numbers: an acquaintance is one number"
	}
	n := k.policy.Plan().ParseInternal(pattern.String())
	lines, why = k.knowable(&n, k.lines)
	return n.E164, lines, why
}

// knowable are those of lines that a number can be known to, or why it can to none.
func (k *knownImport) knowable(n *number.Number, lines []string) (can []string, why string) {
	for _, line := range lines {
		if w := k.d.unknowable(n, line); w != "" {
			why = w
		} else {
			can = append(can, line)
		}
	}
	if len(can) > 0 {
		why = ""
	}
	return can, why
}

func (k *knownImport) refuse(line int, text, why string) {
	if k.report.Refused++; len(k.report.Refusals) < maxRefusals {
		k.report.Refusals = append(k.report.Refusals, console.Refusal{Line: line, Number: number.InertUpTo(text, 64), Why: why})
	}
}

// readCalls gathers whom the lines talked with, as calls are watched: for 10 s whom they called, for 60 s who called them.
func (k *knownImport) readCalls(ctx context.Context, file io.Reader, columns replay.Columns) error {
	zone := k.policy.Zone()
	if k.q.Zone != "" {
		var err error
		if zone, err = time.LoadLocation(k.q.Zone); err != nil {
			return console.Bad(fmt.Sprintf("there is no time zone %.60q: write a name of the tz database, such as UTC or Asia/Shanghai", k.q.Zone))
		}
	}
	name := cmp.Or(number.InertUpTo(k.q.File, maxName), "the file")
	s, err := replay.Open(name, file, 0, replay.SourceOptions{Columns: columns, Zone: zone, TimeFormat: k.q.TimeFormat, Now: k.now})
	if err != nil {
		return console.Bad("nothing was changed: " + err.Error())
	}
	wanted := make(map[string]bool)
	for _, line := range k.lines {
		wanted[line] = true
	}
	r, err := replay.Run(ctx, []*replay.Source{s}, replay.Options{Judge: replay.NewJudge(k.policy, nil), Meet: func(line, e164 string, at time.Time) {
		switch {
		case line == "" && len(k.lines) == 0:
			k.report.NoLine++
		case line == "":
			k.meetCall(k.lines, e164, at)
		case len(k.lines) == 0 || wanted[line]:
			k.meetCall([]string{line}, e164, at)
		}
	}})
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return console.Bad("nothing was changed: " + err.Error())
	}
	k.report.Format, k.report.Calls = console.FormatCalls, r.Summary.Calls+r.Summary.Outgoing
	for _, f := range r.Faults {
		k.report.Refusals = append(k.report.Refusals, console.Refusal{Line: f.Line, Why: f.Text})
	}
	if k.report.Refused = int(r.Summary.Bad); k.report.Refused > 0 && r.Summary.Rows == r.Summary.Bad {
		return console.Bad("nothing was changed: no call could be read: " + r.Faults[0].Text)
	}
	if k.marked > 0 {
		k.warn(fmt.Sprintf("calls with numbers that the line has reported since teach nothing: %d of them. `ringfence reports ls` shows the reports; once one is dismissed they count", k.marked))
	}
	if k.report.NoLine > 0 {
		k.warn(fmt.Sprintf("%d calls went out from phones that are on no line: with --line those whom they called become known to that line", k.report.NoLine))
	}
	return nil
}

// meetCall takes a call that made a number known. A switch whose clock is ahead of ours makes nobody known in the future.
func (k *knownImport) meetCall(lines []string, e164 string, at time.Time) {
	n := k.policy.Plan().ParseInternal(e164)
	lines, _ = k.knowable(&n, lines) // one that cannot be known is a call as there are some: nothing that somebody wrote
	if at.After(k.now) {
		at = k.now
	}
	lines = slices.DeleteFunc(lines, func(line string) bool {
		marked := k.d.markedAfter(e164, k.policy.CustomerOf(line), at)
		if marked {
			k.marked++
		}
		return marked
	})
	k.meet(lines, e164, at)
}

// meet gathers a meeting.
func (k *knownImport) meet(lines []string, e164 string, at time.Time) {
	if at.Before(k.oldest) {
		k.report.TooOld += len(lines)
		return
	}
	name := e164
	if k.d.o.Private != nil {
		name = k.d.o.Private.Name(e164)
	}
	for _, line := range lines {
		pair := knownPair{line, name}
		was, there := k.at[pair]
		if !there && len(k.at) >= maxMeetings {
			k.noRoom(traffic.Meeting{Line: line, Number: name, At: at})
			continue
		}
		if !there {
			pair.number = strings.Clone(name) // not a part of a larger text
			k.warnIfListed(line, e164)
		}
		k.at[pair] = max(was, at.UnixMilli())
	}
}

// warnIfListed says of a number that it is on a list by which calls do not pass.
func (k *knownImport) warnIfListed(line, e164 string) {
	if k.listed[e164] {
		return
	}
	n, lists := k.policy.Plan().Parse(e164), k.d.force.Rules().Lists
	names := k.policy.Lists()
	if l, ok := k.policy.LineNamed(line); ok && l.Kept {
		for _, own := range k.policy.OwnLists() {
			names = append(names, "line:"+own)
		}
	}
	for _, list := range names {
		own, bare, isOwn := strings.Cut(list, ":")
		if isOwn && own != line && own != "line" || k.policy.OnlyAllows(list) {
			continue
		}
		e, ok := policy.ListEntry{}, false
		if isOwn && own == "line" {
			if e, ok = lists.LookupOwn(line, policy.HashKey(line), bare, &n, k.now); ok {
				list = e.List
			}
		} else {
			e, ok = lists.Lookup(list, &n, k.now)
		}
		if !ok {
			continue
		}
		if k.listed == nil {
			k.listed = make(map[string]bool)
		}
		if len(k.listed) >= maxWarnings {
			k.over++
			return
		}
		k.listed[strings.Clone(e164)] = true
		text := fmt.Sprintf("%s is on list %s", e164, list)
		if pattern := e.Pattern.String(); pattern != e164 {
			text += ", by " + pattern
		}
		k.warn(text + ": it becomes known all the same, and the order of the rules says what its calls get")
		return
	}
}

func (k *knownImport) warn(text string) { k.report.Warnings = append(k.report.Warnings, text) }

func (k *knownImport) noRoom(m traffic.Meeting) {
	if k.report.NoRoom++; len(k.report.Missing) < maxShown {
		k.report.Missing = append(k.report.Missing, console.Acquaintance{Line: policy.LineName(m.Line), Number: m.Number, Last: m.At.UTC()})
	}
}

// write makes what was gathered count.
func (k *knownImport) write(ctx context.Context) error {
	if k.over > 0 {
		k.warn(fmt.Sprintf("and %d more pairs of a line and a listed number", k.over))
	}
	meetings := make([]traffic.Meeting, 0, len(k.at))
	for pair, ms := range k.at {
		meetings = append(meetings, traffic.Meeting{Line: pair.line, Number: pair.number, At: time.UnixMilli(ms)})
	}
	k.at = nil
	slices.SortFunc(meetings, func(a, b traffic.Meeting) int {
		return cmp.Or(strings.Compare(a.Line, b.Line), strings.Compare(a.Number, b.Number))
	})
	met, err := k.d.o.Known.Meet(ctx, meetings, k.q.DryRun)
	if err != nil {
		return fmt.Errorf("not all numbers became known: import the file again, which does no harm (%w)", err)
	}
	r := k.report
	for i, m := range meetings {
		switch met[i] {
		case traffic.Unchanged:
			r.Unchanged++
			continue
		case traffic.NoRoom:
			k.noRoom(m)
			continue
		case traffic.Added:
			r.Added++
		case traffic.Newer:
			r.Newer++
		}
		if k.q.DryRun && len(r.Would) < maxShown {
			r.Would = append(r.Would, console.Acquaintance{Line: policy.LineName(m.Line), Number: m.Number, Last: m.At.UTC()})
		}
	}
	if !k.q.DryRun && k.d.o.Journal != nil { // on the files the command says it
		by := byOf(ctx)
		k.d.o.Log.Info("acquaintances were imported", "added", r.Added, "newer", r.Newer, "no_room", r.NoRoom, "who", by.Who, "from", by.From)
	}
	return nil
}
