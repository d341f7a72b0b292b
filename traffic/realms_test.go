package traffic

import (
	"fmt"
	"testing"
	"time"
)

func TestRealmsAreBounded(t *testing.T) {
	r, now := newRealms(nowhere{}), time.Now()
	for i := range maxRealms + 10 {
		r.See(fmt.Sprint("tenant", i), now)
		r.See(fmt.Sprintf("10.0.%d.%d", i/256, i%256), now)
	}
	if len(r.names) != maxRealms || len(r.hosts) != maxRealms || !r.Several() {
		t.Errorf("%d names, %d hosts", len(r.names), len(r.hosts))
	}
	if n := r.Full(); n != 20 {
		t.Errorf("got %d counted as without room, want 20", n)
	}
	for i := range maxHomes + 5 {
		r.SeeAt(fmt.Sprint(i), "endpoint", "context", now)
	}
	if len(r.homes) != maxHomes || r.Full() != 25 {
		t.Errorf("got %d contexts and %d counted as without room, want %d and 25", len(r.homes), r.Full(), maxHomes)
	}
	one := newRealms(nowhere{})
	for _, host := range []string{"192.0.2.1", "[2001:db8::1]"} {
		one.See(host, now)
	}
	if !one.Several() || one.Same("192.0.2.1", "2001:db8::1") {
		t.Error("two addresses alone are one tenant")
	}
}

// kept is what a sink was told.
type kept map[string]int64

func (k kept) Keep(t Table, key string, at int64) {
	if t == RealmFacts {
		k[key] = at
	}
}
func (kept) NoRoom(Table) {}

func TestRealmsAreKept(t *testing.T) {
	now := time.UnixMilli(1_800_000_000_000)
	told := kept{}
	r := newRealms(told)
	r.See("A.example", now)
	r.See("a.example", now.Add(time.Hour)) // seen all the time, kept once a day
	if len(told) != 1 || told["realm a.example"] != now.UnixMilli() {
		t.Errorf("%v", told)
	}
	r.See("a.example", now.Add(25*time.Hour))
	r.See("b.example", now)
	if len(told) != 2 || told["realm a.example"] != now.Add(25*time.Hour).UnixMilli() {
		t.Errorf("%v", told)
	}
	for after, want := range map[time.Duration]bool{0: true, KeepRealms - time.Hour: true, KeepRealms: false} {
		again := newRealms(nowhere{})
		for key, at := range told {
			again.Remember(key, time.UnixMilli(at), now.Add(after))
		}
		if again.Several() != want {
			t.Errorf("several %v after they were seen: %v", after, !want)
		}
	}
	r.Forget(now.Add(time.Hour))
	if r.Several() || r.Has("b.example") || !r.Has("A.EXAMPLE") {
		t.Error("what was not seen since is still there")
	}
}

func TestRealmsOfContexts(t *testing.T) {
	type at struct{ extension, endpoint, context string }
	for name, test := range map[string]struct {
		seen []at
		want bool
	}{
		"two tenants":                       {[]at{{"101", "101-acme", "acme"}, {"101", "globex-101", "globex"}}, true},
		"two devices of one":                {[]at{{"101", "101-desk", "house"}, {"101", "101-mobile", "house"}}, false},
		"two extensions":                    {[]at{{"101", "101", "house"}, {"102", "102", "lobby"}}, false},
		"one endpoint has got another":      {[]at{{"101", "101", "house"}, {"101", "101", "house-2"}}, false},
		"and the other device keeps it":     {[]at{{"101", "101-a", "house"}, {"101", "101-a", "house-2"}, {"101", "101-b", "house-2"}}, false},
		"nothing is known of its extension": {[]at{{"", "a", "house"}, {"", "b", "lobby"}}, false},
		"nor of its context":                {[]at{{"101", "101-a", ""}, {"101", "101-b", "house"}}, false},
	} {
		now := time.UnixMilli(1_800_000_000_000)
		told := kept{}
		r := newRealms(told)
		for _, s := range test.seen {
			r.SeeAt(s.extension, s.endpoint, s.context, now)
		}
		if r.Several() != test.want || (told[sharedKey] != 0) != test.want {
			t.Errorf("%s: several %v, kept %v", name, r.Several(), told)
		}
		again := newRealms(nowhere{})
		for key, at := range told {
			again.Remember(key, time.UnixMilli(at), now)
		}
		if again.Several() != test.want {
			t.Errorf("%s, after a restart: %v", name, again.Several())
		}
	}
}

// Which endpoint has an extension is remembered as long as the endpoint is seen, through the tidying of every day, so that the other tenant's is
// told from it whenever it comes.
func TestContextsOutliveTidying(t *testing.T) {
	now := time.UnixMilli(1_800_000_000_000)
	r := newRealms(nowhere{})
	for day := range 40 { // for longer than realms are kept
		r.SeeAt("101", "101-a", "acme", now.Add(time.Duration(day)*24*time.Hour))
		r.Forget(now.Add(time.Duration(day)*24*time.Hour - KeepRealms))
	}
	now = now.Add(40 * 24 * time.Hour)
	r.Forget(now.Add(-KeepRealms))
	if r.SeeAt("101", "101-b", "globex", now); !r.Several() {
		t.Error("the second tenant's endpoint is not told from the first one's")
	}
	r = newRealms(nowhere{})
	r.SeeAt("101", "101-a", "acme", now)
	r.Forget(now.Add(time.Hour)) // 101-a is long gone
	if r.SeeAt("101", "101-b", "globex", now.Add(time.Hour)); r.Several() {
		t.Error("an endpoint that is gone is still there")
	}
}
