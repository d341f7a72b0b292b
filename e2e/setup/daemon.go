// Package setup runs what calls are placed through, for the length of a test: the daemon with a policy, a FreeSWITCH, an
// Asterisk, and daemons that have gone wrong.
package setup

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ringfence/conf"
	"ringfence/console"
	"ringfence/daemon"
	"ringfence/e2e/phone"
)

// Policy is what the daemon of StartDaemon decides by.
const Policy = `
country = "CN"
timezone = "Asia/Shanghai"
[lines.staff]
numbers = ["05925550000-05925550999"]
[trunks.carrier]
match = ["profile:external", "profile:internal"]
identity = ["pai", "rpid", "from"]
[[rule]]
name = "listed"
when = { list = ["blacklist"] }
action = "reject"
sip = 603
[[rule]]
name = "busy"
when = { caller = ["95200486"] }
action = "reject"
sip = 486
[[rule]]
name = "unwanted"
when = { caller = ["95200607"] }
action = "reject"
sip = 607
[[rule]]
name = "rejected"
when = { caller = ["95200608"] }
action = "reject"
sip = 608
[[rule]]
name = "busy everywhere"
when = { caller = ["95200600"] }
action = "reject"
sip = 600
[[rule]]
name = "warned off"
when = { caller = ["95211???"] }
action = "warn"
announcement = "beep"
then = "hangup"
sip = 480
[[rule]]
name = "sales"
when = { caller = ["9521????"], line = ["staff"] }
action = "warn"
announcement = "beep"
[[rule]]
name = "elsewhere"
when = { caller = ["95230001"] }
action = "divert"
to = "3001 XML public"
[[rule]]
name = "next door"
when = { caller = ["95230002"] }
action = "divert"
to = "3002"
[[rule]]
name = "withheld"
when = { caller_kind = ["anonymous", "invalid"] }
action = "tag"
label = "不明"
[[rule]]
name = "label"
when = { caller = ["95??????"] }
action = "tag"
label = "外呼"
`

// StartDaemon runs the daemon with the test policy, the list and a short announcement.
func StartDaemon(t testing.TB, settings ...string) *daemon.Daemon {
	t.Helper()
	d, _ := StartDaemonWith(t, Policy, settings...)
	if _, err := d.Desk().AddEntries(t.Context(), "blacklist", []console.NewEntry{{Number: "95211613", Reason: "fake JD service"}}, false); err != nil {
		t.Fatal(err)
	}
	return d
}

// StartDaemonWith runs the daemon with a policy and more settings, and returns its file too.
func StartDaemonWith(t testing.TB, policy string, settings ...string) (*daemon.Daemon, string) {
	t.Helper()
	folder, err := os.MkdirTemp("", "e2e-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(folder) })
	if err := os.Chmod(folder, 0o755); err != nil { // a switch of another user reads the announcements
		t.Fatal(err)
	}
	text := "policy = \"policy.toml\"\ndata = \"data\"\nsocket = \"s\"\nnode = \"e2e\"\n[screen]\nlisten = \"127.0.0.1:0\"\n" + strings.Join(settings, "\n")
	sounds := filepath.Join(folder, "data", "sounds")
	if err := os.MkdirAll(sounds, 0o755); err != nil {
		t.Fatal(err)
	}
	for file, content := range map[string][]byte{
		filepath.Join(folder, "ringfence.toml"): []byte(text),
		filepath.Join(folder, "policy.toml"):    []byte(policy),
		filepath.Join(sounds, "beep.wav"):       beep(),
	} {
		if err := os.WriteFile(file, content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(folder, "ringfence.toml")
	c, err := conf.LoadDaemon(file)
	if err != nil {
		t.Fatal(err)
	}
	d, err := daemon.Start(t.Context(), c, "e2e", slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := d.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	return d, file
}

// beep is 0.4 s of 425 Hz as a WAV file.
func beep() []byte {
	const samples = 3200
	b := []byte("RIFF\x00\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x40\x1f\x00\x00\x80\x3e\x00\x00\x02\x00\x10\x00data\x00\x19\x00\x00")
	size := uint32(len(b) - 8 + 2*samples)
	b[4], b[5], b[6] = byte(size), byte(size>>8), byte(size>>16)
	for i := range samples {
		v := int16(8000)
		if i*850/8000%2 == 1 {
			v = -8000
		}
		b = append(b, byte(v), byte(uint16(v)>>8))
	}
	return b
}

// WaitAttached waits until the daemon hears the switch's events.
func WaitAttached(t *testing.T, d *daemon.Daemon) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	for {
		s, err := d.Desk().Status(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if len(s.Attached) == 1 && s.Attached[0].Attached {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("not attached: %+v", s.Attached)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// WriteTones gives an installation recordings that are tones.
func WriteTones(t *testing.T, folder string) {
	t.Helper()
	sounds := filepath.Join(folder, "data", "sounds")
	if err := os.MkdirAll(filepath.Join(sounds, "digits"), 0o755); err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for digit := range 10 {
		files[fmt.Sprintf("digits/%d.wav", digit)] = phone.DigitTone(digit)
	}
	for _, name := range []string{"challenge-intro", "challenge-again", "challenge-passed", "challenge-failed"} {
		files[name+".wav"] = phone.WAV(phone.OtherTone, 300*time.Millisecond)
	}
	files["whisper-suspected.wav"] = phone.DigitTone(7) // recognised on the handset
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(sounds, name), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// StatusOf is what `ringfence status` says of a daemon.
func StatusOf(t *testing.T, d *daemon.Daemon) *console.Status {
	t.Helper()
	s, err := d.Desk().Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// RecordsOf counts the calls that a daemon has records of by action and rule, once there are n of them and each call that is over has its
// outcome.
func RecordsOf(t *testing.T, d *daemon.Daemon, n int) (total int, by map[string]int, all []console.Record) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); ; {
		total, by, all = 0, map[string]int{}, nil
		err := d.Desk().Journal(t.Context(), console.Query{}, func(r console.Record) error {
			if r.Callee == "probe" {
				return nil // of waitForCalls
			}
			total += 1 + r.Repeats
			by[r.Action+" by "+r.Rule] += 1 + r.Repeats
			all = append(all, r)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if total >= n || time.Now().After(end) {
			return total, by, all
		}
		<-time.After(100 * time.Millisecond)
	}
}

// RejectAll refuses every call that it sees, and sends elsewhere what has no valid number: nothing but a call
// that is not shown to the daemon reaches a handset.
const RejectAll = `
country = "CN"
[[rule]]
name = "no number"
when = { caller_kind = ["invalid"] }
action = "divert"
to = "3001 XML public"
[[rule]]
name = "all"
action = "reject"
`
