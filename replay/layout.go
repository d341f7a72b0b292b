package replay

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// layout is where the columns of a call detail record stand.
type layout struct {
	at      [roles][]place // the best first; the first that is not empty counts
	width   int            // columns of a row
	shape   *shape         // if there is no header
	need    int            // columns a row must have at least
	pair    *[2]int        // the columns of date and time of day, if they are two
	trusted bool           // a direction is the call's, as in FusionPBX; else it may be the leg's, which for a phone of ours is inbound too
	escaped bool           // cells have %2B for +
	clock   *clock
}

type place struct {
	column  int
	unit    float64 // seconds, for roleTalk
	dialled bool    // of a called number: what the caller dialled, not where the switch sent the call
}

// layoutOf finds the columns of a file by its first rows: the first one is the header or a row like all others.
// The error names what is missing and how to name it.
func layoutOf(rows [][]string, noHeader bool, columns *Columns) (l *layout, header bool, err error) {
	first := rows[0]
	l = &layout{width: len(first)}
	names := make([]string, len(first))
	if !noHeader {
		for i, cell := range first {
			names[i] = columnName(cell)
		}
		header = l.fill(names)
		for _, n := range columns.named() { // a name that stands in the first row makes it a header
			if _, err := strconv.Atoi(n.text); n.text != "" && err != nil {
				header = header || slices.Contains(names, columnName(n.text))
			}
		}
	}
	if header {
		rows = rows[1:]
		l.trusted = slices.ContainsFunc(names, func(name string) bool { return name == "callerdestination" || name == "calldirection" })
	} else {
		l.at = [roles][]place{}
		l.recognise(rows)
	}
	for _, n := range columns.named() {
		if n.text == "" {
			continue
		}
		at := slices.Index(names, columnName(n.text))
		if number, err := strconv.Atoi(n.text); err == nil && (at < 0 || !header) {
			at = number - 1
		}
		if at < 0 || at >= l.width {
			if _, err := strconv.Atoi(n.text); err == nil {
				return nil, false, fmt.Errorf("%s %s: there are %d columns", n.flag, n.text, l.width)
			}
			return nil, false, fmt.Errorf("%s %q: there is no such column among %s", n.flag, n.text, someOf(first))
		}
		l.at[n.role] = []place{{column: at, unit: unitOf(columnName(n.text))}}
		if n.role == roleTime {
			l.at[roleDate] = nil // it was said where times are
		}
	}
	var missing []string
	for _, n := range columns.named()[:3] {
		if len(l.at[n.role]) == 0 {
			missing = append(missing, n.flag)
		}
	}
	if len(missing) > 0 {
		return nil, false, fmt.Errorf("the columns are not known: name them with %s COLUMN, by the header or by number from 1; there are %s",
			strings.Join(missing, " COLUMN, "), someOf(first))
	}
	for _, places := range l.at {
		for _, p := range places {
			l.need = max(l.need, p.column+1)
		}
	}
	l.pairUp(rows)
	for _, row := range rows {
		l.escaped = l.escaped || len(row) >= l.need && strings.Contains(l.when(row), "%3A")
	}
	return l, header, nil
}

// pairUp finds the date of times that have none, in a column of its own.
func (l *layout) pairUp(rows [][]string) {
	for _, t := range l.at[roleTime] {
		for _, d := range l.at[roleDate] {
			clocks := 0
			for _, row := range rows {
				if len(row) < l.need {
					continue
				}
				hour, _, ok := strings.Cut(strings.TrimSpace(row[t.column]), ":")
				if !ok || len(hour) > 2 || t.column == d.column {
					clocks = -len(rows)
				}
				clocks++
			}
			if clocks > 0 && l.pair == nil {
				l.pair = &[2]int{d.column, t.column}
			}
		}
	}
}

// recognise finds the columns by the shape of the rows. One row may be damaged, so each gets a try.
func (l *layout) recognise(rows [][]string) {
	for _, row := range rows {
		for i := range shapes {
			if shapes[i].fits(row) {
				l.shape, l.width = &shapes[i], len(row)
				l.fill(l.shape.columns)
				l.options(row)
				return
			}
		}
	}
}

// options finds what Asterisk may write behind its columns, by its form: uniqueid and linkedid, in this order.
func (l *layout) options(row []string) {
	for i := len(l.shape.columns); i < len(row); i++ {
		if !isUniqueID(row[i]) {
			continue
		}
		if len(l.at[roleID]) == 0 {
			l.at[roleID] = []place{{column: i}}
		}
		l.at[roleCall] = []place{{column: i}} // the last is the linkedid, if there are two
	}
}

// isUniqueID reports whether a text is like 1795000000.12, or pbx1-1795000000.12, as Asterisk names channels.
func isUniqueID(text string) bool {
	seconds, n, ok := strings.Cut(text[strings.LastIndexByte(text, '-')+1:], ".")
	return ok && len(seconds) >= 9 && len(seconds) <= 10 && n != "" && strings.Trim(seconds+n, "0123456789") == ""
}

// fill finds the columns that have known names and reports whether they tell a header: both the caller and the
// called number, or the time with one of them.
func (l *layout) fill(names []string) bool {
	found := 0
	for role := range known {
		for _, want := range known[role] {
			want = columnName(want)
			if at := slices.IndexFunc(names, func(name string) bool { return columnName(name) == want }); at >= 0 {
				l.at[role] = append(l.at[role], place{at, unitOf(want), want == "did" || want == "callerdestination"})
			}
		}
		if role <= int(roleTime) && len(l.at[role]) > 0 {
			found++
		}
	}
	return found >= 2
}

func unitOf(name string) float64 {
	if u, ok := units[name]; ok {
		return u
	}
	return 1
}

// columnName is the form that names of columns are compared in: letters and digits, in lower case. What converters of
// FreeSWITCH's XML and JSON and of databases put before a name is left out: variables.start_stamp, cdr.calldate.
func columnName(cell string) string {
	name := strings.ToLower(strings.Trim(plainText(cell), " \"'\ufeff"))
	name = strings.NewReplacer(" ", "_", "-", "_", ".", "_", "/", "_").Replace(name)
	for {
		lead, rest, _ := strings.Cut(name, "_")
		if _, err := strconv.Atoi(lead); err != nil && !slices.Contains(namespaces, lead) || rest == "" {
			break
		}
		name = rest
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return r
		}
		return -1
	}, strings.TrimPrefix(name, "caller_profile_"))
}

// namespaces are words before the name of a column that say where it comes from.
var namespaces = []string{"variables", "variable", "callflow", "cdr", "vxmlcdr"}

// someOf names the first columns of a file, for advice.
func someOf(cells []string) string {
	const few = 24
	var names []string
	for _, cell := range cells[:min(len(cells), few)] {
		names = append(names, fmt.Sprintf("%.24q", cell))
	}
	text := strings.Join(names, ", ")
	if len(cells) > few {
		text += fmt.Sprintf(" and %d more", len(cells)-few)
	}
	return text
}

// text is what a row holds for a role, without spaces around it.
func (l *layout) text(row []string, r role) string {
	text, _ := l.find(row, r)
	return text
}

// find is text, and the place where it stands.
func (l *layout) find(row []string, r role) (text string, at place) {
	for _, p := range l.at[r] {
		if s := l.cell(row, p.column); s != "" {
			return s, p
		}
	}
	return "", at
}

// cell is what a cell holds, "" for nothing in the words of databases.
func (l *layout) cell(row []string, column int) string {
	s := strings.TrimSpace(row[column])
	if isNothing(s) {
		return ""
	}
	if l.escaped {
		return unescaped(s)
	}
	return s
}

// when is when the call of a row came in, as it is written there.
func (l *layout) when(row []string) string {
	if l.pair != nil {
		return l.cell(row, l.pair[0]) + " " + l.cell(row, l.pair[1])
	}
	return l.text(row, roleTime)
}

// kind is what a row of call detail records is.
type kind uint8

const (
	kindCall  kind = iota
	kindOther      // a call of another context
	kindLeg        // a leg that the switch placed for a call, which has a row of its own
	kindTest       // a doctor's call, which says nothing of callers
	kinds     = iota
)

// isLeg reports whether a row is of a leg that FreeSWITCH or FusionPBX placed: to a phone, of a ring group that another
// phone won, to an agent of a queue.
func (l *layout) isLeg(row []string) bool {
	return strings.EqualFold(l.text(row, roleLeg), "b") || l.text(row, roleSide) == "agent" || l.text(row, roleCause) == "LOSE_RACE"
}

// read makes a call of a row. fault is what is wrong with the row; ends is set if it puts all rows in doubt.
func (l *layout) read(row []string, contexts []string) (c Call, what kind, fault string, ends bool) {
	if len(contexts) > 0 && !slices.Contains(contexts, l.text(row, roleContext)) {
		return c, kindOther, "", false
	}
	if l.isLeg(row) {
		return c, kindLeg, "", false
	}
	text := l.when(row)
	when, ok := l.clock.read(text)
	if !ok {
		if l.clock.contradicted(text) {
			return c, kindCall, fmt.Sprintf("%.40q has day and month in another place than the times before: name the form with --time-format", text), true
		}
		return c, kindCall, l.clock.fault(text), false
	}
	c.ID, c.Facts.Time, c.claim = l.text(row, roleID), when, claimUnknown
	c.Facts.Name = plainText(callerName(l.text(row, roleName)))
	c.Facts.Caller, c.unreadable = spreadsheetNumber(l.text(row, roleCaller))
	callee, at := l.find(row, roleCallee)
	c.Facts.Callee, _ = spreadsheetNumber(callee)
	if c.out = parseDirection(l.text(row, roleDirection)); c.out == directionIn && !l.trusted {
		c.out = directionUnknown
	}
	if c.out == directionIn {
		c.claim = claimNone
	}
	c.shown, _ = spreadsheetNumber(l.text(row, roleShown))
	if places := l.at[roleLabel]; len(places) > 0 {
		c.label = labelOf(l.cell(row, places[0].column))
	}
	l.from(row, &c)
	if key := l.text(row, roleCall); len(key) >= 5 { // a call's, not the place of a row
		c.part = part{key: hash(hashStart, key), rank: partOther, dialled: at.dialled}
		switch {
		case key == c.ID:
			c.part.rank = partFirst
		case strings.HasPrefix(l.text(row, roleChannel), "Local/"):
			c.part.rank = partLocal
		}
	}
	return c, kindCall, l.outcome(row, &c), false
}

// from reads where a call came in.
func (l *layout) from(row []string, c *Call) {
	if c.origin.any = l.text(row, roleTrunk); c.origin.any != "" {
		return
	}
	o := &c.origin.switching
	channelOrigin(l.text(row, roleChannel), o)
	o.Gateway = l.text(row, roleGateway)
	if profile := l.text(row, roleProfile); profile != "" {
		o.Profile = profile
	}
	if address := l.text(row, roleAddress); address != "" {
		o.Address, _ = netip.ParseAddr(address)
	}
}

// outcome reads what became of a call.
func (l *layout) outcome(row []string, c *Call) (fault string) {
	if text, at := l.find(row, roleTalk); text != "" {
		talk, err := parseTalk(text, l.clock.comma)
		if err != nil {
			return fmt.Sprintf("%.40q %v", text, err)
		}
		c.Ended, c.Talk = true, talk*at.unit
		if all, err := parseTalk(l.text(row, roleDuration), l.clock.comma); err == nil && len(l.at[roleDuration]) > 0 {
			c.Ring, c.ringKnown = max(all-c.Talk, 0), true
		}
	}
	c.Answered = c.Talk > 0
	if places := l.at[roleAnswered]; len(places) > 0 {
		// Any column that says so: in FreeSWITCH's "asterisk" template the disposition is a hangup cause.
		c.Ended, c.Answered = true, false
		for _, p := range places {
			c.Answered = c.Answered || parseAnswered(l.cell(row, p.column), l.clock)
		}
	}
	return ""
}
