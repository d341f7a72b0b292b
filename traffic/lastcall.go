package traffic

import (
	"slices"
	"sync"
	"time"

	"ringfence/number"
)

const (
	maxLastCalls = 100_000 // extensions
	lastCallAge  = 24 * time.Hour
)

// LastCall is the last call that rang at an extension, or was answered there; or the last that was stopped on its way to a number.
type LastCall struct {
	Caller   number.Number
	Callee   string // the number that was called, as the dialplan said it
	Trunk    string // where the call came in; "" if that is not known
	Realm    string // of the extension, as the switch says it; "" if it does not
	Withheld bool   // the number, if there is one, must not be shown or read out
	ID       string // the journal's
	Time     time.Time
	Line     string // its key; "" if the called number belonged to none
	Customer string // whose the line was then
}

// LastCalls is the last call of each extension, of each of the realms that have one of its name.
type LastCalls struct {
	mu   sync.Mutex
	at   map[string][]LastCall
	over uint64 // extensions that were forgotten before their time
}

// maxSameName is how many realms' extensions of one name are kept; the longest unused goes.
const maxSameName = 64

// Put notes a call, if no later one is known.
func (l *LastCalls) Put(extension string, c LastCall, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	of, there := l.at[extension]
	if !there && len(l.at) >= maxLastCalls {
		l.makeRoom(now)
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

// makeRoom forgets the half whose calls are the oldest, and all that are too old: a campaign that goes through all numbers of a provider must not keep out
// the call of just now, which somebody is about to ask for. l is locked.
func (l *LastCalls) makeRoom(now time.Time) {
	type latest struct {
		extension string
		at        time.Time
	}
	all := make([]latest, 0, len(l.at))
	for extension, of := range l.at {
		x := latest{extension: extension}
		for i := range of {
			if of[i].Time.After(x.at) {
				x.at = of[i].Time
			}
		}
		all = append(all, x)
	}
	slices.SortFunc(all, func(a, b latest) int { return a.at.Compare(b.at) })
	for i, x := range all {
		old := now.Sub(x.at) > lastCallAge
		if !old && i >= len(all)/2 {
			return
		}
		if delete(l.at, x.extension); !old {
			l.over++
		}
	}
}

// Get is the last call of an extension in a realm that will do.
func (l *LastCalls) Get(extension string, will func(realm string) bool, now time.Time) (last LastCall, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.at[extension] {
		if now.Sub(c.Time) <= lastCallAge && will(c.Realm) && (!ok || c.Time.After(last.Time)) {
			last, ok = c, true
		}
	}
	return last, ok
}

// Of calls yield for each extension whose last call was of a number.
func (l *LastCalls) Of(e164 string, yield func(extension string, c LastCall)) {
	l.mu.Lock()
	found := make(map[string][]LastCall)
	for extension, of := range l.at {
		for _, c := range of {
			if c.Caller.E164 == e164 {
				found[extension] = append(found[extension], c)
			}
		}
	}
	l.mu.Unlock()
	for extension, of := range found {
		for _, c := range of {
			yield(extension, c)
		}
	}
}

// forgetNumber drops the last calls of a number, and says of how many extensions.
func (l *LastCalls) forgetNumber(e164 string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for extension, of := range l.at {
		left := slices.DeleteFunc(slices.Clone(of), func(c LastCall) bool { return c.Caller.E164 == e164 })
		if n += len(of) - len(left); len(left) == 0 {
			delete(l.at, extension)
		} else {
			l.at[extension] = left
		}
	}
	return n
}

// Count is how many extensions there are, and how many were forgotten before their time.
func (l *LastCalls) Count() (extensions int, over uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.at), l.over
}
