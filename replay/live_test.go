package replay

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ringfence/attach"
	"ringfence/bridge"
	"ringfence/conf"
	"ringfence/console"
	"ringfence/detect"
	"ringfence/inforce"
	"ringfence/lists"
	"ringfence/policy"
	"ringfence/screening"
	"ringfence/storage"
	"ringfence/traffic"
)

const livePolicy = `
country  = "CN"
timezone = "Asia/Shanghai"
[lines.staff]
numbers = ["05925550000-05925550499"]
[lines.sales]
numbers = ["05925550500-05925550799"]
[lines.unused]
numbers = ["05925550800-05925550999"]
decoy = true
[ranges]
"952112*" = "firm A"
"9521*"   = "firm B"
[trunks.telecom]
match = ["gateway:telecom"]
[trunks.unicom]
match = ["gateway:unicom"]
[[detector]]
name   = "range wakes"
key    = "prefix"
depth  = { 6 = 5, 7 = 5, 8 = 4 }
count  = "strangers"
window = "3h"
hold   = "6h"
max_share = 1
[[detector]]
name   = "busy caller"
key    = "caller"
count  = "callees"
trip   = 5
window = "1h"
hold   = "2h"
probe  = 2
[[detector]]
name   = "holder"
key    = "holder"
count  = { short_calls = 1, unanswered = 1, decoys = 3 }
trip   = 12
window = "2h"
[[detector]]
name   = "silent"
key    = "trunk"
count  = "unanswered"
share  = 0.4
at_least = 8
window = "30m"
mode   = "observe"
[[detector]]
name   = "at once"
key    = "all"
count  = "concurrent"
trip   = 5
window = "5m"
hold   = "10m"
[[detector]]
name   = "wakes up"
key    = "all"
count  = { first_time = 1, decoys = 3, short_calls = 1 }
per_line = 3
trip   = 12
window = "1h"
hold   = "30m"
[[rule]]
name   = "people we deal with"
when   = { known_caller = "30d" }
action = "allow"
[[rule]]
name   = "campaign"
when   = { tripped = ["range wakes", "holder"] }
action = "challenge"
[[rule]]
name   = "busy"
when   = { tripped = ["busy caller"] }
action = "reject"
[[rule]]
name   = "much at once"
when   = { tripped = ["at once", "silent"] }
action = "tag"
label  = "?"
[[rule]]
name   = "score"
when   = { score_at_least = 1.5 }
action = "warn"
announcement = "suspected-nuisance"
[[rule]]
name   = "wakes"
when   = { tripped = ["wakes up"] }
action = "challenge"
`

// placed is a call of a trace.
type placed struct {
	at             time.Time
	caller, callee string
	trunk          string
	ring, talk     int // seconds
}

func (c *placed) end() time.Time { return c.at.Add(time.Duration(c.ring+c.talk) * time.Second) }

// trace makes up some days of calls, with campaigns. Whatever the seed: people who talk at once, whom nobody answers later, and a morning of strangers.
func trace(seed uint64) (calls []placed) {
	r := rand.New(rand.NewPCG(seed, 11))
	start := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	of := func(texts ...string) string { return texts[r.IntN(len(texts))] }
	put := func(at time.Time, caller string, talk int) {
		calls = append(calls, placed{at, caller, fmt.Sprintf("0592555%04d", r.IntN(1000)), of("telecom", "telecom", "unicom"), 1 + r.IntN(20), talk})
	}
	for i := range 8 {
		at := start.Add(time.Duration(10*i) * time.Second)
		calls = append(calls, placed{at, fmt.Sprintf("1360000000%d", i), fmt.Sprintf("0592555000%d", i), "telecom", 2, 600})
	}
	for i := range 16 {
		at := start.Add(6*time.Hour + time.Duration(i)*time.Minute)
		calls = append(calls, placed{at, fmt.Sprintf("1360000000%d", i%8), fmt.Sprintf("0592555000%d", i%8), "telecom", 20, 0})
	}
	for i := range 16 {
		at := start.Add(8*time.Hour + time.Duration(i)*time.Minute)
		calls = append(calls, placed{at, fmt.Sprintf("1%d00000000", 50+3*i/2+6*(i/8)), fmt.Sprintf("05925550%03d", 100+10*i), "telecom", 20, 30})
	}
	for range 400 {
		at := start.Add(time.Duration(r.IntN(4*86400)) * time.Second)
		put(at, of("138", "139")+fmt.Sprintf("%06d", r.IntN(300))+of("01", "22"), []int{0, 3, 30, 200, 4000}[r.IntN(5)])
	}
	for range 3 {
		at, head := start.Add(10*time.Hour+time.Duration(r.IntN(4*86400))*time.Second), fmt.Sprintf("952%03d", 100+r.IntN(40))
		for range 20 + r.IntN(60) {
			at = at.Add(time.Duration(1+r.IntN(200)) * time.Second)
			put(at, head+fmt.Sprintf("%02d", r.IntN(100)), []int{0, 0, 3, 70}[r.IntN(4)])
		}
		at, caller := at.Add(time.Hour), fmt.Sprintf("137%08d", r.IntN(1e8))
		for range 5 + r.IntN(20) {
			at = at.Add(time.Duration(30+r.IntN(60)) * time.Second)
			put(at, caller, r.IntN(8))
		}
	}
	slices.SortStableFunc(calls, func(a, b placed) int { return a.at.Compare(b.at) })
	for i := range calls[1:] { // of two calls of one second a file does not say which was the first
		if !calls[i+1].at.After(calls[i].at) {
			calls[i+1].at = calls[i].at.Add(time.Second)
		}
	}
	return calls
}

// sinkFunc is a detect.Sink.
type sinkFunc func(detect.Breaker)

func (f sinkFunc) Changed(b detect.Breaker) { f(b) }

func tripText(detector, trunk, key string, at time.Time, why string) string {
	return fmt.Sprintf("%s %s %s on %s: %s", at.UTC().Format(time.RFC3339), detector, key, trunk, why)
}

// live takes a trace through the screening of calls, ends as they come, and gives the trips and the decisions.
func live(t *testing.T, p *policy.Policy, calls []placed) (trips, rules []string) {
	t.Helper()
	set := detect.New(p.Detectors(), detect.Options{Zone: p.Zone(), Sink: sinkFunc(func(b detect.Breaker) {
		if b.State == detect.Tripped {
			trips = append(trips, tripText(b.Detector, b.Trunk, b.Key, b.Since, b.Why))
		}
	})})
	sounds, err := conf.InstallSounds(t.TempDir(), "CN")
	if err != nil {
		t.Fatal(err)
	}
	force := &inforce.State{}
	force.SetRules(&inforce.Rules{Policy: p, Lists: lists.New(), Sounds: sounds, Detectors: set})
	var now time.Time
	sc := screening.New(force, traffic.New(nil), screening.Options{Attached: true, Journal: noJournal{}, Now: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler)})

	var ends []attach.CallEnd
	minute := calls[0].at.Truncate(time.Minute)
	pass := func(to time.Time) {
		tick := func(to time.Time) {
			for ; !minute.After(to); minute = minute.Add(time.Minute) {
				set.Tick(minute)
			}
			now = to
		}
		slices.SortStableFunc(ends, func(a, b attach.CallEnd) int { return a.Ended.Compare(b.Ended) })
		for len(ends) > 0 && !ends[0].Ended.After(to) {
			tick(ends[0].Ended)
			sc.Ended(ends[0])
			ends = ends[1:]
		}
		tick(to)
	}
	for i, x := range calls {
		pass(x.at)
		f := &bridge.Facts{UUID: fmt.Sprint("u", i), Number: x.caller, FromUser: x.caller, Callee: x.callee, Gateway: x.trunk, Context: "public"}
		v := sc.Screen(f)
		e := attach.CallEnd{UUID: f.UUID, Inbound: true, Caller: x.caller, FromUser: x.caller, Callee: x.callee, Gateway: x.trunk, Context: "public", RingfenceID: v.ID, Started: x.at}
		n := p.Plan().Parse(x.caller)
		rules = append(rules, fmt.Sprintf("%s %s %s", x.at.UTC().Format(time.RFC3339), n.E164, v.Rule))
		res := bridge.Result{}
		if v.Challenge != nil {
			res.Keyed = bridge.KeyedNothing
		}
		sc.Record(f, &v, res)
		if v.Refuse != 0 || v.Challenge != nil {
			e.Ended, e.By, e.Cause = x.at, attach.ByRingfence, "CALL_REJECTED"
			sc.Ended(e)
			continue
		}
		e.Ended, e.Ring, e.Talk = x.end(), time.Duration(x.ring)*time.Second, time.Duration(x.talk)*time.Second
		e.Answered, e.Bridged = x.talk > 0, x.talk > 0
		ends = append(ends, e)
	}
	pass(calls[len(calls)-1].end().Add(24 * time.Hour))
	return trips, rules
}

// noJournal keeps no records.
type noJournal struct{}

func (noJournal) Add(storage.Record) bool              { return true }
func (noJournal) Amend(storage.Record) bool            { return true }
func (noJournal) Outcome(string, storage.Outcome) bool { return true }

// asCDR writes a trace as a switch does, a row when a call is over.
func asCDR(calls []placed) string {
	calls = slices.Clone(calls)
	slices.SortStableFunc(calls, func(a, b placed) int { return a.end().Compare(b.end()) })
	var b strings.Builder
	b.WriteString("src,dst,start,duration,billsec,disposition,gateway\n")
	for _, c := range calls {
		answered := "NO ANSWER"
		if c.talk > 0 {
			answered = "ANSWERED"
		}
		fmt.Fprintf(&b, "%s,%s,%s,%d,%d,%s,%s\n", c.caller, c.callee, c.at.Format(time.DateTime), c.ring+c.talk, c.talk, answered, c.trunk)
	}
	return b.String()
}

// asJournal writes it as our journal has it.
func asJournal(t *testing.T, calls []placed) string {
	var b strings.Builder
	for i, c := range calls {
		line, err := json.Marshal(console.Record{
			ID: fmt.Sprint(i), Time: c.at, Trunk: c.trunk, Caller: console.Caller{Raw: c.caller}, Callee: c.callee, Action: "allow", Would: "allow", Mode: "enforce", Rule: "default",
			Outcome: &console.Outcome{Answered: c.talk > 0, RingS: float64(c.ring), TalkS: float64(c.talk)},
		})
		if err != nil {
			t.Fatal(err)
		}
		b.Write(append(line, '\n'))
	}
	return b.String()
}

// turned turns the rows of a file with a header.
func turned(text string) string {
	rows := strings.SplitAfter(strings.TrimSuffix(text, "\n"), "\n")
	rows[len(rows)-1] += "\n"
	slices.Reverse(rows[1:])
	return strings.Join(rows, "")
}

// The same calls give the same trips, at the same moments, live and in a replay of what was written of them.
func TestSameTripsAsLive(t *testing.T) {
	p := mustLoad(t, livePolicy)
	seeds := uint64(12)
	if underRace {
		seeds = 3
	}
	for seed := range seeds {
		calls := trace(seed)
		want, rules := live(t, p, calls)
		slices.Sort(rules)
		for _, d := range p.Detectors() {
			if !slices.ContainsFunc(want, func(trip string) bool { return strings.Contains(trip, " "+d.Name+" ") }) {
				t.Errorf("seed %d: %s does not trip", seed, d.Name)
			}
		}
		for name, text := range map[string]string{"cdr": asCDR(calls), "journal": asJournal(t, calls), "newest first": turned(asCDR(calls))} {
			var trips, got []string
			s := mustOpen(t, name, text, SourceOptions{Zone: time.UTC})
			r, err := Run(t.Context(), []*Source{s}, Options{
				Judge: NewJudge(p, nil), Workers: 1 + int(seed%3),
				Trip: func(x *Trip) { trips = append(trips, tripText(x.Detector, x.Trunk, x.Key, x.Time, x.Why)) },
				Each: func(f *Fate) {
					got = append(got, fmt.Sprintf("%s %s %s", f.Time.UTC().Format(time.RFC3339), f.Caller, f.Is.Rule))
				},
			})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, trips); diff != "" {
				t.Errorf("seed %d, %s:\n%s", seed, name, diff)
			}
			slices.Sort(got) // calls of one second
			if diff := cmp.Diff(rules, got); diff != "" || r.Summary.OutOfOrder != 0 {
				t.Errorf("seed %d, %s: %d out of order, decided otherwise:\n%s", seed, name, r.Summary.OutOfOrder, diff)
			}
		}
	}
}
