package replay

import (
	"fmt"
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
	roleDirection
	roleCall // which call a record belongs to
	roleDate // of a time that is without one
	roleLeg
	roleSide
	roleCause
	roleShown    // what a call that went out showed
	roleDuration // from the beginning to the end, ringing included
	roleLabel    // whether the call was wanted; only where it is named
	roles
)

// known are the names that columns have in headers, the best first. They are FreeSWITCH's channel variables, the columns
// of FusionPBX's export, of Asterisk's CDR and of its databases (FreePBX), and plain words. See columnName for how
// they may be written.
var known = [roles][]string{
	roleCaller: {
		"caller_id_number", "cnum", "src", "source", "caller", "caller_number", "caller_num", "calling_number", "calling_party", "caller_id", "source_number", "ani", "from",
		"from_number", "call_from", "主叫号码", "主叫",
	},
	// caller_destination is what the caller dialled, destination_number may be the extension that it came to.
	roleCallee: {
		"did", "caller_destination", "destination_number", "dst", "destination", "callee", "called_number", "callee_number", "called_party", "called", "dialed_number", "dialled_number", "to",
		"to_number", "call_to", "被叫号码", "被叫",
	},
	roleTime: {
		"start_stamp", "start", "calldate", "start_time", "time", "start_uepoch", "start_epoch", "call_time", "datetime", "date_time", "start_date", "timestamp", "呼叫时间", "开始时间", "date",
		"end_stamp", // of FreeSWITCH's template opencdrrate, which has no start
	},
	roleTalk:      {"talk_s", "billmsec", "billsec", "billusec", "talk", "talk_time", "bill_seconds", "通话时长"},
	roleAnswered:  {"answered", "disposition", "answer_stamp", "answer_uepoch", "answer_epoch", "answer", "status", "call_status"},
	roleName:      {"caller_id_name", "cnam", "clid", "caller_name", "name"},
	roleTrunk:     {"ringfence_trunk", "trunk"},
	roleGateway:   {"sip_gateway_name", "sip_gateway", "gateway"},
	roleProfile:   {"sofia_profile_name", "sip_profile"},
	roleAddress:   {"sip_network_ip", "network_addr", "network_ip"},
	roleChannel:   {"channel", "channel_name"},
	roleContext:   {"context", "dcontext"},
	roleID:        {"uuid", "uniqueid", "xml_cdr_uuid", "id"},
	roleDirection: {"call_direction", "direction", "call_type"},
	roleCall:      {"linkedid", "uniqueid"},
	roleDate:      {"date", "call_date"},
	roleLeg:       {"leg"},
	roleSide:      {"cc_side"},
	roleCause:     {"hangup_cause"},
	roleShown:     {"outbound_cnum", "outbound_caller_id_number", "effective_caller_id_number"},
	roleDuration:  {"duration"},
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
// those of conf/vanilla/autoload_configs/cdr_csv.conf.xml (example, snom, linksys and sql begin like it; opencdrrate); cdr_csv.c
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
	{
		name:    "FreeSWITCH call detail records (opencdrrate)",
		columns: strings.Fields("uuid signal_bond direction ani destination_number answer_stamp end_stamp billsec accountcode userfield network_addr caller_id_name sip_gateway_name"),
		more:    0, times: []int{6}, maybe: []int{5}, counts: []int{7},
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
	_, ok := anyClock.read(strings.TrimSpace(text))
	return ok
}

// anyClock reads the times that switches write by themselves, of whatever year.
var anyClock = &clock{zone: time.UTC, latest: 9999}

// Columns names the columns to read, each by the name in the header or by its number from 1. What is "" is
// found by the names that switches use.
type Columns struct {
	Caller, Callee, Time, Talk, Answered, Name, Trunk string

	// Label says which calls were unwanted: see labelOf. There is no column that is taken for it by its name.
	Label string
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
		{roleLabel, "--label", c.Label},
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
