package cluster

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// rules is the policy of a node: a text, of which the length is the version.
type rules struct {
	mu     sync.Mutex
	text   string
	tried  int  // how often a text with a fault came
	full   bool // the disk, so that nothing can be taken
	pause  Pause
	paused int // how often a pause was taken
}

func (r *rules) PolicyInForce() (string, string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text, fmt.Sprint(len(r.text)), nil
}

func (r *rules) TakePolicy(_ context.Context, text, _ string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if strings.Contains(text, "fault") {
		r.tried++
		return errors.New("policy.toml:1: a fault")
	}
	if r.full {
		return errors.New("no space left on device")
	}
	r.text = text
	return nil
}

func (r *rules) fills(full bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.full = full
}

func (r *rules) set(text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.text = text
}

func (r *rules) is(text string) func() bool {
	return func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.text == text
	}
}

func (r *rules) PauseKept() (*Pause, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.pause
	return &p, nil
}

func (r *rules) TakePause(p *Pause, _ string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p.At.After(r.pause.At) {
		r.pause = *p
		r.paused++
	}
	return nil
}

func (r *rules) pauses(paused bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pause = Pause{At: time.Now(), Paused: paused, Since: time.Now()}
}

func (r *rules) isPaused() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.pause.Paused
}

// The policy is that of the nodes that may change it, also after the server has lost it; a node where it has a fault keeps its own and says so.
func TestPolicyIsShared(t *testing.T) {
	s := startServer(t)
	of := map[string]*rules{}
	nodes := map[string]*member{}
	start := func(name, text string) {
		of[name] = &rules{text: text}
		nodes[name] = join(t, s.url(), newKept(name), func(o *Options) {
			o.Policy, o.SharePolicy, o.PolicyFrom, o.Pause = of[name], true, []string{"a", "b"}, of[name]
		})
	}
	start("a", "one")
	eventually(t, "the first gives its own", func() bool {
		text, _ := nodes["a"].kept.Setting(settingPolicy)
		return text != nil
	})
	start("b", "b's before")
	start("c", "c's before")
	for _, name := range []string{"b", "c"} {
		eventually(t, name+" takes it", of[name].is("one"))
	}
	of["b"].set("second of b")
	for _, name := range []string{"a", "c"} {
		eventually(t, name+" takes what b changed", of[name].is("second of b"))
	}
	of["c"].set("c on its own")
	eventually(t, "c takes it again", of["c"].is("second of b"))
	s.kill()
	s.wipe()
	of["a"].set("while it was down")
	s.start()
	for _, name := range []string{"b", "c"} {
		eventually(t, name+" has it after the server lost all", of[name].is("while it was down"))
	}
	of["a"].set("a fault for all but a, who had it before")
	eventually(t, "c says why it has another", func() bool { return strings.Contains(nodes["c"].Report().Why, "a fault") })
	of["a"].set("mended by a")
	eventually(t, "c has it", of["c"].is("mended by a"))
	if of["c"].tried > 3 {
		t.Errorf("a policy with a fault was tried %d times", of["c"].tried)
	}

	of["c"].pauses(true) // whose word does not count
	eventually(t, "all have heard it", func() bool {
		for _, name := range []string{"a", "b"} {
			nodes[name].mu.Lock()
			p := nodes[name].peers["c"].Pause
			nodes[name].mu.Unlock()
			if p == nil || !p.Paused {
				return false
			}
		}
		return true
	})
	if of["a"].isPaused() || of["b"].isPaused() {
		t.Error("a node that may not pauses all")
	}
	of["a"].pauses(true)
	eventually(t, "the pause of a counts on b", of["b"].isPaused)
	of["b"].pauses(false)
	eventually(t, "it is ended on b", func() bool { return !of["a"].isPaused() && !of["c"].isPaused() })
}

// A server that lost what it kept, and then hears first of a node that has an older policy, does not bring that back: neither on the node that changed it
// since, nor on those that took the change.
func TestOlderPolicyDoesNotComeBack(t *testing.T) {
	s := startServer(t)
	of, kept, nodes := map[string]*rules{}, map[string]*kept{}, map[string]*member{}
	start := func(name string) {
		if of[name] == nil {
			of[name], kept[name] = &rules{text: strings.Repeat("first of "+name+" ", 1+int(name[0]-'a'))}, newKept(name)
		}
		nodes[name] = join(t, s.url(), kept[name], func(o *Options) {
			o.Policy, o.SharePolicy, o.PolicyFrom = of[name], true, []string{"a", "b"}
		})
	}
	start("a")
	eventually(t, "the first gives its own", func() bool {
		text, _ := kept["a"].Setting(settingPolicy)
		return text != nil
	})
	start("b")
	start("c")
	for _, name := range []string{"b", "c"} {
		eventually(t, name+" takes it", of[name].is("first of a "))
	}
	nodes["b"].stop()
	of["a"].set("changed by a, and longer")
	eventually(t, "c takes the change", of["c"].is("changed by a, and longer"))
	nodes["a"].stop()
	s.kill()
	s.wipe()
	s.start()
	start("b")
	eventually(t, "c says that the server has an older one", func() bool { return strings.Contains(nodes["c"].Report().Why, "older") })
	if !of["c"].is("changed by a, and longer")() {
		t.Error("the older policy came back on c")
	}
	start("a")
	eventually(t, "b has what a changed", of["b"].is("changed by a, and longer"))
	if !of["a"].is("changed by a, and longer")() || !of["c"].is("changed by a, and longer")() {
		t.Error("the older policy came back")
	}
	eventually(t, "c has no word against it", func() bool { return nodes["c"].Report().Why == "" })
	of["b"].set("changed by b once more")
	for _, name := range []string{"a", "c"} {
		eventually(t, name+" takes what b changed", of[name].is("changed by b once more"))
	}
}

// Of what two nodes changed that did not hear of each other, the later change counts, though the node that made the earlier one is the last to reach the server.
func TestLaterPolicyCounts(t *testing.T) {
	s := startServer(t)
	of, kept, nodes := map[string]*rules{}, map[string]*kept{}, map[string]*member{}
	start := func(name, url string) {
		if of[name] == nil {
			of[name], kept[name] = &rules{text: "first"}, newKept(name)
		}
		nodes[name] = join(t, url, kept[name], func(o *Options) {
			o.Policy, o.SharePolicy, o.PolicyFrom = of[name], true, []string{"a", "b"}
		})
	}
	for _, name := range []string{"a", "b"} {
		start(name, s.url())
		eventually(t, name+" has the policy", func() bool {
			text, _ := kept[name].Setting(settingPolicy)
			return text != nil
		})
	}
	nodes["a"].stop()
	start("a", "nats://127.0.0.1:1") // where there is no server
	of["a"].set("a's change, alone")
	eventually(t, "a has seen its change", func() bool {
		text, _ := kept["a"].Setting(settingPolicy)
		return strings.Contains(string(text), `"since":`)
	})
	time.Sleep(50 * time.Millisecond)
	const later = "b's change, which is later"
	of["b"].set(later)
	eventually(t, "b has given its change", func() bool {
		text, _ := kept["b"].Setting(settingPolicy)
		return strings.Contains(string(text), fmt.Sprintf(`"version":"%d"`, len(later)))
	})
	nodes["a"].stop()
	start("a", s.url())
	eventually(t, "a takes the later change", of["a"].is(later))
	if !of["b"].is(later)() {
		t.Error("the earlier change came to b")
	}
	of["a"].set("a's change of what b has changed")
	eventually(t, "what a changes now counts", of["b"].is("a's change of what b has changed"))
}

// A policy that a full disk did not take counts when there is room again, and until then what is said is why.
func TestPolicyIsTriedAgain(t *testing.T) {
	s := startServer(t)
	a, b := &rules{text: "one"}, &rules{text: "one"}
	var later atomic.Int64
	start := func(name string, r *rules) *member {
		return join(t, s.url(), newKept(name), func(o *Options) {
			o.Policy, o.SharePolicy, o.PolicyFrom = r, true, []string{"a"}
			o.Now = func() time.Time { return time.Now().Add(time.Duration(later.Load())) }
		})
	}
	start("a", a)
	m := start("b", b)
	eventually(t, "b has the policy", func() bool {
		text, _ := m.kept.Setting(settingPolicy)
		return text != nil
	})
	b.fills(true)
	a.set("another")
	const why = "no space left"
	eventually(t, "b says why", func() bool { return strings.Contains(m.Report().Why, why) })
	time.Sleep(3 * policyEvery)
	if got := m.Report().Why; !strings.Contains(got, why) {
		t.Errorf("a moment later it says %q", got)
	}
	b.fills(false)
	later.Store(int64(2 * policyAgain))
	eventually(t, "b takes it", b.is("another"))
}
