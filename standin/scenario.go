package standin

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/BurntSushi/toml"
)

// DemoScenario is the scenario file that the demo plays: a campaign of 952
// numbers among ordinary calls. Its top documents the format.
//
//go:embed scenarios/demo.toml
var DemoScenario []byte

// Scenario is a plan of calls.
type Scenario struct {
	Name  string
	Calls []Planned // ordered by start
}

// Planned is a call and when it starts.
type Planned struct {
	At   time.Duration // after the start of the scenario, at speed 1
	Note string        // what this call is there for, in words
	Call Call
}

// maxPlanned bounds the calls of a scenario file.
const maxPlanned = 100_000

// span is a duration in a scenario file, such as "1.5s" or "300ms".
type span time.Duration

// UnmarshalText reads "1.5s".
func (s *span) UnmarshalText(text []byte) error {
	d, err := time.ParseDuration(string(text))
	if err != nil || d < 0 {
		return fmt.Errorf("%q is no time: write a number with a unit, such as \"300ms\" or \"1.5s\"", text)
	}
	*s = span(d)
	return nil
}

// entry is a [[call]] table of a scenario file.
type entry struct {
	At          span
	Count       int
	Every       span
	From        string
	Name        string
	To          any // a number or several
	Mode        string
	Note        string
	Host        string
	Addr        string
	PAI         string `toml:"pai"`
	PAIName     string `toml:"pai_name"`
	RPID        string `toml:"rpid"`
	Privacy     bool
	Gateway     string
	Profile     string
	Context     string
	Answered    bool
	Down        bool
	Keys        string
	CancelAfter span `toml:"cancel_after"`
	Sip         map[string]string
	Vars        map[string]string
}

// LoadScenario reads a scenario file. Its format is documented at the top of
// DemoScenario. A key that is not known is an error.
func LoadScenario(text []byte) (*Scenario, error) {
	var file struct {
		Name     string
		Defaults entry
		Call     []toml.Primitive
	}
	meta, err := toml.Decode(string(text), &file)
	if err != nil {
		return nil, scenarioError(err)
	}
	sc := &Scenario{Name: file.Name}
	for i, raw := range file.Call {
		e := file.Defaults
		e.Vars, e.Sip = maps.Clone(e.Vars), maps.Clone(e.Sip)
		if err := meta.PrimitiveDecode(raw, &e); err != nil {
			return nil, fmt.Errorf("call %d: %w", i+1, scenarioError(err))
		}
		calls, err := e.plan()
		if err != nil {
			return nil, fmt.Errorf("call %d: %w", i+1, err)
		}
		if len(sc.Calls)+len(calls) > maxPlanned {
			return nil, fmt.Errorf("call %d: more than %d calls in all: lower its count", i+1, maxPlanned)
		}
		sc.Calls = append(sc.Calls, calls...)
	}
	if unknown := meta.Undecoded(); len(unknown) > 0 {
		return nil, fmt.Errorf("unknown key %q: see the top of the demo scenario for those there are", unknown[0].String())
	}
	if len(sc.Calls) == 0 {
		return nil, errors.New("no calls: write at least one [[call]] with to = \"NUMBER\"")
	}
	sort.SliceStable(sc.Calls, func(i, j int) bool { return sc.Calls[i].At < sc.Calls[j].At })
	return sc, nil
}

func scenarioError(err error) error {
	var p toml.ParseError
	if errors.As(err, &p) {
		return fmt.Errorf("line %d: %s", p.Position.Line, p.Message)
	}
	return err
}

// plan turns a table into calls.
func (e *entry) plan() ([]Planned, error) {
	var to []string
	switch x := e.To.(type) {
	case string:
		to = []string{x}
	case []any:
		for _, v := range x {
			s, ok := v.(string)
			if !ok {
				return nil, errors.New("to: numbers are written in quotation marks")
			}
			to = append(to, s)
		}
	case nil:
	default:
		return nil, errors.New("to: numbers are written in quotation marks")
	}
	if len(to) == 0 {
		return nil, errors.New("to is missing: the number that is called")
	}
	if e.Count < 0 || e.Count > maxPlanned {
		return nil, fmt.Errorf("count = %d: write 1 to %d", e.Count, maxPlanned)
	}
	switch e.Mode {
	case "", "sync", "async", "both":
	default:
		return nil, fmt.Errorf("mode = %q: write \"sync\", \"async\" or \"both\"", e.Mode)
	}
	if _, known := callerKeys[e.Keys]; !known {
		return nil, fmt.Errorf("keys = %q: write \"right\" or \"wrong\", or leave it out for a caller who presses nothing", e.Keys)
	}
	var sip []Header
	for _, name := range slices.Sorted(maps.Keys(e.Sip)) {
		sip = append(sip, Header{name, e.Sip[name]})
	}
	digits := newDigits(e.From + strings.Join(to, ""))
	calls := make([]Planned, 0, max(e.Count, 1))
	for n := range max(e.Count, 1) {
		async := e.Mode == "async" || e.Mode == "both" && n%2 == 1
		calls = append(calls, Planned{
			At:   time.Duration(e.At) + time.Duration(n)*time.Duration(e.Every),
			Note: e.Note,
			Call: Call{
				From: digits.fill(e.From), Display: e.Name, To: digits.fill(to[n%len(to)]),
				Host: e.Host, Addr: e.Addr,
				PAI: digits.fill(e.PAI), PAIName: e.PAIName, RPID: e.RPID, Privacy: e.Privacy, SIP: sip,
				Gateway: e.Gateway, Profile: e.Profile, Context: e.Context,
				Async: async, Resume: async, Answered: e.Answered, Down: e.Down, Keys: callerKeys[e.Keys],
				Vars: e.Vars, CancelAfter: time.Duration(e.CancelAfter),
			},
		})
	}
	return calls, nil
}

// callerKeys is what a caller does who is asked for digits.
var callerKeys = map[string]func(file string) string{
	"":      nil,
	"right": readOut,
	"wrong": func(file string) string {
		return strings.Map(func(d rune) rune { return '0' + (d-'0'+1)%10 }, readOut(file))
	},
}

var digitFile = regexp.MustCompile(`digits/([0-9])\.wav`)

// readOut gives the digits that a prompt reads out.
func readOut(file string) string {
	digits := ""
	for _, m := range digitFile.FindAllStringSubmatch(file, -1) {
		digits += m[1]
	}
	return digits
}

// digits puts a digit in the place of every "?". The row of digits depends on
// the text alone, so that a scenario is the same every time.
type digits struct{ state uint32 }

func newDigits(seed string) *digits {
	d := &digits{state: 2166136261}
	for i := range len(seed) {
		d.state = (d.state ^ uint32(seed[i])) * 16777619
	}
	return d
}

func (d *digits) fill(pattern string) string {
	b := []byte(pattern)
	for i, c := range b {
		if c == '?' {
			d.state = d.state*1664525 + 1013904223
			b[i] = '0' + byte((d.state>>16)%10)
		}
	}
	return string(b)
}

// Take returns a scenario of n calls: the first n, or all of them and then
// again from the start. n below 1 is the scenario itself.
func (sc *Scenario) Take(n int) *Scenario {
	if n < 1 || len(sc.Calls) == 0 {
		return sc
	}
	round := sc.Calls[len(sc.Calls)-1].At + 500*time.Millisecond
	out := &Scenario{Name: sc.Name, Calls: make([]Planned, 0, n)}
	for i := range n {
		p := sc.Calls[i%len(sc.Calls)]
		p.At += time.Duration(i/len(sc.Calls)) * round
		out.Calls = append(out.Calls, p)
	}
	return out
}

// Run places the calls of a scenario, each at its time divided by Speed (and
// so with the time after which a caller gives up), at most MaxCalls at once: over that, calls start late. After each call it
// calls each, never twice at the same time, with the call's index in
// sc.Calls; calls end in another order than they start. Run returns nil when
// all are over, or why ctx ended: then calls in hand were dropped and are not
// reported.
func (s *Switch) Run(ctx context.Context, sc *Scenario, each func(n int, c Call, r Result, err error)) error {
	s.init()
	most := s.MaxCalls
	if most <= 0 {
		most = 100
	}
	var (
		lines = make(chan struct{}, most)
		all   sync.WaitGroup
		mu    sync.Mutex // each runs under it
	)
	start := time.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
calls:
	for n, p := range sc.Calls {
		timer.Reset(s.scaled(p.At) - time.Since(start))
		select {
		case <-timer.C:
		case <-ctx.Done():
			break calls
		}
		select {
		case lines <- struct{}{}:
		case <-ctx.Done():
			break calls
		}
		all.Go(func() {
			defer func() { <-lines }()
			c := p.Call
			c.CancelAfter = s.scaled(c.CancelAfter)
			r, err := s.Place(ctx, c)
			if ctx.Err() != nil {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			each(n, p.Call, r, err)
		})
	}
	all.Wait()
	return context.Cause(ctx)
}
