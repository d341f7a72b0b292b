package traffic

import (
	"strings"
	"testing"
	"time"
)

// The table of hits is bounded; what finds no room is counted.
func TestHitsAreBounded(t *testing.T) {
	var h Hits
	for i := range maxHits + 10 {
		h.Note("blacklist", strings.Repeat("1", i%100)+string(rune(i)), time.Now())
	}
	if len(h.all) > maxHits || h.Dropped() == 0 {
		t.Errorf("%d wait, %d dropped", len(h.all), h.Dropped())
	}
}
