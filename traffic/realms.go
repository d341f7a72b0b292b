package traffic

import (
	"net/netip"
	"strings"
	"sync"
	"time"
)

const (
	maxRealms = 1000   // told apart; who has more tenants has several in any case
	maxHomes  = 10_000 // extensions of Asterisk whose contexts are known
	// KeepRealms is how long a realm counts after it was last seen. One that was given up, as with a new name for a system, is forgotten then.
	KeepRealms = 30 * 24 * time.Hour
	realmAgain = 24 * time.Hour // how soon one that is seen all the time is kept again
)

// Endpoint is the realm of Asterisk's endpoints, which has none of them twice: whoever is called so is no other tenant's. No switch has a realm
// of that name.
const Endpoint = "(endpoint)"

// Realms are those that phones have been seen in: of two tenants each may have an extension 101, and neither may speak
// for the other's. A system of one tenant may call its only realm by several names, an address for one, or by none; as
// long as no second name was seen, all of them are the same. So the first phone of a second tenant is told from those
// of the first by its realm, and whoever shows none is nobody from then on. Asterisk knows no realms; there it is the same extension in two
// contexts that shows a second tenant. What was seen outlives the program.
type Realms struct {
	sink Sink

	mu     sync.Mutex
	names  map[string]int64 // when they were seen last, in milliseconds since 1970
	hosts  map[string]int64 // those that are addresses
	homes  map[string]home  // by the extension
	shared int64            // when an extension was last seen in two contexts, 0 for never
	full   uint64           // times that one of them found no room
}

// home is the context of the endpoint that was seen first with an extension.
type home struct {
	endpoint, context string
	at                int64 // when it was seen last
}

func newRealms(sink Sink) *Realms {
	return &Realms{sink: sink, names: make(map[string]int64), hosts: make(map[string]int64), homes: make(map[string]home)}
}

// See notes a realm, "" for none.
func (r *Realms) See(realm string, now time.Time) {
	realm = RealmName(realm)
	if realm == "" || realm == Endpoint {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	of := r.of(realm)
	if kept, there := of[realm]; there && now.UnixMilli()-kept < realmAgain.Milliseconds() {
		return
	} else if !there && len(of) >= maxRealms {
		r.full++
		return
	}
	realm = strings.Clone(realm)
	of[realm] = now.UnixMilli()
	r.sink.Keep(RealmFacts, realmKey+realm, now.UnixMilli())
}

// SeeAt notes the context of the dialplan that an endpoint of Asterisk has its calls come in by, and what of the endpoint's name is an
// extension. The context must be that of its own configuration: a call gets into others.
func (r *Realms) SeeAt(extension, endpoint, context string, now time.Time) {
	if extension == "" || context == "" || len(endpoint) > MaxKey {
		return
	}
	context = Cut(context)
	r.mu.Lock()
	defer r.mu.Unlock()
	at, there := r.homes[extension]
	switch {
	case at.endpoint == endpoint && at.context == context:
		at.at = now.UnixMilli()
		r.homes[extension] = at // the key stays the one that is there
	case !there && len(r.homes) >= maxHomes:
		r.full++
	case !there || at.endpoint == endpoint: // else somebody has given it another context
		r.homes[strings.Clone(extension)] = home{strings.Clone(endpoint), strings.Clone(context), now.UnixMilli()}
	case at.context != context && now.UnixMilli()-r.shared >= realmAgain.Milliseconds():
		r.shared = now.UnixMilli()
		r.sink.Keep(RealmFacts, sharedKey, r.shared)
	}
}

// The keys of RealmFacts: a name behind the one, or the other alone.
const (
	realmKey  = "realm "
	sharedKey = "contexts"
)

// Remember is See without the sink, for what it has kept.
func (r *Realms) Remember(key string, at, now time.Time) {
	if now.Sub(at) >= KeepRealms {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if key == sharedKey {
		r.shared = max(r.shared, at.UnixMilli())
		return
	}
	if realm, ok := strings.CutPrefix(key, realmKey); ok && realm != "" {
		if of := r.of(realm); len(of) < maxRealms {
			of[strings.Clone(realm)] = at.UnixMilli()
		}
	}
}

// Full counts how often a realm, or an extension's context, found no room.
func (r *Realms) Full() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.full
}

// Forget drops realms that were last seen before a time.
func (r *Realms) Forget(before time.Time) {
	oldest := before.UnixMilli()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, of := range []map[string]int64{r.names, r.hosts} {
		for realm, at := range of {
			if at < oldest {
				delete(of, realm)
			}
		}
	}
	for extension, at := range r.homes {
		if at.at < oldest {
			delete(r.homes, extension)
		}
	}
	if r.shared != 0 && r.shared < oldest {
		r.shared = 0
		clear(r.homes) // an endpoint may have been given another context
	}
}

// of has the realms of a realm's kind. r is locked.
func (r *Realms) of(realm string) map[string]int64 {
	if isHost(realm) {
		return r.hosts
	}
	return r.names
}

// Has reports whether a realm was seen.
func (r *Realms) Has(realm string) bool {
	realm = RealmName(realm)
	r.mu.Lock()
	defer r.mu.Unlock()
	_, ok := r.of(realm)[realm]
	return ok
}

// Several reports whether there are several tenants.
func (r *Realms) Several() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.shared != 0 || len(r.names) > 1 || len(r.names) == 0 && len(r.hosts) > 1
}

// Same reports whether two phones of one name are one phone, by their realms.
func (r *Realms) Same(a, b string) bool {
	if a, b = RealmName(a), RealmName(b); a == b && a != "" {
		return true
	}
	return !r.Several() && (a == b || IsLoose(a) || IsLoose(b))
}

// IsLoose reports whether a realm says nothing of whose it is: there is none, or it is an address.
func IsLoose(realm string) bool { return realm == "" || realm == Endpoint || isHost(realm) }

// RealmName is a realm as it is kept.
func RealmName(realm string) string { return strings.ToLower(Cut(realm)) }

func isHost(realm string) bool {
	_, err := netip.ParseAddr(strings.Trim(realm, "[]"))
	return err == nil || realm == "localhost"
}
