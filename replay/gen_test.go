package replay

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"ringfence/lists"
	"ringfence/policy"
)

// sample is a policy with something of everything.
const sample = `
country  = "CN"
timezone = "Asia/Shanghai"
[numbers]
internal = ["8???"]
[lines.staff]
numbers = ["05925550000-05925550999"]
[lines.hotline]
numbers = ["4008001234"]
[trunks.telecom]
match = ["gateway:telecom", "endpoint:telecom", "203.0.113.0/24", "profile:external"]
[trunks.branch]
match    = ["gateway:branch"]
internal = true
[[rule]]
name   = "allowlist"
when   = { list = ["allowlist"] }
action = "allow"
[[rule]]
name   = "blacklist"
when   = { list = ["blacklist"] }
action = "reject"
[[rule]]
name   = "on trial"
when   = { caller = ["95230*"] }
action = "reject"
mode   = "observe"
[[rule]]
name   = "952 sales calls"
when   = { caller = ["9521????", "9520????"], line = ["staff"] }
action = "warn"
announcement = "suspected-nuisance"
then   = "hangup"
[[rule]]
name   = "rented 95 numbers"
when   = { caller = ["95??????"] }
action = "tag"
label  = "外呼"
[[rule]]
name   = "sellers"
when   = { caller_name = "(?i)loan|贷款" }
action = "reject"
[[rule]]
name   = "abroad at night"
when   = { caller = ["+1*", "+44*"], hours = ["Mon-Sun 20:00-08:00"] }
action = "reject"
[[rule]]
name   = "withheld at night"
when   = { caller_kind = ["anonymous", "invalid"], line = ["staff"], hours = ["Mon-Sun 20:00-08:00"] }
action = "reject"
sip    = 480
[[rule]]
name   = "not for us"
when   = { trunk = ["telecom"], callee_not = ["05925550000-05925550999", "4008001234"] }
action = "tag"
label  = "?"
`

func mustLoad(t testing.TB, text string) *policy.Policy {
	t.Helper()
	p, faults := policy.Load("policy.toml", []byte(text))
	if p == nil {
		t.Fatalf("%v", faults)
	}
	return p
}

// sampleLists fills the lists that the sample asks for.
func sampleLists(t testing.TB, p *policy.Policy) *lists.Lists {
	t.Helper()
	lists := lists.New()
	for list, entries := range map[string][]string{"allowlist": {"95213333", "+12125550100"}, "blacklist": {"1380013????", "95231111", "+49*"}} {
		for _, text := range entries {
			pattern, err := p.Plan().Pattern(text)
			if err != nil {
				t.Fatal(err)
			}
			lists.Put(policy.ListEntry{List: list, Pattern: pattern, Reason: "of " + list})
		}
	}
	return lists
}

func mustJudge(t testing.TB, text string) *Judge {
	p := mustLoad(t, text)
	return NewJudge(p, sampleLists(t, p))
}

// someCalls makes up inbound calls: what an office in Xiamen gets in a week with a campaign under way.
type week struct {
	r      *rand.Rand
	mobile []string
	fixed  []string
	abroad []string
	at     time.Time
}

func newWeek(seed uint64) *week {
	t := &week{r: rand.New(rand.NewPCG(seed, 1)), at: time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)}
	for range 30_000 {
		t.mobile = append(t.mobile, t.digits("1"+t.pick("38", "39", "50", "59", "86", "99"), 8))
	}
	for range 10_000 {
		switch t.r.IntN(3) {
		case 0:
			t.fixed = append(t.fixed, t.digits("0592555", 4))
		case 1:
			t.fixed = append(t.fixed, t.digits(t.pick("01082", "02161"), 6))
		default:
			t.fixed = append(t.fixed, t.digits(t.pick("059187", "075526"), 6))
		}
	}
	for range 2000 {
		switch t.r.IntN(3) {
		case 0:
			t.abroad = append(t.abroad, t.digits(t.pick("+1212555", "001415555"), 4))
		case 1:
			t.abroad = append(t.abroad, t.digits("+4420794", 5))
		default:
			t.abroad = append(t.abroad, t.digits(t.pick("+4930901", "+8190123", "0085223"), 5)+t.digits("", t.r.IntN(2)))
		}
	}
	return t
}

func (t *week) pick(of ...string) string { return of[t.r.IntN(len(of))] }

func (t *week) digits(lead string, n int) string {
	b := []byte(lead)
	for range n {
		b = append(b, byte('0'+t.r.IntN(10)))
	}
	return string(b)
}

// made is one made-up call.
type made struct {
	caller, name, callee string
	at                   time.Time
	answered             bool
	ring, talk           int
}

func (t *week) next() made {
	m := made{callee: t.digits("05925550", 3), ring: 1 + t.r.IntN(30), answered: t.r.IntN(100) < 65, talk: 1 + int(t.r.ExpFloat64()*120)}
	t.at = t.at.Add(time.Duration(t.r.IntN(1200)) * time.Millisecond)
	m.at = t.at
	if t.r.IntN(10) == 0 {
		m.callee = "4008001234"
	}
	switch k := t.r.IntN(100); {
	case k < 50:
		m.caller = t.mobile[int(float64(len(t.mobile))*t.r.Float64()*t.r.Float64())]
	case k < 70:
		m.caller = t.fixed[t.r.IntN(len(t.fixed))]
	case k < 85:
		m.caller, m.talk, m.answered = t.digits(t.pick("9521", "9520", "95230"), 3)+"7", 1+t.r.IntN(12), t.r.IntN(2) == 0
		m.name = t.pick("", "", "Fast LOAN")
	case k < 90:
		m.caller = t.pick("95588", "01095588", "10086", "+8695533", "12345")
	case k < 93:
		m.caller = t.pick("anonymous", "", "unavailable")
	case k < 97:
		m.caller = t.abroad[t.r.IntN(len(t.abroad))]
		m.name = t.pick("", "John \"JJ\" Doe", "Smith, Ann")
	default:
		m.caller = t.pick("abc", t.digits("", 3+t.r.IntN(15)), "8001", "000000000000", "sip:x@y")
	}
	return m
}

func (m *made) freeSWITCH(b []byte) []byte {
	const layout = time.DateTime
	answer, end, cause, talk := "", m.at.Add(time.Duration(m.ring)*time.Second), "NO_ANSWER", 0
	if m.answered {
		answer, talk, cause = end.Format(layout), m.talk, "NORMAL_CLEARING"
		end = end.Add(time.Duration(talk) * time.Second)
	}
	return fmt.Appendf(b, "\"%s\",\"%s\",\"%s\",\"public\",\"%s\",\"%s\",\"%s\",\"%d\",\"%d\",\"%s\",\"7d3f%08x-0000-11f1-8000-0242ac110002\",\"\", \"\"\n",
		m.name, m.caller, m.callee, m.at.Format(layout), answer, end.Format(layout), m.ring+talk, talk, cause, m.at.UnixMilli()&0xffffffff)
}

// cdr is so many made-up calls as FreeSWITCH's default template writes them, made as they are read.
func cdr(seed uint64, n int) io.Reader {
	r, w := io.Pipe()
	go func() {
		b := bufio.NewWriterSize(w, 1<<16)
		t := newWeek(seed)
		var line []byte
		for range n {
			m := t.next()
			line = m.freeSWITCH(line[:0])
			if _, err := b.Write(line); err != nil {
				return
			}
		}
		b.Flush()
		w.Close()
	}()
	return r
}

func cdrText(seed uint64, n int) string {
	var b strings.Builder
	io.Copy(&b, cdr(seed, n))
	return b.String()
}

func mustOpen(t testing.TB, name, text string, o SourceOptions) *Source {
	t.Helper()
	s, err := Open(name, strings.NewReader(text), int64(len(text)), o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
