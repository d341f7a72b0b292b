package daemon

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ringfence/conf"
	"ringfence/console"
)

// In a private installation no number of a caller is on disk, nor shown; the same is counted after a restart, and a token names a breaker.
func TestPrivateDetectors(t *testing.T) {
	c, n := attached(t, watchful), 0
	daemon := start(t, c) // not private yet
	d := in(daemon)
	wake(d, &n)
	for i := range 4 {
		ring(d, &n, "13800138000", fmt.Sprintf("0592555028%d", i))
	}
	halt(t, daemon)
	c.Journal.Private = true
	daemon = start(t, c)
	d = in(daemon)
	<-d.ListsRead()
	for i := range 4 {
		ring(d, &n, "13900139000", fmt.Sprintf("0592555028%d", i))
	}
	shown := breakers(t, d, false)
	if strings.Contains(shown, "1380013") || strings.Contains(shown, "139001") || strings.Count(shown, "many lines: hmac:") != 2 || !strings.Contains(shown, "range wakes: 952116 tripped") {
		t.Errorf("shown\n%s", shown)
	}
	last := ""
	d.Journal(t.Context(), console.Query{Newest: true, Limit: 1}, func(r console.Record) error { last = fmt.Sprint(r); return nil })
	if strings.Contains(last, "139001") || !strings.Contains(last, "many lines: hmac:") {
		t.Errorf("the journal has %s", last)
	}
	_, token, _ := strings.Cut(shown, "many lines: ")
	token, _, _ = strings.Cut(token, " ")
	if e, err := d.ResetBreaker(t.Context(), console.BreakerName{Detector: "many lines", Key: token}); err != nil || e.Key != token {
		t.Errorf("%+v, %v", e, err)
	}
	halt(t, daemon)
	counts, err := os.ReadFile(filepath.Join(c.Data, "calls.counted"))
	if err != nil || !bytes.HasPrefix(counts, []byte("ringfence counts 1 sealed\n")) || bytes.Contains(counts, []byte("13900139000")) {
		t.Errorf("the file of counts: %.40q, %v", counts, err)
	}
	files, err := OpenDesk(c, true, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if got := breakers(t, files, false); strings.Count(got, "many lines: hmac:") != 1 {
		t.Errorf("without the daemon\n%s", got)
	}
	files.Close()
	for _, name := range []string{"13900139000", "13800138000"} {
		if inDatabase(t, c, name) {
			t.Errorf("%s is in the database", name)
		}
	}
}

// Nor is a range that is nearly a number shown: not by the commands, nor in alerts and journal; its token names it, and it is counted by its digits.
func TestPrivateRanges(t *testing.T) {
	c, n := attached(t, strings.NewReplacer("{ 6 = 5, 7 = 5 }", "{ 8 = 6, 9 = 5, 10 = 5 }", `"952116*"`, `"1380013*"`).Replace(watchful)), 0
	c.Journal.Private = true
	daemon := start(t, c)
	d := in(daemon)
	<-d.ListsRead()
	for i := range 6 { // five of 1380013800, and one of its range
		ring(d, &n, fmt.Sprintf("1380013800%d", i), fmt.Sprintf("059255502%02d", i))
	}
	shown := breakers(t, d, false)
	if strings.Contains(shown, "138001380") || strings.Count(shown, "range wakes: hmac:+86-1380:") != 1 {
		t.Errorf("shown\n%s", shown)
	}
	for _, all := range []bool{false, true} {
		if err := d.Breakers(t.Context(), console.BreakerQuery{All: all}, func(b console.Breaker) error {
			if strings.Contains(fmt.Sprint(b), "138001380") {
				t.Errorf("%+v", b)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	told := ""
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for ; !strings.Contains(told, "range wakes"); told = alerts(t, d) {
		<-tick.C
	}
	last := ""
	d.Journal(t.Context(), console.Query{Newest: true, Limit: 1}, func(r console.Record) error { last = fmt.Sprint(r.Tripped, r.Reason); return nil })
	if strings.Contains(last, "138001380") || !strings.Contains(last, "range wakes: hmac:+86-1380:") || strings.Contains(told, "138001380") || !strings.Contains(told, "hmac:+86-1380:") {
		t.Errorf("the journal has %s\nthe alert says %s", last, told)
	}
	_, token, _ := strings.Cut(shown, "range wakes: ")
	token, _, _ = strings.Cut(token, " ")
	if e, err := d.PinBreaker(t.Context(), console.BreakerName{Detector: "range wakes", Key: token}, console.PinShut); err != nil || e.Key != token {
		t.Errorf("%+v, %v", e, err)
	}
	if ring(d, &n, "13800138009", "05925550299") {
		t.Error("the range that its token named is not held shut")
	}
}

// inDatabase reports whether a text is anywhere in what the database has.
func inDatabase(t *testing.T, c *conf.Daemon, text string) bool {
	t.Helper()
	files, err := OpenDesk(c, true, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer files.Close()
	var b bytes.Buffer
	if err := files.Backup(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	return bytes.Contains(b.Bytes(), []byte(text))
}
