package e2e_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"ringfence/bridge"
	"ringfence/conf"
	"ringfence/console"
	"ringfence/e2e/setup"
	"ringfence/policy"
	"ringfence/standin"
)

// listed is the number that is on the blacklist in what follows, and trusted one that everybody knows to be let through.
const listed, trusted = "95211613", "13800138000"

// enforced is the policy that we ship, in force, with a trunk whose word on the caller counts.
func enforced(t testing.TB) string {
	t.Helper()
	text := strings.Replace(string(conf.SamplePolicy), `mode     = "observe"`, `mode     = "enforce"`, 1)
	if text == string(conf.SamplePolicy) {
		t.Fatal("the shipped policy does not observe")
	}
	text = strings.Replace(text, `"Asia/Shanghai"`, strconv.Quote(noonZone(time.Now())), 1)
	at := strings.Index(text, "\n[[rule]]")
	if at < 0 {
		t.Fatal("the shipped policy has no rules")
	}
	return text[:at] + `
[trunks.carrier]
match    = ["203.0.113.0/24"]
identity = ["pai", "from"]
` + text[at:]
}

// noonZone is a time zone in which it is about noon: what the policy refuses at night alone is no test of the day.
func noonZone(now time.Time) string {
	return fmt.Sprintf("Etc/GMT%+d", now.UTC().Hour()-12) // these count westward
}

// spellings write the listed number as callers do who would rather not be known by it. %s is the number.
var spellings = []string{
	"%s", "+86%s", "0086%s", "86%s", "010%s", "00%s", "8686%s", "+8686%s", "++86%s", "05920%s", "+%s",
	"9521161%%33%.0s", "9521161%%2533%.0s", "%%2539%%2535211613%.0s", "9521%%252D1613%.0s", "95588#95599#%s", "九五二一一六一三%.0s", "㈨㈤㈡㈠㈠㈥㈠㈢%.0s",
	"%s#", "%s*", "%sa", "%s,1", "%s=", "%s&1", "%s!", "%s'", "%s$", "%s%%20", "%sx00000001", "%s%%D9%%A0", "%s;ext=1", "%s/", "%s.", "%s-", "(%s)",
	"#%s", "a%s", "%%22%s%%22", "%s%%00", "%s%%E2%%80%%8B", "%s%%0A", "%s%%0D%%0A%%0D%%0AINVITE", "%s%%3Csip:110@x%%3E", "%s%%3Csip:13800138000%%3E",
}

// wished are what a caller may want to be taken for.
var wished = []string{"110", "119", "12110", "95110", "96110", "+86110", "010110", "0592110", trusted, "95588", "10086", "8001", "anonymous", "", "05925550199"}

// disguise draws a call of the listed number. What the caller, his phone or his own switch can write is drawn; who he is is not.
func disguise(r *rand.Rand, i int) standin.Call {
	pick := func(list []string) string { return list[r.IntN(len(list))] }
	own := fmt.Sprintf(pick(spellings), listed)
	c := standin.Call{From: own, Async: r.IntN(2) == 0, To: fmt.Sprintf("0592555%04d", i)}
	c.Resume = c.Async
	if r.IntN(3) == 0 {
		// By the carrier, who asserts the number; all else is the caller's.
		c.Addr, c.PAI, c.From = "203.0.113.7", []string{listed, "+86" + listed, "0" + "10" + listed}[r.IntN(3)], pick(wished)
	} else if r.IntN(2) == 0 {
		c.PAI = pick(wished)
	}
	if r.IntN(2) == 0 {
		c.PPI = pick(wished)
	}
	switch r.IntN(4) {
	case 0:
		c.RPID = fmt.Sprintf(`"%s" <sip:%s@x>;privacy=full;screen=yes`, pick(wished), pick(wished))
	case 1:
		c.RPID = fmt.Sprintf(`"x<sip:%s@evil>" <sip:%s@x>`, pick(wished), pick(wished))
	}
	switch r.IntN(3) {
	case 0:
		c.Display = pick(wished)
	case 1:
		c.Display = pick([]string{"Police", "匿名", "\\\"", "<sip:110@x>", "%0ARINGFENCE", "${x}"})
	}
	c.Privacy = r.IntN(5) == 0
	for range r.IntN(4) {
		name := pick([]string{"X-A", "Diversion", "History-Info", "Identity", "User-Agent", "Alert-Info", "X-ringfence_id", "ringfence_id", "X-FS-Guard", "Subject"})
		c.SIP = append(c.SIP, standin.Header{Name: name, Value: pick([]string{"<sip:110@x>;reason=unconditional", "01J0000000", "fired", strings.Repeat(`"`, 1000), strings.Repeat("x", 5000)})})
	}
	switch r.IntN(12) {
	case 0:
		for k := range 300 {
			c.SIP = append(c.SIP, standin.Header{Name: fmt.Sprint("X-", k), Value: strings.Repeat(`"`, 300)})
		}
	case 1:
		c.SIP = append(c.SIP, standin.Header{Name: "X-L", Value: strings.Repeat("%22", 100_000)})
	case 2:
		c.To = pick([]string{"sip:%s;user=phone", "%s;user=phone", "%sa", "%s ", "%s-1", "%s7", "%s000", "%s" + strings.Repeat("0", 40), "x%s", "${%s}"})
		c.To = fmt.Sprintf(c.To, fmt.Sprintf("0592555%04d", i))
	case 3:
		if c.Addr == "" { // not SIP: only the number itself is the caller's
			c.Loopback, c.PAI, c.PPI, c.RPID = true, "", "", ""
		}
	}
	if r.IntN(4) == 0 {
		c.CancelAfter = time.Duration(1+r.IntN(30)) * time.Millisecond
	}
	if r.IntN(2) == 0 {
		c.Keys = func(string) string { return "" }
	}
	return c
}

// Nothing that the caller of a listed number does makes him pass, and of each of his calls there is one record, which says
// what happened. So it is on a list for all, and on the own list of the line that he calls.
func TestListedCallerNeverPasses(t *testing.T) {
	t.Run("on the blacklist", func(t *testing.T) { neverPasses(t, "blacklist") })
	t.Run("on the line's own", func(t *testing.T) { neverPasses(t, "staff:blacklist", "shop:blacklist") })
}

// neverPasses places calls of the number, which is on these lists. Half of the numbers that are called are on a line of the policy, half on one of the
// database.
//
// long: because what is placed, and what has to be found of it, is read as one.
func neverPasses(t *testing.T, lists ...string) {
	text := strings.Replace(enforced(t), `when   = { list = ["blacklist"] }`, `when   = { list = ["blacklist", "line:blacklist"] }`, 1)
	d, _ := setup.StartDaemonWith(t, text)
	customer, numbers := "Shop", []string{"05925551000..05925559999"}
	if _, err := d.Desk().AddLines(t.Context(), []console.LineSet{{Name: "shop", Customer: &customer, Numbers: &numbers}}); err != nil {
		t.Fatal(err)
	}
	for _, list := range append(lists, "allowlist") {
		number := listed
		if list == "allowlist" {
			number = trusted
		}
		if _, err := d.Desk().AddEntries(t.Context(), list, []console.NewEntry{{Number: number}}, false); err != nil {
			t.Fatal(err)
		}
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	n := hostileCalls(1000)
	sw := &standin.Switch{Address: d.Address(), Speed: 200}
	type placed struct {
		call   standin.Call
		result standin.Result
	}
	results := make([]placed, n)
	jobs := make(chan int)
	var wg sync.WaitGroup
	for w := range 16 {
		r := rand.New(rand.NewPCG(seed, uint64(w)))
		wg.Go(func() {
			for i := range jobs {
				c := disguise(r, i)
				ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
				res, err := sw.Place(ctx, c)
				cancel()
				if err != nil {
					t.Errorf("%+v: %v", short(c), err)
				}
				results[i] = placed{c, res}
			}
		})
	}
	for i := range n {
		jobs <- i
	}
	close(jobs)
	wg.Wait()
	_, by, all := setup.RecordsOf(t, d, n)
	open := setup.StatusOf(t, d).FailOpen
	t.Logf("%v; fail-open %v", by, open)
	records := map[string][]console.Record{}
	for _, rec := range all {
		key := digitsOf(rec.Callee)
		records[key] = append(records[key], rec)
	}
	cut, late := 0, 0
	for i, p := range results {
		key := digitsOf(p.call.To)
		got := records[key]
		switch {
		case p.result.Rang && (len(got) == 0 || got[0].Rule == policy.RuleFailOpen):
			late++ // on a machine that is too busy to decide in time, which no caller can bring about
			t.Logf("call %d was let through: %+v", i, got)
		case p.result.Rang:
			t.Errorf("call %d rang: %+v\nrecorded as %+v", i, short(p.call), got)
		case p.result.Stuck || len(p.result.ProtocolErrors) > 0:
			t.Errorf("call %d: stuck %v, protocol %q: %+v", i, p.result.Stuck, p.result.ProtocolErrors, short(p.call))
		case len(got) == 0 && p.result.Cancelled && p.result.ReplyAt == 0:
			cut++ // he was gone before the switch had named the call: nobody but the switch can know of him
		case len(got) != 1:
			t.Errorf("call %d has %d records: %+v", i, len(got), short(p.call))
		case got[0].Action == "allow" && !p.result.Cancelled, got[0].Rule == "fail-open" && !p.result.Cancelled:
			t.Errorf("call %d did not ring, and is recorded as %+v", i, got[0])
		}
	}
	if busy := int(open[bridge.FailDeadline] + open[bridge.FailLate]); late > busy || late > n/200 {
		t.Errorf("%d calls rang, of %d that were too late", late, busy)
	}
	if cut > n/5 { // a quarter hangs up within 30 ms, and a busy machine takes longer than that to name a call
		t.Errorf("%d of %d calls left no record", cut, n)
	}
}

// digitsOf is the part of a callee that tells the calls apart.
func digitsOf(callee string) string {
	if i := strings.Index(callee, "0592555"); i >= 0 && len(callee) >= i+11 {
		return callee[i : i+11]
	}
	return callee
}

// short is a call without its long headers.
func short(c standin.Call) standin.Call {
	if len(c.SIP) > 4 {
		c.SIP = c.SIP[:4]
	}
	for i, h := range c.SIP {
		if len(h.Value) > 40 {
			c.SIP[i].Value = h.Value[:40] + "…"
		}
	}
	return c
}
