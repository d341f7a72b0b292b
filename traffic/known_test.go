package traffic

import (
	"fmt"
	"testing"
	"time"

	"ringfence/policy"
)

// The tables are bounded and count what had no room.
func TestLearntIsBounded(t *testing.T) {
	var kept sink
	m, now := New(&kept), time.Now()
	m.Known, m.Callbacks.most = NewKnown(3, &kept), 2
	for i := range 5 {
		m.Known.Meet("staff", fmt.Sprint("+86", i), now)
		m.Known.Meet("staff", "+860", now.Add(time.Second)) // known already: needs no room
		m.Callbacks.Dialled(fmt.Sprint("line ", i), now)
	}
	if m.Known.Len() != 3 || m.Callbacks.Len() != 2 || m.Known.Full()+m.Callbacks.Full() != 2+3 || !m.Known.IsFull() {
		t.Errorf("%d pairs, %d emergencies, %d had no room", m.Known.Len(), m.Callbacks.Len(), m.Known.Full()+m.Callbacks.Full())
	}
	if kept.facts[KnownFacts] != 4 || kept.facts[EmergencyFacts] != 2 || kept.full != 2 { // one of them twice
		t.Errorf("the sink was told of %v, and %d times of a full table", kept.facts, kept.full)
	}
	if line, all := m.Known.To("+862", []string{"staff"}, time.Time{}); line.IsZero() || all.IsZero() {
		t.Error("a number that was met is not known")
	}
	if line, _ := m.Known.To("+860", []string{"staff"}, now); !line.Equal(time.UnixMilli(now.UnixMilli())) {
		t.Errorf("known at %v, before what came later", line)
	}
	m.Callbacks.Dialled("line 4", now.Add(policy.CallbackWindow))
	if at := m.Callbacks.awaits("line 4"); at.IsZero() || m.Callbacks.Len() != 1 {
		t.Errorf("old ones make no room: %v", m.Callbacks.last)
	}
	m.Known.Forget(now.Add(500*time.Millisecond), nil)
	if m.Known.Len() != 1 {
		t.Errorf("%d pairs are left", m.Known.Len())
	}
	for _, number := range []string{"+861", "+862"} {
		if line, all := m.Known.To(number, []string{"staff"}, time.Time{}); !line.IsZero() || !all.IsZero() || m.Known.Has(number) {
			t.Errorf("%s is still known", number)
		}
	}
}

// sink counts what it is told of.
type sink struct {
	facts [Tables]int
	full  int
}

func (s *sink) Keep(t Table, _ string, _ int64) { s.facts[t]++ }
func (s *sink) NoRoom(Table)                    { s.full++ }

// BenchmarkRecall is what a call pays to look up what was learnt, with a million pairs of 50 lines.
func BenchmarkRecall(b *testing.B) {
	text := "country = \"CN\"\n[lines.line0]\nnumbers = [\"05925550100-05925550199\"]\n"
	for i := range 49 {
		text += fmt.Sprintf("[lines.line%d]\nnumbers = [\"059255502%02d\"]\n", i+1, i)
	}
	p, _ := policy.Load("p", []byte(text+"[[rule]]\nname = \"known\"\nwhen = { known_caller = \"30d\" }\naction = \"allow\"\n"))
	m, now := New(nil), time.Now()
	for i := range maxPairs {
		m.Known.Remember(fmt.Sprint("line", i%50), fmt.Sprintf("+86139%08d", i), now)
	}
	c := p.Call(policy.Facts{Caller: "13900012345", Callee: "05925550100", Time: now})
	b.ReportAllocs()
	for b.Loop() {
		m.Recall(p, &c)
	}
}

func TestTwice(t *testing.T) {
	var x twice
	for _, at := range []int64{50, 10, 50, 30, 90, 70} {
		x = x.add(at)
	}
	if x != (twice{90, 70}) {
		t.Errorf("%+v", x)
	}
	for now, want := range map[int64]int64{100: 90, 90: 90, 89: 70, 70: 70, 69: 0} {
		if at := x.by(now); at != want {
			t.Errorf("by %d: %v", now, at)
		}
	}
}

// One line that deals with very many leaves room for those of others.
func TestKnownLeavesOthersRoom(t *testing.T) {
	k, at := NewKnown(20, nil), time.UnixMilli(1_800_000_000_000)
	k.share = 4
	number := func(i int) string { return fmt.Sprintf("+86138%08d", i) }
	for i := range 30 {
		k.Meet("dialler", number(i), at)
	}
	if k.Len() != 10 || k.Full() != 20 {
		t.Errorf("the dialler knows %d, and %d found no room", k.Len(), k.Full())
	}
	k.Meet("dialler", number(0), at.Add(time.Hour))
	if line, _ := k.To(number(0), []string{"dialler"}, time.Time{}); !line.Equal(at.Add(time.Hour)) {
		t.Errorf("whom the dialler knows was known last at %s", line)
	}
	for i := range 3 {
		k.Meet("shop", number(i), at)
	}
	if k.Len() != 13 {
		t.Errorf("%d pairs, where the shop's should be 3", k.Len()-10)
	}
	for i := range 8 {
		k.Part(number(i), "dialler")
	}
	k.Meet("dialler", number(20), at)
	if k.Len() != 6 || len(k.names) != 2 {
		t.Errorf("%d pairs of %d lines, once there is room", k.Len(), len(k.names))
	}
	if k.Forget(at.Add(time.Minute), nil); k.Len() != 0 || len(k.names) != 0 {
		t.Errorf("%d pairs of %d lines are left", k.Len(), len(k.names))
	}
}

// What other nodes say fills three quarters of the room at most, and of that of a line: the rest is for the calls of this node.
func TestKnownRoomForOthers(t *testing.T) {
	k, at := NewKnown(100, nil), time.UnixMilli(1_800_000_000_000)
	k.share = 40
	tell := func(line string, from, to int) (taken int) {
		for i := from; i < to; i++ {
			if number := fmt.Sprint("+86139", i); k.HasRoomForOthers(line, number) {
				k.Remember(line, number, at)
				taken++
			}
		}
		return taken
	}
	if n := tell("a", 0, 200); n != 50 { // one line may have half
		t.Errorf("%d of one line were taken", n)
	}
	if n := tell("b", 200, 400); n != 25 {
		t.Errorf("%d of another line were taken", n)
	}
	if n := tell("a", 0, 50); n != 50 {
		t.Errorf("of what is known %d were taken again", n)
	}
	for i := range 24 {
		k.Meet("c", fmt.Sprint("+86138", i), at)
	}
	if at, _ := k.To("+8613823", []string{"c"}, time.Time{}); at.IsZero() || k.IsFull() {
		t.Error("a call of this node found no room")
	}
}
