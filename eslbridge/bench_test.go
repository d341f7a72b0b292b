package eslbridge

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fiorix/go-eventsocket/eventsocket"

	"ringfence/bridge"
	"ringfence/bridge/bridgetest"
)

// The benchmarks compare whole servers on the same calls: the 6 kB reply of a real switch, connect, a
// decision, exit. The switch's side runs in a process of its own, so that B/op counts the server alone.
//
//	go test ./eslbridge -run - -bench Server -benchtime 20000x
//
// Each pair does the same work: `bare` is connect, decide, exit; `variables` also sets the five variables
// that every screened call gets.
func BenchmarkServer(b *testing.B) {
	decide := func(number string) bool { return strings.HasPrefix(number, "+8695") }
	for _, work := range []struct {
		name      string
		verdict   bridge.Verdict
		variables int
	}{{"bare", bridge.Verdict{}, 0}, {"variables", allow, 5}} {
		b.Run(work.name+"/ringfence", func(b *testing.B) {
			d := &bridgetest.Screener{Decide: func(f *bridge.Facts) bridge.Verdict {
				if decide(f.Number) {
					return bridge.Verdict{Refuse: 603}
				}
				return work.verdict
			}}
			s, addr := serve(b, d, bridge.Options{})
			b.ReportAllocs()
			placeCalls(b, addr, 8)
			if f := s.Counters.FailOpen(); len(f) > 0 {
				b.Errorf("calls failed open: %v", f)
			}
		})
		b.Run(work.name+"/go-eventsocket", func(b *testing.B) {
			addr := goEventsocketServer(b, func(c *eventsocket.Connection) {
				defer c.Close()
				ev, err := c.Send("connect")
				if err != nil {
					return
				}
				if decide(ev.Get("Caller-Caller-Id-Number")) {
					c.Execute("respond", "603 Decline", true)
					return
				}
				for i := range work.variables {
					c.Send("api uuid_setvar " + ev.Get("Unique-Id") + " ringfence_" + strconv.Itoa(i) + " value")
				}
				c.Send("exit")
			})
			b.ReportAllocs()
			placeCalls(b, addr, 8)
		})
	}
}

// BenchmarkAnswer measures how long a call waits for us: from the last byte of the reply to connect until
// our first answer is read, one call at a time.
func BenchmarkAnswer(b *testing.B) {
	_, addr := serve(b, &bridgetest.Screener{}, bridge.Options{})
	placeCalls(b, addr, 1)
}

const switchEnv = "RINGFENCE_TEST_SWITCH"

// placeCalls runs the other process: it places b.N calls, so many at a time, and reports the median time
// from the last byte of its reply to the first byte of the server's next command.
func placeCalls(b *testing.B, addr string, atOnce int) {
	b.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s %d %d", switchEnv, addr, b.N, atOnce))
	cmd.Stderr = os.Stderr
	in, _ := cmd.StdinPipe()
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	lines.Scan() // ready
	b.ResetTimer()
	io.WriteString(in, "go\n")
	lines.Scan()
	b.StopTimer()
	median, err := strconv.ParseFloat(lines.Text(), 64)
	if err != nil {
		b.Fatalf("the switch said %q: %v", lines.Text(), err)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
	b.ReportMetric(median, "µs-to-answer")
	in.Close()
	if err := cmd.Wait(); err != nil {
		b.Fatal(err)
	}
}

func TestMain(m *testing.M) {
	if job := os.Getenv(switchEnv); job != "" {
		if err := benchSwitch(job); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// benchSwitch is the switch's side as cheap as can be: commands are told apart by their ends.
func benchSwitch(job string) error {
	var addr string
	var n, atOnce int
	if _, err := fmt.Sscan(job, &addr, &n, &atOnce); err != nil {
		return err
	}
	raw, err := os.ReadFile(transcripts + "/a1_sync_connect_exit.fs2peer.raw")
	if err != nil {
		return err
	}
	reply := raw[:bytes.Index(raw, []byte("\n\n"))+2]
	fmt.Println("ready")
	bufio.NewReader(os.Stdin).ReadString('\n')

	took := make([]float64, n)
	errs := make(chan error, 1)
	jobs := make(chan int)
	var wg sync.WaitGroup
	for range atOnce {
		wg.Go(func() {
			buf := make([]byte, 64<<10)
			for i := range jobs {
				d, err := benchCall(addr, reply, buf)
				if err != nil {
					select {
					case errs <- err:
					default:
					}
				}
				took[i] = float64(d.Nanoseconds()) / 1000
			}
		})
	}
	for i := range n {
		jobs <- i
	}
	close(jobs)
	wg.Wait()
	slices.Sort(took)
	fmt.Println(took[n/2])
	select {
	case err := <-errs:
		return err
	default:
		return nil
	}
}

func benchCall(addr string, reply, buf []byte) (time.Duration, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	var first time.Duration
	var sent time.Time
	pending := 0
	for {
		n, err := conn.Read(buf[pending:])
		if err != nil {
			return first, fmt.Errorf("the server did not say exit: %w", err)
		}
		if first == 0 && !sent.IsZero() {
			first = time.Since(sent)
		}
		pending += n
		done := 0
		for {
			// Either line end may be used; an empty line ends a command.
			i := bytes.Index(buf[done:pending], []byte("\n\n"))
			if j := bytes.Index(buf[done:pending], []byte("\n\r\n")); j >= 0 && (i < 0 || j < i) {
				i = j + 1
			}
			if i < 0 {
				break
			}
			command := buf[done : done+i+2]
			done += i + 2
			switch command[0] {
			case 'c':
				conn.Write(reply)
				sent = time.Now()
			case 'a':
				io.WriteString(conn, apiOK)
			case 'e':
				io.WriteString(conn, bye+farewell)
				return first, nil
			default:
				return first, fmt.Errorf("unexpected command %q", command)
			}
		}
		pending = copy(buf, buf[done:pending])
	}
}

func BenchmarkReadConnectReply(b *testing.B) {
	raw := transcript(b, "a1_sync_connect_exit.fs2peer.raw")
	src := bytes.NewReader(raw)
	r := NewReader(src, 0)
	var f Frame
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	x := new(request) // a part of the call, as in newCall
	for b.Loop() {
		src.Reset(raw)
		r.reset(src, 0)
		*x = request{}
		if err := r.Stream(&f, x); err != nil || x.UUID == "" {
			b.Fatal(err)
		}
	}
}
