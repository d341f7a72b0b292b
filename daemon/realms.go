package daemon

import (
	"net/netip"
	"strings"
	"sync"
)

// maxRealms bounds how many realms are told apart; who has more tenants has several in any case.
const maxRealms = 1000

// realms are those that phones have been seen in: of two tenants each may have an extension 101, and neither may speak
// for the other's. A system of one tenant may call its only realm by several names, an address for one, or by none; as
// long as no second name was seen, all of them are the same. So the first phone of a second tenant is told from those
// of the first by its realm, and whoever shows none is nobody from then on. What was seen is kept until the next start.
type realms struct {
	mu    sync.Mutex
	names map[string]bool
	hosts map[string]bool // those that are addresses
}

// see notes a realm, "" for none.
func (r *realms) see(realm string) {
	if realm = realmName(realm); realm == "" {
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

// several reports whether there are several tenants.
func (r *realms) several() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.names) > 1 || len(r.names) == 0 && len(r.hosts) > 1
}

// same reports whether two phones of one name are one phone, by their realms.
func (r *realms) same(a, b string) bool {
	if a, b = realmName(a), realmName(b); a == b && a != "" {
		return true
	}
	return !r.several() && (a == b || a == "" || b == "" || isHost(a) || isHost(b))
}

func realmName(realm string) string { return strings.ToLower(cutKey(realm)) }

func isHost(realm string) bool {
	_, err := netip.ParseAddr(strings.Trim(realm, "[]"))
	return err == nil || realm == "localhost"
}
