package traffic

import (
	"net/netip"
	"strings"
	"sync"
)

// maxRealms bounds how many realms are told apart; who has more tenants has several in any case.
const maxRealms = 1000

// Realms are those that phones have been seen in: of two tenants each may have an extension 101, and neither may speak
// for the other's. A system of one tenant may call its only realm by several names, an address for one, or by none; as
// long as no second name was seen, all of them are the same. So the first phone of a second tenant is told from those
// of the first by its realm, and whoever shows none is nobody from then on. What was seen is kept until the next start.
type Realms struct {
	mu    sync.Mutex
	names map[string]bool
	hosts map[string]bool // those that are addresses
}

// See notes a realm, "" for none.
func (r *Realms) See(realm string) {
	if realm = RealmName(realm); realm == "" {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.names == nil {
		r.names, r.hosts = make(map[string]bool), make(map[string]bool)
	}
	of := r.names
	if isHost(realm) {
		of = r.hosts
	}
	if len(of) < maxRealms {
		of[strings.Clone(realm)] = true
	}
}

// Several reports whether there are several tenants.
func (r *Realms) Several() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.names) > 1 || len(r.names) == 0 && len(r.hosts) > 1
}

// Same reports whether two phones of one name are one phone, by their realms.
func (r *Realms) Same(a, b string) bool {
	if a, b = RealmName(a), RealmName(b); a == b && a != "" {
		return true
	}
	return !r.Several() && (a == b || a == "" || b == "" || isHost(a) || isHost(b))
}

// RealmName is a realm as it is kept.
func RealmName(realm string) string { return strings.ToLower(Cut(realm)) }

func isHost(realm string) bool {
	_, err := netip.ParseAddr(strings.Trim(realm, "[]"))
	return err == nil || realm == "localhost"
}
