package storage

import (
	"hash/maphash"
	"slices"
	"time"
)

// A caller who calls again and again would fill the journal with the same record. So what repeats a record of the last moments (see
// JournalOptions.Merge) is counted on that one: it says how many calls it is of, and when the last of them was. All that is
// known of this is in the writer's memory; after a start the next call has a record of its own.

const (
	// maxHeads is how many records of the last moments may be repeated.
	maxHeads = 1 << 16
	// maxAliases is how many calls that were counted on another's record are remembered for what became of them; twice as many at most.
	maxAliases = 1 << 16
	// MaxAlso is how many ids of repeats a record names.
	MaxAlso = 8
)

// repeats knows which records may be repeated. It is of the journal's writer alone.
type repeats struct {
	within time.Duration // 0: nothing is merged
	seed   maphash.Seed
	heads  map[uint64]head   // by sameness
	of     map[string]uint64 // the sameness of heads, by their ids
	// aliases are the records that calls were counted on, by the calls' ids. When recent ones are too many they become the old ones.
	aliases, old map[string]string
}

// head is a record that is to be repeated.
type head struct {
	id string
	at time.Time
}

func newRepeats(within time.Duration) *repeats {
	return &repeats{
		within: within, seed: maphash.MakeSeed(), heads: make(map[uint64]head), of: make(map[string]uint64), aliases: make(map[string]string),
	}
}

// sameness is what two records have in common that are of one caller, called number and decision. The name is not in it: the
// caller may show another one each time.
type sameness struct {
	caller, callee, node, trunk, line, customer            string
	kind, action, would, mode, rule, reason, list, stopped string
	withheld, test                                         bool
}

func (p *repeats) sameness(r *Record) uint64 {
	caller := r.Caller.E164
	if caller == "" {
		caller = r.Caller.Raw
	}
	return maphash.Comparable(p.seed, sameness{
		caller, r.Callee, r.Node, r.Trunk, r.Line, r.Customer, r.Caller.Kind, r.Action, r.Would, r.Mode, r.Rule, r.Reason, r.List, r.Stopped, r.Caller.Withheld, r.Test,
	})
}

// place decides where a new record goes: "" has it be one of its own, else it is counted on the record of that id. It is
// asked once for each.
func (p *repeats) place(r *Record) string {
	if p.within <= 0 {
		return ""
	}
	same := p.sameness(r)
	h, there := p.heads[same]
	if since := r.Time.Sub(h.at); there && since < p.within && since > -idSkew && h.id != r.ID {
		p.alias(r.ID, h.id)
		return h.id
	}
	if len(p.heads) >= maxHeads {
		for same, h := range p.heads {
			if r.Time.Sub(h.at) >= p.within {
				p.end(h.id, same)
			}
		}
		if len(p.heads) >= maxHeads { // as many callers within a moment: none of them repeats much
			clear(p.heads)
			clear(p.of)
		}
	}
	if there {
		delete(p.of, h.id)
	}
	p.heads[same], p.of[r.ID] = head{r.ID, r.Time}, same
	return ""
}

func (p *repeats) end(id string, same uint64) {
	delete(p.heads, same)
	delete(p.of, id)
}

func (p *repeats) alias(id, head string) {
	if len(p.aliases) >= maxAliases {
		p.old, p.aliases = p.aliases, make(map[string]string)
	}
	p.aliases[id] = head
}

// recordOf is the record that a call was counted on; its own if it has one.
func (p *repeats) recordOf(id string) string {
	if head, ok := p.aliases[id]; ok {
		return head
	}
	if head, ok := p.old[id]; ok {
		return head
	}
	return id
}

// part takes a call off the record that it was counted on, which it gives; "" if there is none. What is said of it now is otherwise.
func (p *repeats) part(id string) (head string) {
	if head = p.recordOf(id); head == id {
		head = ""
	}
	delete(p.aliases, id)
	delete(p.old, id)
	if same, ok := p.of[id]; ok { // others repeat what it said, and not what it says now
		p.end(id, same)
	}
	return head
}

// moved has calls be counted on another record, because theirs is gone.
func (p *repeats) moved(from, to string) {
	if same, ok := p.of[from]; ok {
		h := p.heads[same]
		p.end(from, same)
		h.id = to
		p.heads[same], p.of[to] = h, same
	}
	delete(p.aliases, to)
	delete(p.old, to)
}

// counting is what is to be added to a record.
type counting struct {
	calls []*Record // that repeat it, in the order they came
	less  []string  // ids of calls that do not any more
}

// into gives the record with what is added to it.
func (c *counting) into(r Record) Record {
	r.Repeats = max(r.Repeats+len(c.calls)-len(c.less), 0)
	if len(c.less) > 0 {
		r.Also = slices.DeleteFunc(slices.Clone(r.Also), func(id string) bool { return slices.Contains(c.less, id) })
	}
	for _, again := range c.calls {
		if again.Time.After(r.Last) {
			r.Last = again.Time
		}
		if len(r.Also) < MaxAlso {
			r.Also = append(slices.Clone(r.Also), again.ID)
		}
		r.ended(again.Outcome)
	}
	if r.Repeats == 0 {
		r.Last, r.Also = time.Time{}, nil
	}
	return r
}

// ended notes what became of a call that the record is of: of several, the one that was talked longest.
func (r *Record) ended(o *Outcome) {
	switch old := r.Outcome; {
	case o == nil:
	case old == nil, r.Repeats == 0:
		r.Outcome = o
	case o.Answered && !old.Answered, o.Answered == old.Answered && (o.TalkS > old.TalkS || o.TalkS == old.TalkS && o.RingS > old.RingS):
		r.Outcome = o
	}
}
