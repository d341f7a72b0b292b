package doctor

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// A system where all is well: every check is made, and none fails.
func TestSound(t *testing.T) {
	s := startSystem(t)
	s.o.Conf = s.file("fs")
	sound, lines := s.examine()
	want := []string{
		"ok the daemon's file ", "ok the daemon runs: ringfence test", "ok the policy ", "ok the switch pbx1 is attached", "ok the screening port 127.0.0.1:",
		"ok 4 files of the dialplan kit", "ok the switch's event socket 127.0.0.1:", "ok the 6 modules", "ok the switch runs API commands",
		"ok the switch's clock agrees", "ok the context public hands calls to the daemon (127.0.0.1:", "ok calls to emergency numbers (110 119 120 122 12110 95110) are not shown",
		"ok a test call from +99900", "ok the switch can read the policy's announcements", "ok the switch reaches the daemon on its own machine",
	}
	if !sound || len(lines) != len(want) {
		t.Errorf("sound %v, %d lines:\n%s", sound, len(lines), strings.Join(lines, "\n"))
	}
	for i := range min(len(lines), len(want)) {
		if !strings.HasPrefix(lines[i], want[i]) {
			t.Errorf("line %d is %q, want %q", i, lines[i], want[i])
		}
	}
	if !strings.Contains(strings.Join(lines, "\n"), `warn by rule "no number"; no handset rang`) {
		t.Errorf("the test call was not decided by the rule:\n%s", strings.Join(lines, "\n"))
	}
}

// Each broken link gives its line, and what to do about it.
//
// long: because each row of its table is one broken link.
func TestBroken(t *testing.T) {
	replace := func(old, new string) func(s *system) {
		return func(s *system) {
			if !strings.Contains(s.section, old) {
				s.t.Fatalf("there is no %s in the dialplan", old)
			}
			s.set("xml_locate dialplan", strings.ReplaceAll(s.section, old, new))
		}
	}
	for title, c := range map[string]struct {
		harm func(s *system)
		want string // a regular expression for a line
	}{
		"no daemon's file": {func(s *system) { s.o.Config = s.file("none.toml") }, `^FAIL the daemon's file cannot be used — there is no .*none.toml`},
		"policy gone":      {func(s *system) { os.Remove(s.file("policy.toml")) }, `^FAIL the policy cannot be read — .*policy.toml`},
		"policy wrong":     {func(s *system) { s.write("policy.toml", "x = 1") }, `^FAIL the policy .* has \d faults — see .ringfence policy check `},
		"daemon down":      {func(s *system) { s.stop() }, `^FAIL the daemon is not running.* — systemctl start`},
		"port closed":      {func(s *system) { s.stop() }, `^FAIL the screening port 127.0.0.1:0 does not answer`},
		"observing": {func(s *system) {
			s.write("policy.toml", `mode = "observe"`+"\n"+testPolicy)
			s.daemon.Desk().Reload(s.t.Context())
		}, `^warn the policy only observes.* — .*mode = "enforce"`},
		"console without TLS": {func(s *system) { s.add("ringfence.toml", "[console]\nlisten = \":8085\"\ninsecure = true\n") }, `^warn the console \(:8085\) can be reached from other machines without TLS.* — write tls_cert`},
		"console not there":   {func(s *system) { s.add("ringfence.toml", "[console]\n") }, `^warn there is no console.* — see .ringfence status`},
		"paused":              {func(s *system) { s.daemon.Desk().Pause(s.t.Context(), time.Hour) }, `^warn screening is paused.* — .ringfence resume`},
		"not installed": {func(s *system) {
			s.write("other/freeswitch.xml", `<X-PRE-PROCESS cmd="include" data="dialplan/*.xml"/>`)
			s.o.Conf = s.file("other")
		}, `^warn the dialplan kit was not installed into .* — .ringfence freeswitch install`},
		"file missing": {
			func(s *system) { s.o.Conf = s.file("fs"); os.Remove(s.file("fs/dialplan/ringfence-open.xml")) },
			`^FAIL dialplan/ringfence-open.xml is missing — .ringfence freeswitch install`,
		},
		"file changed": {
			func(s *system) { s.o.Conf = s.file("fs"); s.write("fs/dialplan/ringfence-after.xml", "<include/>") },
			`^warn dialplan/ringfence-after.xml was changed`,
		},
		"not included":     {func(s *system) { s.o.Conf = s.file("fs"); s.write("fs/freeswitch.xml", "<document/>") }, `^FAIL freeswitch.xml does not include dialplan/ringfence-open.xml — write `},
		"ClueCon, on file": {func(s *system) { s.o.Conf = s.file("fs"); s.write("fs/autoload_configs/event_socket.conf.xml", "<x/>") }, `^FAIL the event socket has the password that every`},
		"taken before": {func(s *system) {
			s.o.Conf = s.file("fs")
			s.write("fs/dialplan/public/00.xml", `<extension name="all"><condition/></extension>`)
		}, `^warn the extension "all" of .* takes calls to all numbers before they are screened — give its file a name`},
		"wrong password": {func(s *system) { s.write("pw", "wrong\n"); s.o.PasswordFile = s.file("pw") }, `^FAIL the switch's event socket .* refuses the password — it must be`},
		"ClueCon": {func(s *system) {
			s.set("password", "ClueCon")
			s.write("pw", "ClueCon")
			s.o.PasswordFile = s.file("pw")
		}, `^FAIL the event socket's password is the one that every installation comes with — write one`},
		"no password file": {func(s *system) { s.o.PasswordFile = s.file("none") }, `^FAIL how to reach the switch's event socket is not known`},
		"not allowed": {func(s *system) {
			s.change(func() { s.greeting = "Content-Type: text/rude-rejection\nContent-Length: 1\n\nx" })
		}, `^FAIL .* refuses this machine's address — apply-inbound-acl`},
		"no event socket": {func(s *system) { s.change(func() { s.greeting = "220 mail.example.com ESMTP\r\n\r\n" }) }, `^FAIL .* is none: something else listens there`},
		"nobody there":    {func(s *system) { s.o.EventSocket = "127.0.0.1:1" }, `^FAIL the switch's event socket 127.0.0.1:1 cannot be reached.* — is the switch running`},
		"not ready":       {func(s *system) { s.set("status", "UP\nFreeSWITCH is not ready\n") }, `^FAIL the switch takes no calls now`},
		"shutting down":   {func(s *system) { s.set("status", "UP 0 years\n") }, `^FAIL the switch takes no calls now`},
		"module missing":  {func(s *system) { s.set("module_exists mod_sndfile", "false") }, `^FAIL mod_sndfile is not loaded \(announcements\) — .*load mod_sndfile`},
		"not allowed to be used": {
			func(s *system) {
				s.set("show interfaces", strings.Replace(interfacesText(), "application,socket,mod_event_socket\n", "api,socket,mod_event_socket\n", 1))
			},
			`^FAIL the switch has its modules and not all that is needed of them: socket; .* — add <allow name="mod_event_socket.socket"/> to the <interface-allowlist>`,
		},
		"no loopback":       {func(s *system) { s.set("module_exists mod_loopback", "false") }, `^warn no test call was placed: mod_loopback is not loaded`},
		"expansion off":     {func(s *system) { s.set("fsctl", "+OK api_expansion is off \n") }, `^ok the switch does not run API commands`},
		"clock a bit ahead": {func(s *system) { s.set("strmicroepoch", fmt.Sprint(time.Now().Add(10*time.Second).UnixMicro())) }, `^warn the switch's clock is (9\.9|10)[0-9.]*s ahead of the daemon's — .*NTP`},
		"clock far behind":  {func(s *system) { s.set("strmicroepoch", fmt.Sprint(time.Now().Add(-time.Hour).UnixMicro())) }, `^FAIL the switch's clock is (1h|59m).* behind the daemon's — `},
		"no clock":          {func(s *system) { s.set("strmicroepoch", "-ERR no such command\n") }, `^warn the switch does not tell the time`},
		"no dialplan":       {func(s *system) { s.set("xml_locate dialplan", "can't find anything\n") }, `^FAIL the switch has no context public — .*--context`},
		"other context":     {func(s *system) { s.o.Context = "from-trunk" }, `^FAIL the switch has no context from-trunk`},
		"not loaded": {func(s *system) {
			s.set("xml_locate dialplan", `<section><context name="public"><extension name="did"/></context></section>`)
		}, `^FAIL the context public does not hand calls to the daemon — fs_cli -x reloadxml`},
		"another address":    {func(s *system) { replace(s.screen+" async", "192.0.2.7:8084 async")(s) }, `^FAIL the dialplan hands calls to 192.0.2.7:8084, the daemon listens on 127.0.0.1:.* — .*--screen`},
		"not async":          {func(s *system) { replace(" async full", " full")(s) }, `^warn calls are handed over without async`},
		"no guard":           {replace("sched_transfer", "sched_hangup"), `^FAIL no guard takes a call away`},
		"guard not by id":    {replace(`data="${ringfence_guard_task}"`, `data=""`), `^FAIL no guard takes a call away`},
		"no guard's context": {replace(`name="ringfence-open"`, `name="other"`), `^FAIL the context ringfence-open is missing`},
		"no after":           {replace(`name="ringfence-after"`, `name="other"`), `^FAIL the context ringfence-after is missing`},
		"emergency shown":    {replace("119|", ""), `^FAIL emergency calls would be shown to the daemon: calls to 119 — .*--emergency`},
		"emergency callers": {
			replace(`<condition field="destination_number" expression="([A-Za-z`, `<condition field="caller_id_number" expression="^(?:110|119)$" break="on-true"/><condition field="destination_number" expression="([A-Za-z`),
			`^FAIL anybody who shows an emergency number as his own rings unscreened.*: calls from 110 119 — .*install`,
		},
		"an endless extension": {func(s *system) {
			s.set("xml_locate dialplan", strings.Replace(s.section, `</context>`, `<extension name="did"><condition field="destination_number" expression="^(\d+)"><action application="bridge" data="x"/></condition></extension></context>`, 1))
		}, `^warn extensions of the context public take numbers with anything before or behind them: "did" \(\^\(\\d\+\)\) — write the beginning, \^, and the end`},
		"an extension without a beginning": {func(s *system) {
			s.set("xml_locate dialplan", strings.Replace(s.section, `</context>`, `<extension name="did"><condition field="destination_number" expression="0592(\d{7})$"><action application="bridge" data="x"/></condition></extension></context>`, 1))
		}, `^warn extensions of the context public take numbers with anything before or behind them: "did" \(0592\(\\d\{7\}\)\$\)`},
		"too many a second": {
			func(s *system) {
				s.set("status", "FreeSWITCH is ready\n1 session(s) per Sec out of max 5000, peak 1\n")
			},
			`^warn the switch takes 5000 calls a second.* — write <param name="sessions-per-second" value="\d+"/>`,
		},
		"TCP from anybody": {func(s *system) { s.set("xml_locate configuration", sofia("")) }, `^warn the SIP profile external takes SIP over TCP.* — write <param name="bind-params"`},
		"calls from anybody": {
			func(s *system) {
				s.set("xml_locate configuration", sofia(`<param name="bind-params" value="transport=udp"/>`))
			},
			`^warn the SIP profile external takes calls from anybody: .*Replaces.* — .*apply-inbound-acl`,
		},
		"call lost":        {func(s *system) { s.change(func() { s.screen = "" }) }, `^FAIL a test call to \*#000#\* in the context public did not reach the daemon .*NORMAL_CLEARING`},
		"call let through": {func(s *system) { s.change(func() { s.silent = true }) }, `^FAIL the test call was not screened, it was let through \(.*deadline`},
		"sound missing":    {func(s *system) { os.RemoveAll(s.file("data/sounds")) }, `^FAIL the announcement suspected-nuisance is missing — .*when the daemon starts`},
		"sound not seen":   {func(s *system) { s.set("file_exists", "false") }, `^FAIL the switch does not find the announcement .* — does the switch run on another machine`},
		"sound closed":     {func(s *system) { os.Chmod(s.file("data/sounds"), 0o750) }, `^warn .*/data/sounds has mode 0750.* — .*chmod`},
		"sound not seen, closed": {
			func(s *system) { os.Chmod(s.file("data"), 0o700); s.set("file_exists", "false") },
			`^FAIL the switch does not find .* — .*/data has mode 0700: chmod`,
		},
	} {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			s := startSystem(t)
			c.harm(s)
			sound, lines := s.examine()
			found := ""
			for _, l := range lines {
				if c.want != "" && regexp.MustCompile(c.want).MatchString(l) {
					found = l
				}
			}
			if found == "" && c.want != "" {
				t.Errorf("no line matches %s:\n%s", c.want, strings.Join(lines, "\n"))
			}
			if strings.HasPrefix(found, "FAIL") && sound {
				t.Error("a failure, and the doctor is content")
			}
			if found != "" && !strings.HasPrefix(found, "FAIL") && !sound {
				t.Errorf("something else has failed:\n%s", strings.Join(lines, "\n"))
			}
		})
	}
}

// sofia is the switch's configuration of a profile for calls from outside, and of one for phones.
func sofia(params string) string {
	return `<configuration name="sofia.conf"><profiles><profile name="external"><settings><param name="context" value="public"/>` + params +
		`</settings></profile><profile name="internal"><settings><param name="context" value="public"/><param name="auth-calls" value="true"/><param name="bind-params" value="transport=udp"/></settings></profile></profiles></configuration>`
}

// What is closed is not warned of, nor what takes no more than it says.
func TestProfilesAndEnds(t *testing.T) {
	s := startSystem(t)
	s.set("xml_locate configuration", sofia(`<param name="apply-inbound-acl" value="carriers"/><param name="bind-params" value="transport=udp"/>`))
	s.set("status", "FreeSWITCH is ready\n1 session(s) per Sec out of max 30, peak 1\n")
	if sound, lines := s.examine(); !sound || strings.Contains("\n"+strings.Join(lines, "\n"), "\nwarn ") {
		t.Errorf("%s", strings.Join(lines, "\n"))
	}
	for expression, want := range map[string]bool{
		`^(\d+)`: true, `^1000`: true, `(^\d{4})`: true, `^\+?(\d+)`: true,
		`^(\d+)$`: false, `^(1000|1001)$`: false, `^.*$`: false, `^(.*)`: false, `^.+`: false, `.*`: false, ``: false, `^`: false, `\d+`: false, `^9(\d+)$|^8$`: false,
	} {
		if got := endless(expression); got != want {
			t.Errorf("%s: endless %v", expression, got)
		}
	}
	for expression, want := range map[string]bool{
		`(\d+)$`: true, `1000$`: true, `\d{4}`: true, `(?:1000|1001)`: true,
		`^(\d+)`: false, `^1000$`: false, `.*`: false, `(.+)$`: false, ``: false, `$`: false, `(^1000|^1001)$`: false,
	} {
		if got := startless(expression); got != want {
			t.Errorf("%s: startless %v", expression, got)
		}
	}
}

// Where the dialplan does not end test calls, none is placed: it could ring.
func TestNoTestCall(t *testing.T) {
	for _, changed := range [][2]string{
		{`<extension name="ringfence test">`, `<extension name="all"><condition/></extension><extension name="ringfence test">`},
		{"${ringfence_test}", "${other}"},
		{`application="hangup"`, `application="bridge"`},
	} {
		s := startSystem(t)
		s.set("xml_locate dialplan", strings.ReplaceAll(s.section, changed[0], changed[1]))
		sound, lines := s.examine()
		if sound || !strings.Contains(strings.Join(lines, "\n"), "FAIL the context public does not end test calls") {
			t.Errorf("%s: sound %v\n%s", changed, sound, strings.Join(lines, "\n"))
		}
		if s.wasAsked("originate") {
			t.Errorf("%s: a test call was placed", changed)
		}
	}
}

// FusionPBX shows the context of incoming calls alone.
func TestFusionPBX(t *testing.T) {
	s := startSystem(t)
	public := s.section[strings.Index(s.section, "<context"):strings.Index(s.section, "</context>")]
	s.set("xml_locate dialplan", strings.Replace(public, `name="public"`, `name="public" hostname="pbx1"`, 1)+"</context>")
	if sound, lines := s.examine(); !sound {
		t.Errorf("%s", strings.Join(lines, "\n"))
	}
}

func TestSameAddress(t *testing.T) {
	for _, c := range []struct {
		dialplan, listen string
		same             bool
	}{
		{"127.0.0.1:8084", "127.0.0.1:8084", true},
		{"localhost:8084", "127.0.0.1:8084", true},
		{"::1:8084", "[::1]:8084", true},
		{"192.0.2.7:8084", "0.0.0.0:8084", true},
		{"192.0.2.7:8084", "[::]:8084", true},
		{"192.0.2.7:8084", ":8084", true},
		{"pbx.example.com:8084", "192.0.2.7:8084", true},
		{"127.0.0.1:8085", "127.0.0.1:8084", false},
		{"192.0.2.8:8084", "192.0.2.7:8084", false},
		{"192.0.2.7:8084", "127.0.0.1:8084", false},
		{"nonsense", "127.0.0.1:8084", false},
	} {
		if got := sameAddress(c.dialplan, c.listen); got != c.same {
			t.Errorf("%s and %s: %v", c.dialplan, c.listen, got)
		}
	}
}

func TestSynRetries(t *testing.T) {
	defer func(was string) { synRetriesFile = was }(synRetriesFile)
	synRetriesFile = filepath.Join(t.TempDir(), "tcp_syn_retries")
	for _, c := range []struct{ screen, retries, want string }{
		{"127.0.0.1:8084", "6", "ok the switch reaches the daemon on its own machine"},
		{"::1:8084", "6", "ok the switch reaches the daemon on its own machine"},
		{"192.0.2.7:8084", "6", "warn the daemon is on another machine: if that is gone, calls wait 127 s"},
		{"192.0.2.7:8084", "1", "ok the daemon is on another machine; if that is gone, calls wait 3 s"},
		{"192.0.2.7:8084", "", ""},
		{"", "6", ""},
	} {
		if err := os.WriteFile(synRetriesFile, []byte(c.retries+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		got := ""
		x := &examination{screen: c.screen, say: func(c Check) { got = c.Status + " " + c.What }}
		x.synRetries()
		if !strings.HasPrefix(got, c.want) || got != "" && c.want == "" {
			t.Errorf("%s, %s: %q", c.screen, c.retries, got)
		}
	}
}
