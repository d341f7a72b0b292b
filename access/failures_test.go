package access

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"ringfence/console"
)

// TestFailuresOfOthersAreSeen: who tries all the time, from one address or from hundreds, does not use up the room in which others' tries are seen, and
// the audit says how many it has not.
func TestFailuresOfOthersAreSeen(t *testing.T) {
	s := openBook(t, "", newClock())
	try := func(address string) {
		s.Redeem(context.Background(), "/welcome/none", longPassword, home(address))
	}
	noted := func(address string) (n int) {
		for _, line := range s.audit(t) {
			if strings.Contains(line, " "+address+" ") {
				n++
			}
		}
		return n
	}
	for range 5000 {
		try("192.0.2.7")
	}
	try("192.0.2.8")
	if a, b := noted("192.0.2.7"), noted("192.0.2.8"); a != maxFailedOf || b != 1 {
		t.Errorf("the audit has %d of who tries all the time and %d of another, want %d and 1", a, b, maxFailedOf)
	}
	for i := range 30 {
		for range 100 {
			try(fmt.Sprintf("198.51.100.%d", i))
		}
	}
	for range 10 {
		try("192.0.2.9")
	}
	if n := noted("192.0.2.9"); n != fewFailedOf {
		t.Errorf("while many try all the time the audit has %d of another, want %d", n, fewFailedOf)
	}
	for i := range maxTries {
		try(fmt.Sprintf("10.0.%d.%d", i/250, i%250))
	}
	if all := len(s.audit(t)); all != maxFailed || len(s.failures.of) > maxTries+1 {
		t.Errorf("there are %d entries and %d addresses, want %d at most of both", all, len(s.failures.of), maxFailed)
	}
	left := s.Skipped.Load()
	s.add(failedSpan)
	try("192.0.2.9")
	lines := s.audit(t) // the newest first
	if len(lines) != maxFailed+2 || !strings.Contains(lines[1], "audit skip") {
		t.Fatalf("after an hour: %d entries, the latest %q", len(lines), lines[:2])
	}
	var latest []console.AuditEntry
	if err := s.Audit(context.Background(), console.AuditQuery{Limit: 2}, func(e console.AuditEntry) error { latest = append(latest, e); return nil }); err != nil {
		t.Fatal(err)
	}
	if detail := latest[1].Detail; !strings.HasPrefix(detail, fmt.Sprintf("%d refused tries since ", left)) || !strings.HasSuffix(detail, fmt.Sprintf("%d of them came from 192.0.2.7", 5000-maxFailedOf)) {
		t.Errorf("%q does not say that %d are left out, and where most came from", detail, left)
	}
	s.add(2 * time.Hour)
	if gone := s.failures.end(s.now(), false); gone != nil {
		t.Errorf("an hour without any is said to have lost %+v", gone)
	}
}
