package freeswitch_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"ringfence/bridge"
	"ringfence/bridge/bridgetest"
	"ringfence/e2e/phone"
	"ringfence/e2e/setup"
	"ringfence/e2e/tables"
	"ringfence/eslbridge"
)

// load places calls at a steady rate while something is done to the daemon, and says when the handsets rang.
type load struct {
	mu      sync.Mutex
	rang    []time.Duration
	lost    []string // calls whose handset never rang
	refused int
	torn    int
}

// run places so many calls a second, each held for two seconds, until span is over. Calls of other callers
// come from an ordinary number.
func (l *load) run(ctx context.Context, t *testing.T, handset *phone.Phone, server, prefix string, perSecond int, span time.Duration) {
	caller := phone.New(t)
	caller.Hold = 2 * time.Second
	var wg sync.WaitGroup
	tick := time.NewTicker(time.Second / time.Duration(perSecond))
	defer tick.Stop()
	for i := range int(span.Seconds() * float64(perSecond)) {
		to := fmt.Sprintf("%s%04d", prefix, i)
		wg.Go(func() {
			start := time.Now()
			h, err := caller.Dial(ctx, server, fmt.Sprintf("138%08d", i), "", to)
			in, ok := handset.Invited(to)
			l.mu.Lock()
			defer l.mu.Unlock()
			switch {
			case err == nil && !ok && !strings.HasPrefix(h.Final, "200"):
				l.refused++
				l.lost = append(l.lost, fmt.Sprintf("%s: %s", to, h.Final))
			case !ok:
				l.lost = append(l.lost, fmt.Sprintf("%s: %v", to, err))
			default:
				l.rang = append(l.rang, in.At.Sub(start))
				if h.Torn != 0 {
					l.torn++
				}
			}
		})
		<-tick.C
	}
	wg.Wait()
	slices.Sort(l.rang)
}

func (l *load) row(name string) string {
	n := len(l.rang)
	if n == 0 {
		return fmt.Sprintf("| %s | none of %d calls rang | | |", name, len(l.lost))
	}
	return fmt.Sprintf("| %s | %d of %d | %d ms, %d ms | %d |", name, n, n+len(l.lost), l.rang[n/2].Milliseconds(), l.rang[n-1].Milliseconds(), l.torn)
}

// faulted is a daemon under load behind a real switch, to which things are done.
type faulted struct {
	t       *testing.T
	p       *setup.Process
	handset *phone.Phone
	server  string
	rows    []string
	tried   int
	missed  int // calls that a row may lose
}

// try does something to the daemon while calls come, and holds what became of them against the promise.
func (f *faulted) try(name string, span, bound time.Duration, do func()) {
	f.t.Run(name, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), span+60*time.Second)
		defer cancel()
		f.tried++
		var l load
		done := make(chan bool)
		go func() { defer close(done); <-time.After(time.Second); do() }()
		l.run(ctx, t, f.handset, f.server, fmt.Sprintf("059255%d", f.tried), 20, span)
		<-done
		f.rows = append(f.rows, l.row(name))
		if len(l.lost) > f.missed || l.torn > 0 || l.rang[len(l.rang)-1] > bound {
			t.Errorf("%s\nlost: %v", l.row(name), l.lost)
		}
	})
}

// TestDaemonFaultsReal does to a running daemon what can happen to one, under load and on a real switch: every
// handset rings within the promise, and no call is torn down.
func TestDaemonFaultsReal(t *testing.T) {
	program, err := exec.LookPath("freeswitch")
	if err != nil {
		t.Skip("NOT TESTED: there is no freeswitch on PATH; what a stopped daemon does was tried on the simulated switch only, and docs/measured.md has what the last run on a real one saw")
	}
	events := setup.FreePort(t)
	p := setup.NewProcess(t, t.TempDir(), setup.FreeAddress(t), setup.Policy, fmt.Sprintf("[[attach]]\nkind = \"freeswitch\"\naddress = \"127.0.0.1:%d\"\npassword = %q\n", events, setup.EventPassword))
	handset := phone.New(t)
	server := setup.StartFreeSWITCH(t, program, p.Address, handset.Addr, events, true)
	f := &faulted{t: t, p: p, handset: handset, server: server, rows: []string{"| what is done | handsets that rang | after, at the median and at the most | torn down |", "| --- | --- | --- | --- |"}}
	p.Start(0)
	f.try("nothing", 4*time.Second, time.Second, func() {})
	for _, seconds := range []int{1, 3, 10} {
		stop := time.Duration(seconds) * time.Second
		f.try(fmt.Sprintf("stopped (SIGSTOP) for %d s, then continued", seconds), stop+4*time.Second, setup.Promise, func() {
			p.Cmd.Process.Signal(syscall.SIGSTOP)
			<-time.After(stop)
			p.Cmd.Process.Signal(syscall.SIGCONT)
		})
	}
	t.Run("stopped in an announcement", f.stoppedInAnnouncement)
	sw := attachedSwitch{t, fmt.Sprintf("127.0.0.1:%d", events)}
	f.try("the switch reads its configuration again", 4*time.Second, time.Second, func() { sw.api("reloadxml") })
	// The switch has no application for a moment then, and ends a call that has just passed the dialplan's question
	// whether it has. Seen for one call of several hundred.
	f.missed = 1
	f.try("the switch's event socket is loaded again", 4*time.Second, setup.Promise, func() { sw.api("bgapi reload mod_event_socket") })
	f.missed = 0
	f.try("killed (SIGKILL) and started again", 5*time.Second, setup.Promise, func() { p.Kill(); <-time.After(2 * time.Second); p.Start(0) })
	p.Kill()
	p.Start(24)
	f.try("out of file descriptors", 6*time.Second, setup.Promise, func() {
		var idle []net.Conn
		for range 64 { // more than it may have; the rest waits in the kernel's queue
			if c, err := net.Dial("tcp", p.Address); err == nil {
				idle = append(idle, c)
			}
		}
		<-time.After(3 * time.Second)
		for _, c := range idle {
			c.Close()
		}
	})
	f.disks()
	f.p.Kill()
	t.Run("slow", f.slowPolicy)
	tables.Write(t, "daemon", f.rows)
}

func (f *faulted) stoppedInAnnouncement(t *testing.T) {
	const length = 3100 * time.Millisecond
	sounds := filepath.Join(filepath.Dir(f.p.File), "data", "sounds")
	if err := os.WriteFile(filepath.Join(sounds, "beep.wav"), phone.WAV(phone.OtherTone, 3*time.Second), 0o644); err != nil {
		t.Fatal(err)
	}
	caller := phone.New(t)
	caller.Hold = 8 * time.Second
	go func() {
		<-time.After(time.Second)
		f.p.Cmd.Process.Signal(syscall.SIGSTOP)
		<-time.After(8 * time.Second)
		f.p.Cmd.Process.Signal(syscall.SIGCONT)
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	start := time.Now()
	h, err := caller.Dial(ctx, f.server, "95219998", "", "05925550998")
	in, ok := f.handset.Invited("05925550998")
	if err != nil || !ok || !h.EarlyMedia {
		t.Fatalf("%+v %v, rang %v", h, err, ok)
	}
	late := in.At.Sub(start) - length
	f.rows = append(f.rows, fmt.Sprintf("| stopped (SIGSTOP) for 8 s while a caller hears an announcement of 3.1 s | 1 of 1 | %d ms after the announcement's end | %d |", late.Milliseconds(), map[bool]int{true: 1}[h.Torn != 0]))
	if late > setup.Promise || late < 0 || h.Torn != 0 {
		t.Errorf("rang %v after the announcement, torn down after %v", late, h.Torn)
	}
}

// disks puts the daemon on a disk that is full, and on one that hangs.
func (f *faulted) disks() {
	t := f.t
	f.p.Kill()
	f.try("its disk is full", 4*time.Second, time.Second, func() {
		full := mounted(t, "-t", "tmpfs", "-o", "size=8m", "tmpfs")
		f.p = setup.NewProcess(t, full, f.p.Address, setup.Policy)
		f.p.Start(0)
		if out, err := exec.Command("sh", "-c", `cat /dev/zero > "$0"/zeros`, full).CombinedOutput(); err == nil {
			t.Errorf("the disk did not fill up: %s", out)
		}
	})
	f.p.Kill()
	image := filepath.Join(t.TempDir(), "disk")
	if out, err := exec.Command("sh", "-c", `truncate -s 64M "$0" && mkfs.ext4 -q "$0"`, image).CombinedOutput(); err != nil {
		t.Errorf("no file system to freeze: %v %s", err, out)
	}
	stalled := mounted(t, "-o", "loop", image)
	f.p = setup.NewProcess(t, stalled, f.p.Address, setup.Policy)
	f.p.Start(0)
	f.try("its disk hangs for 5 s (fsfreeze)", 7*time.Second, time.Second, func() {
		if out, err := exec.Command("fsfreeze", "-f", stalled).CombinedOutput(); err != nil {
			t.Errorf("%v %s", err, out)
		}
		<-time.After(5 * time.Second)
		exec.Command("fsfreeze", "-u", stalled).Run()
	})
}

func (f *faulted) slowPolicy(t *testing.T) {
	s, err := eslbridge.NewServer(&bridgetest.Screener{Decide: func(*bridge.Facts) bridge.Verdict {
		<-time.After(5 * time.Second)
		return bridge.Verdict{Action: "reject", Refuse: 603}
	}}, bridge.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := bridge.Listen(t.Context(), f.p.Address)
	if err != nil {
		t.Fatal(err)
	}
	go s.Serve(ln)
	defer func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		s.Shutdown(ctx)
	}()
	f.try("its policy takes 5 s", 4*time.Second, 1200*time.Millisecond, func() {})
}

// mounted is a file system of its own, gone with the test.
func mounted(t *testing.T, args ...string) string {
	t.Helper()
	folder := t.TempDir()
	if out, err := exec.Command("mount", append(args, folder)...).CombinedOutput(); err != nil {
		t.Fatalf("a disk cannot be mounted here (run this as root): %v %s", err, out)
	}
	t.Cleanup(func() { exec.Command("umount", "-l", folder).Run() })
	return folder
}

// attachedSwitch is a switch's event socket, for the few commands that these tests give it.
type attachedSwitch struct {
	t       *testing.T
	address string
}

func (s attachedSwitch) api(command string) {
	c, err := net.Dial("tcp", s.address)
	if err != nil {
		s.t.Error(err)
		return
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	if !strings.HasPrefix(command, "bgapi ") {
		command = "api " + command
	}
	fmt.Fprintf(c, "auth %s\n\n%s\n\n", setup.EventPassword, command)
	for r, replies := bufio.NewReader(c), 0; replies < 3; { // the greeting, and two replies
		line, err := r.ReadString('\n')
		if err != nil {
			return // an event socket that is loaded again ends its connections
		}
		if strings.HasPrefix(line, "Content-Type: ") {
			replies++
		}
	}
}
