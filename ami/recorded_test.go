package ami

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ringfence/attach"
)

// recordings are sessions with a real Asterisk, one call each: the bytes that it sent, from the greeting on, with
// timestampevents = yes in manager.conf. testdata/README.md says what was done.
func recordings(t testing.TB) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/[0-9]*/*.raw")
	if err != nil || len(files) < 40 {
		t.Fatalf("%d recordings (%v)", len(files), err)
	}
	return files
}

// stream is a connection that has its bytes already and takes all that is written.
type stream struct {
	net.Conn
	io.Reader
	wrote bytes.Buffer
}

func (s *stream) Read(p []byte) (int, error)       { return s.Reader.Read(p) }
func (s *stream) Write(p []byte) (int, error)      { return s.wrote.Write(p) }
func (s *stream) SetReadDeadline(time.Time) error  { return nil }
func (s *stream) SetWriteDeadline(time.Time) error { return nil }
func (s *stream) Close() error                     { return nil }

// replay gives a session's bytes to a client, in pieces, and returns the ends that it learnt. m may know of calls before.
func replay(t testing.TB, m *Manager, raw []byte, piece int) ([]attach.CallEnd, *attach.Client) {
	t.Helper()
	ends := make(chan attach.CallEnd, 1000)
	conn := &stream{Reader: &pieces{raw, piece}}
	dialled := false
	ctx, cancel := context.WithCancel(t.Context())
	a := attach.New(attach.Options{Name: "pbx1", Log: slog.New(slog.DiscardHandler), Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		if !dialled {
			dialled = true
			return conn, nil
		}
		cancel()
		<-ctx.Done()
		return nil, ctx.Err()
	}, RetryMin: 1, RetryMax: 1, RetryRefused: 1}, m, func(e attach.CallEnd) { ends <- e })
	a.Run(ctx)
	close(ends)
	var all []attach.CallEnd
	for e := range ends {
		all = append(all, e)
	}
	return all, a
}

// pieces is a text that comes a few bytes at a time.
type pieces struct {
	rest []byte
	size int
}

func (r *pieces) Read(p []byte) (int, error) {
	if len(r.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), r.size)], r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// summary is what became of a leg, in short.
func summary(e *attach.CallEnd) string {
	var s strings.Builder
	side := "placed"
	if e.Inbound {
		side = "in"
	}
	fmt.Fprintf(&s, "%s %s: %s by %s,", side, e.Endpoint, e.Cause, e.By)
	if e.Answered {
		s.WriteString(" answered")
	}
	if e.Bridged {
		s.WriteString(" bridged")
	}
	round := func(d time.Duration) time.Duration { return d.Round(100 * time.Millisecond) }
	fmt.Fprintf(&s, " ring %v talk %v", round(e.Ring), round(e.Talk))
	return s.String()
}

// summaries gives the summaries of ends by leg: the caller's first, then in the order in which they began.
func summaries(ends []attach.CallEnd) string {
	slices.SortStableFunc(ends, func(a, b attach.CallEnd) int {
		if a.Inbound != b.Inbound {
			return map[bool]int{true: -1, false: 1}[a.Inbound]
		}
		return strings.Compare(a.Channel, b.Channel)
	})
	var all []string
	for _, e := range ends {
		all = append(all, summary(&e))
	}
	return strings.Join(all, "\n")
}

// What became of calls whose course is known, on Asterisk 16 and 22 the same, however the stream is cut.
func TestRecordedEnds(t *testing.T) {
	const talked = " answered bridged ring 300ms talk 500ms"
	want := map[string]string{
		"caller-hangs-up":  "in telecom: NORMAL_CLEARING by caller," + talked + "\nplaced handset: NORMAL_CLEARING by caller," + talked,
		"callee-hangs-up":  "in telecom: NORMAL_CLEARING by callee, answered bridged ring 300ms talk 400ms\nplaced handset: NORMAL_CLEARING by callee, answered bridged ring 300ms talk 400ms",
		"withheld":         "in telecom: NORMAL_CLEARING by caller," + talked + "\nplaced handset: NORMAL_CLEARING by caller," + talked,
		"guard":            "in telecom: NORMAL_CLEARING by caller," + talked + "\nplaced handset: NORMAL_CLEARING by caller," + talked,
		"from-a-phone":     "in 8001: NORMAL_CLEARING by caller," + talked + "\nplaced telecom: NORMAL_CLEARING by caller," + talked,
		"local-channel":    "in telecom: NORMAL_CLEARING by caller," + talked + "\nplaced handset: NORMAL_CLEARING by caller," + talked,
		"cancelled":        "in telecom: ORIGINATOR_CANCEL by caller, ring 800ms talk 0s\nplaced handset: ORIGINATOR_CANCEL by caller, ring 800ms talk 0s",
		"busy":             "in telecom: USER_BUSY by callee, ring 0s talk 0s\nplaced handset: USER_BUSY by callee, ring 0s talk 0s",
		"declined":         "in telecom: CALL_REJECTED by callee, ring 0s talk 0s\nplaced handset: CALL_REJECTED by callee, ring 0s talk 0s",
		"no-answer":        "in telecom: NO_ANSWER by switch, ring 1s talk 0s\nplaced handset: NO_ANSWER by switch, ring 1s talk 0s",
		"answered-in-vain": "in telecom: NO_ANSWER by switch, ring 1s talk 0s\nplaced handset: NO_ANSWER by switch, ring 1s talk 0s",
		"mailbox":          "in telecom: NORMAL_CLEARING by caller, answered ring 1s talk 500ms\nplaced handset: NO_ANSWER by switch, ring 1s talk 0s",
		"menu":             "in telecom: NORMAL_CLEARING by caller, answered ring 0s talk 500ms",
		// Two phones ring; the second answers.
		"group": "in telecom: NORMAL_CLEARING by caller, answered bridged ring 500ms talk 500ms\n" +
			"placed 8001: NORMAL_CLEARING by caller, answered bridged ring 500ms talk 500ms\nplaced handset: LOSE_RACE by switch, ring 500ms talk 0s",
		"group-one-busy": "in telecom: NORMAL_CLEARING by caller, answered bridged ring 500ms talk 500ms\n" +
			"placed 8001: NORMAL_CLEARING by caller, answered bridged ring 500ms talk 500ms\nplaced handset: USER_BUSY by callee, ring 0s talk 0s",
		// The daemon knows that these were its own doing.
		"rejected":                "in telecom: NORMAL_CLEARING by switch, ring 0s talk 0s",
		"warned-off":              "in telecom: NORMAL_CLEARING by switch, ring 0s talk 0s",
		"warned-off-after-answer": "in telecom: NORMAL_CLEARING by switch, answered ring 0s talk 900ms",
		"challenged":              "in telecom: NORMAL_CLEARING by caller, answered ring 0s talk 500ms", // who hung up on the question
		// A caller wrote lines. What is left of the events is taken, or nothing is.
		"line-end-in-number":       "in telecom: NORMAL_CLEARING by caller," + talked + "\nplaced handset: NORMAL_CLEARING by caller," + talked,
		"line-end-in-callee":       "in telecom: NORMAL_CIRCUIT_CONGESTION by switch, ring 0s talk 0s",
		"line-end-in-callee-whole": "",
	}
	seen := map[string]int{}
	for _, file := range recordings(t) {
		name := strings.TrimSuffix(filepath.Base(file), ".raw")
		seen[name]++
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, piece := range []int{1 << 20, 1000, 7} {
			ends, a := replay(t, &Manager{}, raw, piece)
			if got := summaries(ends); got != want[name] {
				t.Errorf("%s, %d bytes at a time:\n%s\nwant\n%s", file, piece, got, want[name])
			}
			c := &a.Counters
			if odd := c.Unreadable.Load() + c.UnknownFrames.Load(); (odd > 0) != strings.HasPrefix(name, "line-end") || c.Forgotten.Load()+c.NoRoom.Load() > 0 {
				t.Errorf("%s: %+v", file, c)
			}
			for _, e := range ends {
				if e.Switch != "pbx1" || e.Started.Year() < 2026 || e.Ended.Before(e.Started) || e.Ended.Sub(e.Started) < e.Ring+e.Talk || e.Guard != (name == "guard" && e.Inbound) {
					t.Errorf("%s: %+v", file, e)
				}
				if screened := e.Inbound && name != "from-a-phone" && name != "guard"; (e.RingfenceID != "") != screened {
					t.Errorf("%s: %s has the journal's id %q", file, e.Channel, e.RingfenceID)
				}
			}
		}
	}
	for name := range want {
		if seen[name] != 2 {
			t.Errorf("%s was recorded %d times, want once on each Asterisk", name, seen[name])
		}
	}
}

// Who is who on both legs.
func TestRecordedParties(t *testing.T) {
	for name, want := range map[string][2]attach.CallEnd{
		"16/caller-hangs-up": {
			{
				Inbound: true, Channel: "PJSIP/telecom-00000000", OtherChannel: "PJSIP/handset-00000001", Context: "from-telecom", Home: "from-telecom", FromContext: "from-telecom", Endpoint: "telecom", FromEndpoint: "telecom",
				Caller: "13800138000", CallerName: "Name", Callee: "05925550100", ReqUser: "05925550100", OtherCaller: "13800138000", OtherCallee: "05925550100",
			},
			{
				Channel: "PJSIP/handset-00000001", OtherChannel: "PJSIP/telecom-00000000", Context: "from-handset", Home: "from-handset", FromContext: "from-telecom", Endpoint: "handset", FromEndpoint: "telecom", DialledUser: "handset",
				Caller: "13800138000", Callee: "05925550100", OtherCaller: "13800138000", OtherCallee: "05925550100",
			},
		},
		"22/from-a-phone": {
			{
				Inbound: true, Channel: "PJSIP/8001-0000001d", OtherChannel: "PJSIP/telecom-0000001e", Context: "from-phones", Home: "from-phones", FromContext: "from-phones", Endpoint: "8001", FromEndpoint: "8001",
				Caller: "8001", CallerName: "Name", Callee: "13800138999", ReqUser: "13800138999", OtherCaller: "8001", OtherCallee: "13800138999",
			},
			{
				Channel: "PJSIP/telecom-0000001e", OtherChannel: "PJSIP/8001-0000001d", Context: "from-telecom", Home: "from-telecom", FromContext: "from-phones", Endpoint: "telecom", FromEndpoint: "8001", DialledUser: "telecom",
				Caller: "8001", Callee: "13800138999", OtherCaller: "8001", OtherCallee: "13800138999",
			},
		},
	} {
		raw, err := os.ReadFile("testdata/" + name + ".raw")
		if err != nil {
			t.Fatal(err)
		}
		ends, _ := replay(t, &Manager{}, raw, 1<<20)
		if len(ends) != 2 {
			t.Fatalf("%s: %d legs", name, len(ends))
		}
		summaries(ends)
		if ends[0].UUID != ends[1].OtherUUID || ends[1].UUID != ends[0].OtherUUID || ends[0].UUID == ends[1].UUID {
			t.Errorf("%s: %s with %s, and %s with %s", name, ends[0].UUID, ends[0].OtherUUID, ends[1].UUID, ends[1].OtherUUID)
		}
		for i, e := range ends {
			e.UUID, e.OtherUUID, e.RingfenceID, e.Switch, e.Started, e.Ended, e.Ring, e.Talk, e.Cause, e.By, e.Answered, e.Bridged = "", "", "", "", time.Time{}, time.Time{}, 0, 0, "", "", false, false
			if e != want[i] {
				t.Errorf("%s:\n%+v, want\n%+v", name, e, want[i])
			}
		}
	}
}

// blocks cuts a recording behind its login, and the rest into its blocks.
func blocks(t testing.TB, raw []byte) (login []byte, rest [][]byte) {
	t.Helper()
	all := bytes.SplitAfter(raw, []byte("\r\n\r\n"))
	if len(all) < 3 || !bytes.Contains(all[1], []byte("Authentication accepted")) {
		t.Fatalf("%.200q", raw)
	}
	return append(bytes.Clone(all[0]), all[1]...), all[2:]
}

// has is how many of the blocks begin so.
func has(blocks [][]byte, begin string) (n int) {
	for _, b := range blocks {
		if bytes.HasPrefix(b, []byte(begin)) {
			n++
		}
	}
	return n
}

// Wherever in a call the connection breaks, or the daemon is started again, the caller's leg ends with the journal's
// id, and who hung up in a talk is known. What was missed meanwhile is not made up.
func TestConnectionBreaks(t *testing.T) {
	for _, file := range []string{"16/caller-hangs-up", "16/callee-hangs-up", "22/caller-hangs-up", "22/callee-hangs-up"} {
		raw, err := os.ReadFile("testdata/" + file + ".raw")
		if err != nil {
			t.Fatal(err)
		}
		login, events := blocks(t, raw)
		joined := func(from, to int) []byte {
			return append(bytes.Clone(login), bytes.Join(events[from:to], nil)...)
		}
		by := strings.TrimSuffix(filepath.Base(file), "-hangs-up")
		for i := range events {
			if has(events[:i], "Event: Hangup\r\n") > 0 {
				break // a leg has ended
			}
			kept := &Manager{}
			for what, m := range map[string]*Manager{"the connection broke": kept, "started again": {}} {
				if m == kept {
					if ends, _ := replay(t, m, joined(0, i), 1<<20); len(ends) > 0 {
						t.Fatalf("%s: ended before the end", file)
					}
				}
				ends, _ := replay(t, m, joined(i, len(events)), 1<<20)
				summaries(ends)
				if len(ends) != 2 || !ends[0].Inbound || ends[1].Inbound || ends[0].RingfenceID == "" || !ends[0].Answered || ends[0].Callee != "05925550100" {
					t.Errorf("%s, %s at %d: %+v", file, what, i, ends)
					continue
				}
				requested, left := has(events[i:], "Event: HangupRequest") > 0, has(events[i:], "Event: BridgeLeave")
				if want := map[bool]string{true: by}[requested || m == kept]; ends[0].By != want {
					t.Errorf("%s, %s at %d: by %q, want %q", file, what, i, ends[0].By, want)
				}
				if linked := ends[1].OtherUUID == ends[0].UUID; !linked && (left == 2 || m == kept) {
					t.Errorf("%s, %s at %d: the handset's leg is of no call", file, what, i)
				}
				if left == 2 && !ends[0].Bridged {
					t.Errorf("%s, %s at %d: not bridged", file, what, i)
				}
				if ends[0].Talk < 300*time.Millisecond || ends[0].Talk > 2*time.Second { // at most from its first second
					t.Errorf("%s, %s at %d: talked %v", file, what, i, ends[0].Talk)
				}
				if len(m.legs.byName)+len(m.legs.byUUID)+len(m.legs.bridges) != 0 {
					t.Errorf("%s, %s at %d: left behind: %+v", file, what, i, m.legs)
				}
			}
		}
	}
}
