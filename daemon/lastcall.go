package daemon

import (
	"slices"
	"strings"
	"sync"
	"time"

	"ringfence/attach"
	"ringfence/bridge"
	"ringfence/number"
	"ringfence/policy"
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
	Caller   number.Number
	Realm    string // of the extension, as the switch says it; "" if it does not
	Withheld bool   // the number, if there is one, must not be shown or read out
	ID       string // the journal's
	Time     time.Time
	Line     string // "" if the called number belongs to none
}

// screened is a call that was screened and given back.
type screened struct {
	id       string
	time     time.Time
	caller   number.Number
	withheld bool
	callee   string
	line     string
	refused  bool    // by us
	gone     bool    // the caller hung up while we had the call
	end      *ending // what the end of the call may show to be otherwise; nil once it is over
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

// over notes that a call has ended: what its record says stands.
func (r *recent) over(key string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s, ok := r.calls[key]; ok {
		s.end = nil
		r.calls[key] = s
	}
}

// note remembers a screened call, whose legs have still to end. gone: its caller has hung up, and no leg was placed for
// it. Without a switch to learn from nobody would ask for it.
func (d *Desk) note(f *bridge.Facts, end ending, gone bool) {
	if len(d.conf.Attach) == 0 {
		return
	}
	d.recent.add(callKey(f.UUID, f.Channel), screened{
		id: end.rec.ID, time: end.call.Time, caller: end.call.Caller, withheld: end.call.Withheld, callee: end.rec.Callee, line: end.rec.Line,
		refused: end.refuses && end.failOpen == "" && !gone, gone: gone, end: &end,
	})
}

// lastCalls is the last call of each extension, of each of the realms that have one of its name.
type lastCalls struct {
	mu     sync.Mutex
	at     map[string][]LastCall
	pruned time.Time
	over   uint64 // calls that had no room
}

// maxSameName is how many realms' extensions of one name are kept; the longest unused goes.
const maxSameName = 64

func (l *lastCalls) put(extension string, c LastCall, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	of, there := l.at[extension]
	if !there && len(l.at) >= maxLastCalls {
		if now.Sub(l.pruned) >= time.Minute {
			l.pruned = now
			for extension, of := range l.at {
				if !slices.ContainsFunc(of, func(c LastCall) bool { return now.Sub(c.Time) <= lastCallAge }) {
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
		l.at = make(map[string][]LastCall)
	}
	i := slices.IndexFunc(of, func(before LastCall) bool { return before.Realm == c.Realm })
	switch {
	case i >= 0 && of[i].Time.After(c.Time):
		return // a longer call that came first has ended later
	case i >= 0:
		of = slices.Delete(of, i, i+1)
	case len(of) == maxSameName:
		of = slices.Delete(of, 0, 1)
	}
	l.at[extension] = append(of, c)
}

// get is the last call of an extension in a realm that will do.
func (l *lastCalls) get(extension string, will func(realm string) bool, now time.Time) (last LastCall, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.at[extension] {
		if now.Sub(c.Time) <= lastCallAge && will(c.Realm) && (!ok || c.Time.After(last.Time)) {
			last, ok = c, true
		}
	}
	return last, ok
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
	d.realms.see(e.DialledRealm)
	extension := e.DialledUser              // the account, where the phone's own address is something else
	if extension == "" || e.Channel != "" { // the phone of an endpoint may also have the number
		d.rangAt(p, e.Callee, "", s)
	}
	d.rangAt(p, extension, e.DialledRealm, s)
}

func (d *Desk) rangAt(p *policy.Policy, extension, realm string, s screened) {
	if key := extensionKey(p, extension); key != "" {
		d.last.put(key, LastCall{Caller: s.caller, Realm: realmName(realm), Withheld: s.withheld, ID: s.id, Time: s.time, Line: s.line}, d.now())
	}
}

// LastCallAt is the last screened call that rang at an extension or was answered there, at most 24 hours ago. It is
// known once the call is over there, as long as this program runs and the switch is attached. Where there are several
// tenants it is that of the realm's extension alone.
func (d *Desk) LastCallAt(extension, realm string) (LastCall, bool) {
	key := extensionKey(d.rules.Load().policy, extension)
	if key == "" {
		return LastCall{}, false
	}
	return d.last.get(key, func(other string) bool { return d.realms.same(realm, other) }, d.now())
}
