package cmd

import (
	"bytes"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"ringfence/console"
)

// What is said of detectors fits on a terminal, whatever a switch or a policy calls things, and moves no cursor.
func TestDetectorsOnATerminal(t *testing.T) {
	at := time.Date(2026, 11, 29, 14, 2, 0, 0, time.Local)
	b := console.Breaker{
		Detector: "range wakes", Key: "952116", Holder: "firm A", Trunk: "telecom", State: console.BreakerTripped, Since: at, Until: at.Add(24 * time.Hour), Trips: 3,
		Why: "7 strangers in 3h, of 31 from 9521, which trips at 30", Trial: "on trial", Count: 9, Trip: 5, Touched: 42, Would: 1,
	}
	const want = `TRIPPED  range wakes: 952116 (firm A), trunk telecom – on trial: it touches no
         call
         since 2026-11-29 14:02, until 2026-11-30 14:02; tripped 3 times
         7 strangers in 3h, of 31 from 9521, which trips at 30
         counts 9 now, trips at 5; 42 calls touched; 1 call would have been
`
	if got := breakerText(&b, true); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	var out bytes.Buffer
	a := &app{out: &out}
	a.printDetectors(&console.DetectorsStatus{
		Detectors: 3, Tripped: 7, Probing: 1, Pinned: 2, First: []console.Breaker{b}, Unwritten: 4,
		Over:   []console.OverMaxShare{{Trunk: "telecom", Since: at, Touched: 30, Calls: 90, Total: 512}, {Since: at}},
		Trials: []console.TrialStatus{{Detector: "range wakes", Since: at, Calls: 312, Propose: true}, {Since: at, Calls: 1}},
	})
	const status = `detects  3 count; 7 tripped, 1 probing, 2 held by a person
         range wakes: 952116 (firm A), on trial: 7 strangers in 3h, of 31 from
         9521, which trips at 30; until 2026-11-30 14:02
         and 6 more: ` + "`ringfence detectors`" + `
OVER     max_share on the trunk telecom since 2026-11-29 14:02: detectors ONLY
         RECORD there. They touched 30 of the last hour’s 90 calls; 512 calls
         found no room
OVER     max_share on calls without a trunk since 2026-11-29 14:02: detectors
         ONLY RECORD there. They touched 0 of the last hour’s 0 calls; 0 calls
         found no room
trial    range wakes is on trial since 2026-11-29 14:02: would have touched 312
         calls in the last 14 days. Look at them (` + "`ringfence journal tail`" + `),
         then set mode = "enforce" there
trial    the policy observes since 2026-11-29 14:02: would have touched 1 call
         in the last 14 days
         4 breakers will not be on disk
`
	if out.String() != status {
		t.Errorf("got\n%swant\n%s", out.String(), status)
	}
	b.Key, b.Trunk, b.Why = "\x1b[2J"+strings.Repeat("9", 90), "tr\nunk", "\x1b]0;x\a"
	b.State, b.Pinned, b.By = console.BreakerClosed, console.PinShut, "root\r"
	for _, text := range []string{want, status, breakerText(&b, true), breakerText(&b, false)} {
		for line := range strings.Lines(text) {
			line = strings.TrimSuffix(line, "\n")
			if strings.ContainsAny(line, "\x1b\r\a") || utf8.RuneCountInString(line) > 80 && strings.Contains(strings.TrimSpace(line), " ") && !strings.Contains(line, "999") {
				t.Errorf("%q", line)
			}
		}
	}
}
