package replay

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// role is what a column of a call detail record is read for.
type role uint8

const (
	roleCaller role = iota
	roleCallee
	roleTime
	roleTalk
	roleAnswered
	roleName
	roleTrunk
	roleGateway
	roleProfile
	roleAddress
	roleChannel
	roleContext
	roleID
	roles
)

// known are the names that columns have in headers, the best first, in lower case with _ for spaces. They are
// FreeSWITCH's channel variables, the columns of Asterisk's CDR and of its databases (FreePBX), and plain words.
var known = [roles][]string{
	roleCaller:   {"caller_id_number", "cnum", "src", "source", "caller", "caller_number", "calling_number", "ani", "from"},
	roleCallee:   {"did", "destination_number", "dst", "destination", "callee", "called_number", "callee_number", "to"},
	roleTime:     {"start_stamp", "start", "calldate", "start_time", "time", "start_uepoch", "start_epoch"},
	roleTalk:     {"talk_s", "billmsec", "billsec", "billusec", "talk"},
	roleAnswered: {"answered", "disposition", "answer_stamp", "answer_uepoch", "answer_epoch", "answer"},
	roleName:     {"caller_id_name", "cnam", "clid", "caller_name", "name"},
	roleTrunk:    {"ringfence_trunk", "trunk"},
	roleGateway:  {"sip_gateway_name", "sip_gateway", "gateway"},
	roleProfile:  {"sofia_profile_name", "sip_profile"},
	roleAddress:  {"sip_network_ip", "network_addr", "network_ip"},
	roleChannel:  {"channel", "channel_name"},
	roleContext:  {"context", "dcontext"},
	roleID:       {"uuid", "uniqueid", "id"},
}

// units are columns that do not hold seconds.
var units = map[string]float64{"billmsec": 1e-3, "billusec": 1e-6}

// shape is how the rows of a file without a header look. A column's name is its place in the list.
type shape struct {
	name    string
	columns []string
	more    int   // further columns that may follow, whatever they hold
	times   []int // columns that hold a time
	maybe   []int // or nothing
	counts  []int // columns that hold whole numbers
}

// shapes are the files that are known without a header. Sources: mod_cdr_csv's built-in default template and
// those of conf/vanilla/autoload_configs/cdr_csv.conf.xml that begin like it (example, snom, linksys); cdr_csv.c
// of Asterisk, whose uniqueid, userfield, peeraccount, linkedid and sequence are options, with FreeSWITCH's
// template "asterisk" alike; the mapping for Master.csv in Asterisk's cdr_custom.conf.sample.
var shapes = []shape{
	{
		name:    "FreeSWITCH call detail records",
		columns: strings.Fields("caller_id_name caller_id_number destination_number context start_stamp answer_stamp end_stamp duration billsec hangup_cause uuid bleg_uuid accountcode"),
		more:    16, times: []int{4, 6}, maybe: []int{5}, counts: []int{7, 8},
	},
	{
		name:    "Asterisk call detail records",
		columns: strings.Fields("accountcode src dst dcontext clid channel dstchannel lastapp lastdata start answer end duration billsec disposition amaflags"),
		more:    5, times: []int{9}, maybe: []int{10, 11}, counts: []int{12, 13},
	},
	{
		name:    "Asterisk call detail records (cdr_custom)",
		columns: strings.Fields("clid src dst dcontext channel dstchannel lastapp lastdata start answer end duration billsec disposition amaflags accountcode uniqueid userfield"),
		more:    0, times: []int{8}, maybe: []int{9, 10}, counts: []int{11, 12},
	},
}

// fits reports whether a row is of the shape.
func (s *shape) fits(row []string) bool {
	if len(row) < len(s.columns) || len(row) > len(s.columns)+s.more {
		return false
	}
	for _, at := range s.times {
		if len(row[at]) < len(time.DateTime) || !isTime(row[at]) {
			return false
		}
	}
	for _, at := range s.maybe {
		if text := row[at]; text != "" && !isTime(text) && !strings.HasPrefix(text, "1970-01-01") {
			return false
		}
	}
	for _, at := range s.counts {
		if row[at] == "" || strings.Trim(row[at], "0123456789") != "" {
			return false
		}
	}
	return true
}

func isTime(text string) bool {
	_, ok := parseTime(strings.TrimSpace(text), time.UTC)
	return ok
}

// Columns names the columns to read, each by the name in the header or by its number from 1. What is "" is
// found by the names that switches use.
type Columns struct {
	Caller, Callee, Time, Talk, Answered, Name, Trunk string
}

// named are the columns with their roles and flags.
func (c *Columns) named() []namedColumn {
	return []namedColumn{
		{roleCaller, "--caller", c.Caller},
		{roleCallee, "--callee", c.Callee},
		{roleTime, "--time", c.Time},
		{roleTalk, "--talk", c.Talk},
		{roleAnswered, "--answered", c.Answered},
		{roleName, "--name", c.Name},
		{roleTrunk, "--trunk", c.Trunk},
	}
}

type namedColumn struct {
	role role
	flag string
	text string
}

// Check says what is wrong with the names when the file has no header.
func (c *Columns) Check(noHeader bool) error {
	for _, n := range c.named() {
		if n.text == "" {
			continue
		}
		if number, err := strconv.Atoi(n.text); err == nil && number < 1 {
			return fmt.Errorf("%s: %s is no column: the first is 1", n.flag, n.text)
		} else if err != nil && noHeader {
			return fmt.Errorf("%s: %q: without a header a column is named by its number, from 1", n.flag, n.text)
		}
	}
	return nil
}

// any names a column that was named, "" if none was.
func (c *Columns) any() (flag string) {
	for _, n := range c.named() {
		if n.text != "" {
			return n.flag
		}
	}
	return ""
}

// layout is where the columns of a call detail record stand.
type layout struct {
	at    [roles][]place // the best first; the first that is not empty counts
	width int            // columns of a row
	shape *shape         // if there is no header
	need  int            // columns a row must have at least
}

type place struct {
	column int
	unit   float64 // seconds, for roleTalk
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
	if !header {
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
		l.at[n.role] = []place{{at, unitOf(columnName(n.text))}}
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
	return l, header, nil
}

// recognise finds the columns by the shape of the rows. One row may be damaged, so each gets a try.
func (l *layout) recognise(rows [][]string) {
	for _, row := range rows {
		for i := range shapes {
			if shapes[i].fits(row) {
				l.shape, l.width = &shapes[i], len(row)
				l.fill(l.shape.columns)
				return
			}
		}
	}
}

// fill finds the columns that have known names and reports whether they tell a header: both the caller and the
// called number, or the time with one of them.
func (l *layout) fill(names []string) bool {
	found := 0
	for role := range known {
		for _, want := range known[role] {
			if at := slices.Index(names, want); at >= 0 {
				l.at[role] = append(l.at[role], place{at, unitOf(want)})
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

// columnName is the form that names of columns are compared in.
func columnName(cell string) string {
	return strings.NewReplacer(" ", "_", "-", "_").Replace(strings.ToLower(strings.TrimSpace(cell)))
}

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
	for _, p := range l.at[r] {
		if s := strings.TrimSpace(row[p.column]); s != "" {
			return s
		}
	}
	return ""
}

// read makes a call of a row. fault is what is wrong with the row; skip is set for one of another context.
func (l *layout) read(row []string, zone *time.Location, contexts []string) (c Call, skip bool, fault string) {
	if len(contexts) > 0 && !slices.Contains(contexts, l.text(row, roleContext)) {
		return c, true, ""
	}
	when, ok := parseTime(l.text(row, roleTime), zone)
	if !ok {
		return c, false, fmt.Sprintf("%.40q is no time of a call; write %s", l.text(row, roleTime), timeForms)
	}
	c.ID = l.text(row, roleID)
	c.Facts.Caller, c.Facts.Callee, c.Facts.Time = l.text(row, roleCaller), l.text(row, roleCallee), when
	c.Facts.Name = callerName(l.text(row, roleName))
	c.claim = claimUnknown
	c.origin.any = l.text(row, roleTrunk)
	if c.origin.any == "" {
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
	for _, p := range l.at[roleTalk] {
		text := strings.TrimSpace(row[p.column])
		if text == "" {
			continue
		}
		talk, err := parseTalk(text)
		if err != nil {
			return c, false, fmt.Sprintf("%.40q %v", text, err)
		}
		c.Ended, c.Talk = true, talk*p.unit
		break
	}
	c.Answered = c.Talk > 0
	if places := l.at[roleAnswered]; len(places) > 0 {
		// Any column that says so: in FreeSWITCH's "asterisk" template the disposition is a hangup cause.
		c.Ended, c.Answered = true, false
		for _, p := range places {
			c.Answered = c.Answered || parseAnswered(strings.TrimSpace(row[p.column]), zone)
		}
	}
	return c, false, ""
}
