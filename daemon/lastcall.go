package daemon

import (
	"strings"
	"sync"
	"time"

	"ringfence/attach"
	"ringfence/eslbridge"
	"ringfence/policy"
	"ringfence/storage"
)

// Bounds of what is remembered of calls.
const (
	maxRecent    = 50_000  // screened calls whose legs may still end
	maxLastCalls = 100_000 // extensions
	lastCallAge  = 24 * time.Hour
	maxCallKey   = 256 // bytes; FreeSWITCH's have 36, Asterisk's about 45
)

// LastCall is the last call that rang at an extension, or was answered there.
type LastCall struct {
	Caller   policy.Number
	Withheld bool   // the number, if there is one, must not be shown or read out
	ID       string // the journal's
	Time     time.Time
	Line     string // "" if the called number belongs to none
}

// screened is a call that was screened and given back.
type screened struct {
	id       string
	time     time.Time
	caller   policy.Number
	withheld bool
	callee   string
	line     string
	refused  bool // by us
}

// callKey is the switch's name for a call. Two Asterisks may use the same Uniqueid, hardly with the same channel's name.
func callKey(uuid, channel string) string {
	if channel == "" || uuid == "" {
		return uuid
	}
	return uuid + " " + channel
}

// recent remembers screened calls by the switch's name for them, so that a leg that rings for one of them is
// recognised when it ends. The oldest makes room for a new one.
type recent struct {
	mu    sync.Mutex
	calls map[string]screened
	order []string // a ring, once it is full
	next  int
}

func (r *recent) add(uuid string, s screened) {
	if uuid == "" || len(uuid) > maxCallKey {
		return
	}
	s.caller.Raw, s.callee = strings.Clone(s.caller.Raw), strings.Clone(s.callee)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.calls == nil {
		r.calls = make(map[string]screened)
	}
	if _, there := r.calls[uuid]; !there {
		if len(r.order) < maxRecent {
			r.order = append(r.order, uuid)
		} else {
			delete(r.calls, r.order[r.next])
			r.order[r.next] = uuid
			r.next = (r.next + 1) % maxRecent
		}
	}
	r.calls[uuid] = s
}

func (r *recent) find(uuid string) (screened, bool) {
	if uuid == "" {
		return screened{}, false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	s, ok := r.calls[uuid]
	return s, ok
}

// note remembers a screened call that goes on, or that we refused on Asterisk, which will not say so. Without a switch
// to learn from nobody would ask for it.
func (d *Desk) note(f *eslbridge.Facts, c *policy.Call, rec *storage.Record, refused bool) {
	if len(d.conf.Attach) == 0 || rec.Outcome != nil || refused && f.Channel == "" {
		return
	}
	d.recent.add(callKey(f.UUID, f.Channel), screened{
		id: rec.ID, time: c.Time, caller: c.Caller, withheld: c.Withheld, callee: rec.Callee, line: rec.Line, refused: refused,
	})
}

// lastCalls is the last call of each extension.
type lastCalls struct {
	mu     sync.Mutex
	at     map[string]LastCall
	pruned time.Time
	over   uint64 // calls that had no room
}

func (l *lastCalls) put(extension string, c LastCall, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	before, there := l.at[extension]
	if there && before.Time.After(c.Time) {
		return // a longer call that came first has ended later
	}
	if !there && len(l.at) >= maxLastCalls {
		if now.Sub(l.pruned) >= time.Minute {
			l.pruned = now
			for extension, c := range l.at {
				if now.Sub(c.Time) > lastCallAge {
					delete(l.at, extension)
				}
			}
		}
		if len(l.at) >= maxLastCalls {
			l.over++
			return
		}
	}
	if l.at == nil {
		l.at = make(map[string]LastCall)
	}
	l.at[extension] = c
}

func (l *lastCalls) get(extension string, now time.Time) (LastCall, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c, ok := l.at[extension]
	if !ok || now.Sub(c.Time) > lastCallAge {
		return LastCall{}, false
	}
	return c, true
}

func (l *lastCalls) count() (extensions int, over uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.at), l.over
}

// rang notes a leg that rang for a screened call, or answered it. s is what was noted when it was screened, if it still is.
func (d *Desk) rang(p *policy.Policy, e *attach.CallEnd, s screened) {
	if e.Ring == 0 && !e.Answered {
		return // busy, or not there
	}
	if s.id == "" {
		s = screenedBefore(p, e)
	}
	extension := e.DialledUser              // the account, where the phone's own address is something else
	if extension == "" || e.Channel != "" { // the phone of an endpoint may also have the number
		d.rangAt(p, e.Callee, s)
	}
	d.rangAt(p, extension, s)
}

func (d *Desk) rangAt(p *policy.Policy, extension string, s screened) {
	if key := extensionKey(p, extension); key != "" {
		d.last.put(key, LastCall{Caller: s.caller, Withheld: s.withheld, ID: s.id, Time: s.time, Line: s.line}, d.now())
	}
}

// LastCallAt is the last screened call that rang at an extension or was answered there, at most 24 hours ago. It is
// known once the call is over there, as long as this program runs and the switch is attached.
func (d *Desk) LastCallAt(extension string) (LastCall, bool) {
	key := extensionKey(d.rules.Load().policy, extension)
	if key == "" {
		return LastCall{}, false
	}
	return d.last.get(key, d.now())
}
