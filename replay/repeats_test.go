package replay

import "testing"

// A record of the journal counts the calls that repeated it; the doctor's calls are nobody's.
func TestRepeats(t *testing.T) {
	r := replayed(t, SourceOptions{}, `{"id":"01KGYZTR700000000000000001","time":"2026-03-02T09:30:00.000Z","caller":{"raw":"95211613","e164":"+8695211613","kind":"service"},"callee":"05925550100","action":"allow","rule":"default","repeats":36,"last":"2026-03-02T09:30:50.000Z"}
{"id":"01KGYZTR700000000000000002","time":"2026-03-02T09:40:00.000Z","caller":{"raw":"13800138000","e164":"+8613800138000","kind":"mobile"},"callee":"05925550100","action":"allow","rule":"default"}
{"id":"01KGYZTR700000000000000003","time":"2026-03-02T09:41:00.000Z","caller":{"raw":"95211613","e164":"+8695211613","kind":"service"},"callee":"05925550100","action":"allow","rule":"default","test":true}
`)
	s := r.Summary
	if s.Rows != 3 || s.Calls != 38 || s.Repeats != 36 || s.Tests != 1 || s.Compared != 38 {
		t.Errorf("%+v", s)
	}
	most := uint32(0)
	for _, c := range r.Callers {
		most = max(most, c.Calls)
	}
	if most != 37 {
		t.Errorf("the loudest caller has %d calls: %+v", most, r.Callers)
	}
}
