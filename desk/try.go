package desk

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"ringfence/console"
	"ringfence/policy"
	"ringfence/replay"
	"ringfence/storage"
)

// Bounds of a try.
const (
	tryDays     = 7
	tryMost     = 31
	tryWait     = 20 * time.Second // then what was read by then is what was tried
	tryMoves    = 50
	tryExamples = 3
	longTalk    = 60 // seconds
)

// errTried ends the reading of the journal when the time is over.
var errTried = errors.New("time is over")

// TryPolicy runs the calls of the journal through a text, with the lists and lines as they are now, and says what would have come out otherwise.
func (d *Desk) TryPolicy(ctx context.Context, q console.TryQuery) (*console.TryReport, error) {
	if q.Days < 0 || q.Days > tryMost {
		return nil, console.Bad(fmt.Sprintf("a policy is tried on the calls of 1 to %d days, not %d", tryMost, q.Days))
	}
	p, faults, err := d.loadText(q.Text)
	if err != nil {
		return nil, err
	}
	days := cmp.Or(q.Days, tryDays)
	report := &console.TryReport{Since: d.o.Now().AddDate(0, 0, -days), Moves: []console.TryMove{}, Rules: []console.TryRule{}, Faults: faultsOf(faults), Private: d.o.Private != nil}
	if p == nil {
		return report, nil
	}
	if err := d.needLists(); err != nil {
		return nil, err
	}
	select {
	case d.trying <- struct{}{}: // it takes a processor or two
		defer func() { <-d.trying }()
	default:
		return nil, console.Conflict("another policy is being tried now: try again in half a minute")
	}
	r := d.force.Rules()
	report.Faults = append(report.Faults, faultsOf(d.checkAgainst(p, r.Sounds))...)
	in, out := io.Pipe()
	read := make(chan error, 1)
	go func() { read <- d.writeCalls(ctx, out, report.Since) }()
	moves := newMoves()
	err = d.replayed(ctx, in, replay.NewJudge(p.WithLines(r.Lines), r.Lists), moves, report)
	in.Close() // whoever still writes ends
	switch wrote := <-read; {
	case errors.Is(wrote, errTried):
		report.Cut = true
	case err == nil && wrote != nil:
		err = wrote
	}
	if err != nil {
		return nil, err
	}
	report.Moves = moves.most()
	return report, nil
}

// writeCalls writes the journal's records of calls, oldest first, until the time is over.
func (d *Desk) writeCalls(ctx context.Context, out *io.PipeWriter, since time.Time) error {
	until := time.Now().Add(tryWait)
	enc := json.NewEncoder(out)
	err := d.db.Journal(storage.Query{Since: since}, func(r storage.Record) error {
		if time.Now().After(until) {
			return errTried
		} else if err := ctx.Err(); err != nil {
			return err
		}
		return enc.Encode(recordOf(&r))
	})
	if errors.Is(err, storage.ErrCorrupt) {
		err = nil // the rest of the journal was tried; `storage verify` says what is damaged
	}
	out.Close()
	return err
}

// replayed runs what is written into a pipe through a policy.
func (d *Desk) replayed(ctx context.Context, in io.Reader, judge *replay.Judge, moves *moves, report *console.TryReport) error {
	source, err := replay.Open("the journal", in, 0, replay.SourceOptions{Format: replay.FormatJSONL, Zone: judge.Policy.Zone(), Now: d.o.Now()})
	if errors.Is(err, io.EOF) {
		return nil // there was no call
	} else if err != nil {
		return err
	}
	done, err := replay.Run(ctx, []*replay.Source{source}, replay.Options{Judge: judge, Change: moves.add, Workers: 1})
	if err != nil {
		return err
	}
	report.Calls, report.Changed = int(done.Summary.Calls), moves.calls
	for _, t := range done.Rules {
		report.Rules = append(report.Rules, console.TryRule{Rule: t.Rule, Calls: int(t.Calls)})
	}
	return nil
}

// moves adds up what changed.
type moves struct {
	calls int
	by    map[moveKey]*console.TryMove
}

type moveKey struct{ from, to, rule string }

func newMoves() *moves { return &moves{by: make(map[moveKey]*console.TryMove)} }

// acts is what a verdict does to a call.
func acts(v replay.Verdict) string {
	if v.Observe {
		return policy.Allow.String()
	}
	return v.Action.String()
}

func (m *moves) add(c *replay.Change) error {
	m.calls++
	key := moveKey{acts(c.Was), acts(c.Is), c.Is.Rule}
	move := m.by[key]
	if move == nil {
		move = &console.TryMove{From: key.from, To: key.to, Rule: key.rule}
		m.by[key] = move
	}
	move.Calls++
	if c.TalkS >= longTalk {
		move.Long++
	}
	if len(move.Examples) < tryExamples {
		move.Examples = append(move.Examples, console.Record{
			ID: c.ID, Time: c.Time, Trunk: c.Trunk, Caller: c.Caller, Name: c.Name, Callee: c.Callee, Line: c.Line, Action: key.to, Would: c.Is.Action.String(), Rule: key.rule, Reason: c.Reason,
			Outcome: &console.Outcome{Answered: c.Answered, TalkS: c.TalkS},
		})
	}
	return nil
}

// most are those of most calls.
func (m *moves) most() []console.TryMove {
	all := []console.TryMove{}
	for _, move := range m.by {
		all = append(all, *move)
	}
	slices.SortFunc(all, func(a, b console.TryMove) int {
		return cmp.Or(cmp.Compare(b.Calls, a.Calls), cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To), cmp.Compare(a.Rule, b.Rule))
	})
	return all[:min(len(all), tryMoves)]
}
