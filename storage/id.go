package storage

import (
	"crypto/rand"
	"strings"
	"sync"
	"time"

	"github.com/oklog/ulid/v2"
)

// idSkew is how far NewID bends a time to keep IDs in the order they were made.
const idSkew = time.Second

var ids = struct {
	sync.Mutex
	entropy ulid.MonotonicReader
	last    uint64 // milliseconds in the ID made last
}{entropy: ulid.Monotonic(rand.Reader, 0)}

// NewID returns a new journal id for a call at time t: a ULID, 26 characters, which
// begin with the time in milliseconds, so that ids sort by time.
//
// Within the process each id sorts after the one before it, also for calls in the
// same millisecond and for goroutines that come out of turn: a time up to a second
// before the last one counts as the last. A time further back is taken as it is,
// because then the clock was set back, and must not be led by its wrong past.
func NewID(t time.Time) string {
	ms := uint64(min(max(t.UnixMilli(), 0), int64(ulid.MaxTime())))
	ids.Lock()
	defer ids.Unlock()
	if ms < ids.last && ids.last-ms <= uint64(idSkew.Milliseconds()) {
		ms = ids.last
	}
	id, err := ulid.New(ms, ids.entropy)
	for err != nil {
		// The random part would overflow within this millisecond (the entropy itself
		// cannot fail): the next one starts anew.
		ms = (ms + 1) % ulid.MaxTime()
		id, err = ulid.New(ms, ids.entropy)
	}
	ids.last = ms
	return id.String()
}

// parseID returns an id as the journal writes it, or false if it is none.
func parseID(s string) (string, bool) {
	id, err := ulid.ParseStrict(strings.ToUpper(s))
	if err != nil {
		return "", false
	}
	return id.String(), true
}

// TimeOf is the time in a journal id, zero if it is none.
func TimeOf(id string) time.Time {
	u, err := ulid.ParseStrict(strings.ToUpper(id))
	if err != nil {
		return time.Time{}
	}
	return u.Timestamp()
}

// firstID is the lowest id of the given time.
func firstID(t time.Time) string {
	var id ulid.ULID
	id.SetTime(uint64(min(max(t.UnixMilli(), 0), int64(ulid.MaxTime())))) // in range: no error
	return id.String()
}
