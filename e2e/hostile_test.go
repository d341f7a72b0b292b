package e2e_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ringfence/console"
	"ringfence/e2e/phone"
	"ringfence/e2e/setup"
	"ringfence/e2e/sip"
	"ringfence/number"
	"ringfence/policy"
	"ringfence/standin"
)

// hostilePolicy puts callers' texts wherever a policy can put them.
const hostilePolicy = `
country = "CN"
timezone = "Asia/Shanghai"
[trunks.carrier]
match = ["profile:external", "profile:internal"]
identity = ["pai", "from"]
[[rule]]
name = "by name"
when = { caller_name = ["system|\\$"] }
action = "tag"
label = "odd"
whisper = "whisper-suspected"
[[rule]]
name = "invalid"
when = { caller_kind = ["invalid", "anonymous"] }
action = "tag"
label = "??"
[[rule]]
name = "all others"
action = "tag"
label = "外呼"
`

// hostileText draws a text that somebody could try: shell commands in variables, line ends, everything that
// FreeSWITCH's parsers split at, broken UTF-8. mark names the file that a command would create.
func hostileText(r *rand.Rand, mark string) string {
	parts := []string{
		"${system(touch " + mark + ")}", "$${system(touch " + mark + ")}", `\${system(touch ` + mark + `)}`, "${bgsystem touch " + mark + "}",
		"${caller_id_name}", "${ringfence_reason}", "${", "}", "$", "{", "\n", "\r\n", "\n\n", "\nContent-Type: command/reply\nReply-Text: +OK\n\n",
		"\r\n\r\nINVITE sip:x SIP/2.0\r\n", "|", ",", ";", "^^", "^^:", "[", "]", "<", ">", "\"", "'", "`touch " + mark + "`", "$(touch " + mark + ")", "\\", "\\n", "%0A", "%0d%0a", "%24%7b",
		"%", "%%", "\t", "\x01", "\x7f", "\xe9", "\xff\xfe", "\xc3", "张三", "\u202e", "\u2028", "é", "a", "Li Wei", " ", "  ", "0592", "95588", "@", ":", "&", "=", "!", "exit\n\n", "api system touch " + mark + "\n\n",
		strings.Repeat("A", 300), strings.Repeat("${", 50),
	}
	var b strings.Builder
	for range 1 + r.IntN(6) {
		b.WriteString(parts[r.IntN(len(parts))])
	}
	return b.String()
}

// tap stands between switch and daemon and keeps what both say, by the journal's id of the call.
type tap struct {
	mu    sync.Mutex
	calls map[string]tapped
}

type tapped struct{ name, number string } // as the switch delivered them, decoded once, by other code than ours

// startTap listens for the switch.
func startTap(t *testing.T, daemon string) (*tap, string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	p := &tap{calls: make(map[string]tapped)}
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go p.serve(c, daemon)
		}
	}()
	return p, ln.Addr().String()
}

func (p *tap) serve(sw net.Conn, daemon string) {
	defer sw.Close()
	d, err := net.Dial("tcp", daemon)
	if err != nil {
		return
	}
	defer d.Close()
	var said, heard bytes.Buffer
	done := make(chan bool)
	go func() { defer close(done); io.Copy(sw, io.TeeReader(d, &said)); sw.(*net.TCPConn).CloseWrite() }()
	io.Copy(d, io.TeeReader(sw, &heard))
	d.(*net.TCPConn).CloseWrite()
	<-done
	id := ""
	for line := range strings.Lines(said.String()) {
		if _, v, ok := strings.Cut(line, "ringfence_id="); ok {
			id, _, _ = strings.Cut(strings.TrimSpace(v), ";")
		}
	}
	var call tapped
	head, _, _ := strings.Cut(heard.String(), "\n\n")
	for sc := bufio.NewScanner(strings.NewReader(head)); sc.Scan(); {
		name, value, _ := strings.Cut(sc.Text(), ": ")
		decoded, err := url.PathUnescape(value)
		if err != nil {
			decoded = unescapeLoosely(value)
		}
		switch name {
		case "Caller-Caller-ID-Name":
			call.name = decoded
		case "Caller-Caller-ID-Number":
			call.number = decoded
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls[id] = call
}

// unescapeLoosely undoes each %XX that is one; others stay.
func unescapeLoosely(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
				b.WriteByte(byte(n))
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// hostileCalls is how many hostile callers the tests send; RINGFENCE_HOSTILE sets another number.
func hostileCalls(usual int) int {
	if n, err := strconv.Atoi(os.Getenv("RINGFENCE_HOSTILE")); err == nil {
		return n
	}
	if testing.Short() {
		return usual / 10
	}
	return usual
}

// runHostile places calls of hostile callers and holds every record against what the switch delivered.
func runHostile(t *testing.T, n int, mark string, startSwitch func(screen string) func(ctx context.Context, i int, number, name string) error) {
	d, _ := setup.StartDaemonWith(t, hostilePolicy)
	p, address := startTap(t, d.Address())
	place := startSwitch(address)
	records, stop := d.Desk().Watch()
	defer stop()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 2))
	type job struct {
		i            int
		number, name string
	}
	jobs := make(chan job)
	var failed atomic.Int32
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for j := range jobs {
				ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
				if err := place(ctx, j.i, j.number, j.name); err != nil {
					failed.Add(1)
					t.Errorf("call %d of %q %q: %v", j.i, j.number, j.name, err)
				}
				cancel()
			}
		})
	}
	var got []console.Record
	collected := make(chan bool)
	go func() {
		defer close(collected)
		for rec := range records {
			if got = append(got, rec); len(got) == n {
				return
			}
		}
	}()
	for i := range n {
		if failed.Load() > 20 {
			break // a switch that is gone costs 30 s a call
		}
		j := job{i: i, number: "95211613", name: hostileText(r, mark)}
		if r.IntN(2) == 0 {
			j.number = hostileText(r, mark)
		}
		jobs <- j
	}
	close(jobs)
	wg.Wait()
	select {
	case <-collected:
	case <-time.After(30 * time.Second):
		t.Fatalf("of %d calls %d were recorded", n, len(got))
	}
	for _, rec := range got {
		p.mu.Lock()
		call, ok := p.calls[rec.ID]
		p.mu.Unlock()
		const most = 256 // what a record keeps of a text
		if !ok || !strings.HasPrefix(call.name, rec.Name) || len(rec.Name) < min(len(call.name), most-4) || !strings.HasPrefix(call.number, rec.Caller.Raw) || len(rec.Caller.Raw) < min(len(call.number), most-4) {
			t.Errorf("the journal has %q %q, the switch delivered %q %q (known: %v)", rec.Caller.Raw, rec.Name, call.number, call.name, ok)
		}
		// A machine that is too busy lets calls through by the deadline; what a caller wrote must not.
		if rec.Rule == policy.RuleFailOpen && !strings.Contains(rec.Reason, "within the deadline") {
			t.Errorf("%q %q failed open: %s", rec.Caller.Raw, rec.Name, rec.Reason)
		}
		if number.InertUpTo(rec.Reason, 1000) != rec.Reason {
			t.Errorf("the reason is not inert: %q", rec.Reason)
		}
	}
	if _, err := os.Stat(mark); err == nil {
		t.Error("a caller's text was run as a shell command")
	}
}

// Whatever callers call themselves, nothing of it is expanded, splits a frame or stays armed in a variable, and the
// journal has it as it came. The oracle is the stand-in's model of the switch's expansion.
func TestHostileSimulated(t *testing.T) {
	for mode, async := range map[string]bool{"sync": false, "async": true} {
		t.Run(mode, func(t *testing.T) {
			mark := filepath.Join(t.TempDir(), "executed")
			runHostile(t, hostileCalls(2000), mark, func(screen string) func(context.Context, int, string, string) error {
				sw := &standin.Switch{Address: screen, Speed: 100}
				return func(ctx context.Context, i int, number, name string) error {
					r, err := sw.Place(ctx, standin.Call{From: sip.InUser(number), Display: sip.InDisplay(name), To: "05925550100", Async: async, Resume: async})
					if err == nil && (len(r.Expanded) > 0 || len(r.Armed) > 0 || len(r.ProtocolErrors) > 0 || r.Stuck || !r.Rang) {
						err = fmt.Errorf("expanded %q, armed %q, protocol %q, stuck %v, rang %v", r.Expanded, r.Armed, r.ProtocolErrors, r.Stuck, r.Rang)
					}
					return err
				}
			})
		})
	}
}

func TestHostileReal(t *testing.T) {
	program, err := exec.LookPath("freeswitch")
	if err != nil {
		t.Skip("NOT TESTED: there is no freeswitch on PATH; hostile callers called the simulated switch only")
	}
	mark := filepath.Join(t.TempDir(), "executed")
	runHostile(t, hostileCalls(500), mark, func(screen string) func(context.Context, int, string, string) error {
		handset := phone.New(t)
		server := setup.StartFreeSWITCH(t, program, screen, handset.Addr, setup.FreePort(t), true)
		caller := phone.New(t)
		return func(ctx context.Context, i int, number, name string) error {
			to := fmt.Sprintf("0592%07d", i)
			h, err := caller.Dial(ctx, server, sip.InUser(number), `"`+sip.InDisplay(name)+`"`, to)
			if _, rang := handset.Invited(to); err != nil || rang {
				return err
			}
			// The switch itself cannot write some numbers into an INVITE. Then the call fails without us as well.
			if _, err := caller.Dial(ctx, server, sip.InUser(number), `"`+sip.InDisplay(name)+`"`, "unscreened-"+to); err != nil {
				return err
			}
			if _, rang := handset.Invited(to); rang {
				return fmt.Errorf("the handset rings without screening only: %+v", h)
			}
			return nil
		}
	})
}
