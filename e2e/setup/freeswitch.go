package setup

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"ringfence/dialplan"
	"ringfence/e2e/asterisk"
	"ringfence/e2e/phone"
	"ringfence/e2e/tables"
	"ringfence/eslbridge"
	"ringfence/number"
)

// EventPassword is that of the event socket of a switch under test.
const EventPassword = "for this test alone"

// before are extensions in front of the kit's, which would have an installation complain: what a call gets where nothing is
// screened, and what the question gets whether the switch takes calls.
const before = `<include>
  <extension name="unscreened">
    <condition field="destination_number" expression="^unscreened-(\d+)$">
      <action application="bridge" data="sofia/external/$1@HANDSET"/>
    </condition>
  </extension>
  <extension name="probe">
    <condition field="destination_number" expression="^probe$">
      <action application="hangup" data="NORMAL_CLEARING"/>
    </condition>
  </extension>
</include>
`

// handsetExtension stands behind the kit's extensions and bridges every number to the handset.
const handsetExtension = `<include>
  <extension name="handset">
    <condition field="destination_number" expression="^(\d+)$">
      <!-- Somebody's dialplan that mentions what we have set: a text that is not inert would be expanded here. -->
      <action application="set" data="seen=${ringfence_rule} ${ringfence_reason} ${effective_caller_id_name} ${effective_caller_id_number}"/>
      <action application="set" data="seen_again=${seen}"/>
      <action application="bridge" data="sofia/external/$1@%s"/>
    </condition>
  </extension>
</include>
`

// contextFile is a context of the dialplan, whose files stand in a folder of its name.
const contextFile = `<include>
  <context name="%s">
    <X-PRE-PROCESS cmd="include" data="%[1]s/*.xml"/>
  </context>
</include>
`

// switchFile is all else of the switch: the port and password of its event socket, and its SIP port.
const switchFile = `<?xml version="1.0"?>
<document type="freeswitch/xml">
  <section name="configuration">
    <configuration name="switch.conf"><settings>
      <param name="rtp-start-port" value="31000"/><param name="rtp-end-port" value="32000"/>
      <param name="max-sessions" value="2000"/><param name="sessions-per-second" value="400"/>
    </settings>
    <X-PRE-PROCESS cmd="include" data="switch/*.xml"/>
    </configuration>
    <configuration name="modules.conf"><modules>
      <load module="mod_logfile"/><load module="mod_event_socket"/><load module="mod_commands"/><load module="mod_dptools"/>
      <load module="mod_dialplan_xml"/><load module="mod_sndfile"/><load module="mod_sofia"/>
      <load module="mod_loopback"/>
    </modules></configuration>
    <configuration name="event_socket.conf"><settings>
      <param name="listen-ip" value="127.0.0.1"/><param name="listen-port" value="%d"/><param name="password" value="%s"/>
    </settings></configuration>
    <configuration name="acl.conf"><network-lists/></configuration>
    <configuration name="timezones.conf"><timezones><zone name="UTC" value="UTC0"/></timezones></configuration>
    <configuration name="sofia.conf"><global_settings/><profiles><profile name="external"><gateways/><settings>
      <param name="context" value="public"/><param name="dialplan" value="XML"/>
      <param name="sip-ip" value="127.0.0.1"/><param name="sip-port" value="%d"/>
      <param name="rtp-ip" value="127.0.0.1"/><param name="ext-sip-ip" value="127.0.0.1"/><param name="ext-rtp-ip" value="127.0.0.1"/>
      <param name="auth-calls" value="false"/><param name="manage-presence" value="false"/>
      <param name="inbound-codec-prefs" value="PCMU"/><param name="outbound-codec-prefs" value="PCMU"/>
      <param name="local-network-acl" value="loopback.auto"/><param name="rtp-timer-name" value="soft"/><param name="enable-timer" value="false"/>
    </settings></profile></profiles></configuration>
  </section>
  <section name="dialplan">
    <X-PRE-PROCESS cmd="include" data="dialplan/*.xml"/>
  </section>
  <section name="directory">
    <X-PRE-PROCESS cmd="include" data="directory/*.xml"/>
    <domain name="127.0.0.1"/>
  </section>
</document>
`

// StartFreeSWITCH runs a switch of its own on loopback, with the dialplan kit as it is installed and, in each
// context, an extension behind it that bridges every number to the handset. It returns the switch's SIP address.
func StartFreeSWITCH(t testing.TB, program, screen, handset string, events int, async bool) string {
	t.Helper()
	return StartFreeSWITCHWith(t, program, screen, handset, events, async, nil)
}

// StartFreeSWITCHWith is StartFreeSWITCH with a change to the installed files, whose folder it is told.
func StartFreeSWITCHWith(t testing.TB, program, screen, handset string, events int, async bool, change func(conf string) error) string {
	t.Helper()
	oneAtATime(t)
	folder := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		file := filepath.Join(folder, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	for _, context := range []string{"public", "default"} {
		write("conf/dialplan/"+context+"/00_handset.xml", fmt.Sprintf(handsetExtension, handset))
		write("conf/dialplan/"+context+".xml", fmt.Sprintf(contextFile, context))
	}
	configure := func(sip int) {
		write("conf/freeswitch.xml", fmt.Sprintf(switchFile, events, EventPassword, sip))
	}
	configure(0)
	if err := installKit(filepath.Join(folder, "conf"), dialplan.Settings{Screen: screen, Sync: !async, Star: dialplan.DefaultStar, Release: dialplan.DefaultRelease, LearnDialled: true}); err != nil {
		t.Fatal(err)
	}
	write("conf/dialplan/public/0000_before.xml", strings.ReplaceAll(before, "HANDSET", handset))
	write("conf/dialplan/public/0000_out.xml", strings.NewReplacer("HANDSET", handset, "SCREEN", screen).Replace(outRoutes))
	if change != nil {
		if err := change(filepath.Join(folder, "conf")); err != nil {
			t.Fatal(err)
		}
	}
	args := []string{"-nf", "-nc", "-nonat", "-np", "-conf", filepath.Join(folder, "conf")}
	for _, what := range []string{"log", "db", "run", "certs", "temp", "storage", "cache", "recordings", "scripts", "htdocs", "grammar", "sounds"} {
		dir := filepath.Join(folder, what)
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		args = append(args, "-"+what, dir)
	}
	for range 3 { // a port that was free may be somebody's a moment later
		sip := FreePort(t)
		configure(sip)
		address := fmt.Sprintf("127.0.0.1:%d", sip)
		if runSwitch(t, folder, address, exec.Command(program, args...)) {
			waitForCalls(t, address)
			return address
		}
	}
	t.Fatal("the switch did not answer on its SIP port, three times")
	return ""
}

// FreeSWITCHes of all packages of tests, which `go test` runs beside each other, take their ports for audio from one range,
// and tests measure delays: there is one at a time. Tests of one package may run several.
var running struct {
	sync.Mutex
	n    int
	lock *os.File
}

// oneAtATime waits until no other package's test runs a FreeSWITCH, and keeps others from it until the test ends.
func oneAtATime(t testing.TB) {
	t.Helper()
	running.Lock()
	defer running.Unlock()
	if running.n == 0 {
		root, err := tables.Root()
		if err == nil {
			err = os.MkdirAll(filepath.Join(root, "build"), 0o755)
		}
		if err == nil {
			running.lock, err = os.Create(filepath.Join(root, "build", "freeswitch.lock"))
		}
		if err == nil {
			err = syscall.Flock(int(running.lock.Fd()), syscall.LOCK_EX)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	running.n++
	t.Cleanup(func() {
		running.Lock()
		defer running.Unlock()
		if running.n--; running.n == 0 {
			running.lock.Close() // and with it the lock
		}
	})
}

// runSwitch runs a switch until the test ends, and reports whether it answers.
func runSwitch(t testing.TB, folder, address string, cmd *exec.Cmd) bool {
	t.Helper()
	log, err := os.Create(filepath.Join(folder, "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan bool)
	go func() { defer close(ended); cmd.Wait() }()
	stop := sync.OnceFunc(func() { cmd.Process.Kill(); <-ended })
	t.Cleanup(func() {
		stop()
		if t.Failed() {
			text, _ := os.ReadFile(filepath.Join(folder, "log", "freeswitch.log"))
			t.Logf("the switch said:\n%.4000s", text)
		}
	})
	if answersSIP(t, address, ended) {
		return true
	}
	stop()
	return false
}

// installKit installs the dialplan kit for China, and fails if anything is in its way.
func installKit(folder string, s dialplan.Settings) error {
	plan, err := number.NewPlan(number.PlanOptions{Country: "CN"})
	if err != nil {
		return err
	}
	numbers := plan.EmergencyNumbers()
	changes, err := dialplan.Install(folder, s, dialplan.Emergency{Numbers: numbers, Expression: plan.EmergencyExpression(numbers)}, false)
	for _, c := range changes {
		if c.Did != dialplan.Written {
			err = errors.Join(err, fmt.Errorf("%s: %s", c.File, c.Did))
		}
	}
	for _, n := range dialplan.Look(folder, s) {
		if n.Level != dialplan.Know {
			err = errors.Join(err, errors.New(n.Text))
		}
	}
	return err
}

// answersSIP asks until the switch answers, for 30 s.
func answersSIP(t testing.TB, address string, ended <-chan bool) bool {
	t.Helper()
	conn, err := net.Dial("udp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); {
		fmt.Fprintf(conn, "OPTIONS sip:x@%s SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bK%d\r\nMax-Forwards: 70\r\nFrom: <sip:e2e@127.0.0.1>;tag=1\r\nTo: <sip:x@%s>\r\nCall-ID: %d\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n",
			address, conn.LocalAddr(), time.Now().UnixNano(), address, time.Now().UnixNano())
		conn.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
		b := make([]byte, 4096)
		if n, err := conn.Read(b); err == nil && strings.HasPrefix(string(b[:n]), "SIP/2.0 200") {
			return true
		}
		select {
		case <-ended:
			return false
		case <-tick.C: // nobody on the port yet makes reading fail at once
		}
	}
	return false
}

// waitForCalls places calls that ring nowhere until the switch says so: at first it says that it takes
// no calls at all.
func waitForCalls(t testing.TB, address string) {
	t.Helper()
	p := phone.New(t)
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	for {
		h, err := p.Dial(ctx, address, "probe", "", "probe")
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(h.Final, "503") {
			return
		}
		<-time.After(100 * time.Millisecond)
	}
}

// FreePort is a port of loopback that nobody has, for UDP or TCP. A switch that finds its event socket's port taken
// screens no call.
func FreePort(t testing.TB) int {
	t.Helper()
	port, err := asterisk.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// outRoutes are extensions for calls that go out: one that the attached switch's events tell of, and one that tells
// the daemon itself, as where nothing is attached.
const outRoutes = `<include>
  <extension name="out">
    <condition field="destination_number" expression="^out(\d+)$">
      <action application="bridge" data="sofia/external/$1@HANDSET"/>
    </condition>
  </extension>
  <extension name="out, told">
    <condition field="destination_number" expression="^tell(\d+)$">
      <action application="set" data="ringfence_intent=dialled"/>
      <action application="set" data="ringfence_line=$1"/>
      <action application="set" data="socket_resume=true"/>
      <action application="socket" data="SCREEN async full"/>
      <action application="unset" data="socket_resume"/>
      <action application="bridge" data="sofia/external/$1@HANDSET"/>
    </condition>
  </extension>
</include>
`

// DialSwitch goes to the event socket of a switch under test.
func DialSwitch(t *testing.T, port int) *eslbridge.Client {
	t.Helper()
	sw, err := eslbridge.Dial(t.Context(), fmt.Sprintf("127.0.0.1:%d", port), EventPassword)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sw.Close() })
	return sw
}
