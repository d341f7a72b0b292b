// Package asterisk runs a real Asterisk on loopback, places calls through it with sipp, and says what callers and
// handsets met, from a capture of the packets: SIP as it was on the wire, announcements by their spectrum.
// The calls are scripts that a person can read, in calls. Both programs come from Debian's packages; nothing is
// installed. The tests use it, and the demonstration in demosip.
package asterisk

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	"ringfence/conf"
)

//go:embed get.sh
var getScript string

// Root is a folder in which an Asterisk and a sipp lie, unpacked.
type Root struct {
	Folder    string
	modules   string
	loader    string // Debian's own: this machine's C library may be another
	libraries string
}

var got = sync.OnceValues(func() (*Root, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 6*time.Minute)
	defer cancel()
	var said bytes.Buffer
	cmd := exec.CommandContext(ctx, "sh", "-c", getScript)
	cmd.Stderr = &said
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("no Asterisk could be got: %w\n%s", err, said.Bytes())
	}
	return open(strings.TrimSpace(string(out)))
})

// Cache is the folder that Get keeps what it got in: RINGFENCE_ASTERISK, or one in the user's own cache.
func Cache() string {
	if folder := os.Getenv("RINGFENCE_ASTERISK"); folder != "" {
		return folder
	}
	folder, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(folder, "ringfence-asterisk")
}

// Get gets both programs by get.sh, or finds those that were got before. It may take minutes.
func Get() (*Root, error) { return got() }

func open(folder string) (*Root, error) {
	r := &Root{Folder: folder, libraries: strings.Join([]string{folder + "/lib/x86_64-linux-gnu", folder + "/usr/lib/x86_64-linux-gnu", folder + "/usr/lib"}, ":")}
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		switch name := filepath.Base(path); {
		case name == "chan_pjsip.so":
			r.modules = filepath.Dir(path)
		case strings.HasPrefix(name, "ld-") && err == nil && d.Type().IsRegular():
			r.loader = path
		}
		return nil
	})
	if r.modules == "" || r.loader == "" {
		return nil, fmt.Errorf("there is no Asterisk in %s: remove that folder, so that it is got again (%v)", folder, err)
	}
	return r, nil
}

// Command is a program of the folder, such as /usr/bin/sipp.
func (r *Root) Command(program string, args ...string) *exec.Cmd {
	return exec.Command(r.loader, append([]string{"--library-path", r.libraries, r.Folder + program}, args...)...)
}

// modules are those that are loaded, beside all of func_*, format_*, bridge_* and res_sorcery_*.
const modules = `res_timing_timerfd res_pjproject res_pjsip res_pjsip_session res_pjsip_sdp_rtp res_pjsip_caller_id
	res_pjsip_diversion res_pjsip_endpoint_identifier_ip res_pjsip_rfc3326 res_pjsip_header_funcs res_pjsip_pubsub res_pjsip_dtmf_info
	res_rtp_asterisk res_speech res_agi chan_pjsip pbx_config app_dial app_playback app_read app_verbose app_stack codec_ulaw codec_gsm`

// Dialplan is what stands around the subroutine, for a trunk whose calls come in by the context from-telecom.
//
//go:embed extensions.conf
var Dialplan string

// Endpoint is what every endpoint has in pjsip.conf, on loopback.
const Endpoint = "type=endpoint\ndisallow=all\nallow=ulaw\nmedia_address=127.0.0.1\nbind_rtp_to_media_address=yes\ndirect_media=no\ndtmf_mode=info\ntransport=udp\n"

// Setup is how an Asterisk is set up.
type Setup struct {
	AGI      string            // the daemon's address
	Handset  string            // where the endpoint handset is, HOST:PORT
	Dialplan string            // HANDSET in it is replaced by Handset [Dialplan]
	PJSIP    string            // behind our pjsip.conf
	Files    map[string]string // more files of its configuration, or others than ours
}

// PBX is an Asterisk that runs.
type PBX struct {
	Address string // SIP over UDP, HOST:PORT
	Folder  string // its configuration, log/out is what it says

	root  *Root
	cmd   *exec.Cmd
	ended chan struct{}
}

// Start runs an Asterisk of its own in a folder that is empty and not far from the root: the path of a socket has 107
// bytes at most. It is up when Start returns, and is ended by Stop.
func (r *Root) Start(ctx context.Context, folder string, s Setup) (*PBX, error) {
	sip, err := FreePort()
	if err != nil {
		return nil, err
	}
	files, err := r.configuration(folder, sip, s)
	if err != nil {
		return nil, err
	}
	for _, dir := range []string{"var", "spool", "run", "log"} {
		if err := os.Mkdir(filepath.Join(folder, dir), 0o755); err != nil {
			return nil, err
		}
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o644); err != nil {
			return nil, err
		}
	}
	p := &PBX{Address: fmt.Sprintf("127.0.0.1:%d", sip), Folder: folder, root: r, ended: make(chan struct{})}
	out, err := os.Create(filepath.Join(folder, "console"))
	if err != nil {
		return nil, err
	}
	defer out.Close()
	p.cmd = p.Program("-f")
	p.cmd.Stdout, p.cmd.Stderr = out, out
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { defer close(p.ended); p.cmd.Wait() }()
	if err := p.waitUp(ctx); err != nil {
		text := p.Console()
		p.Stop()
		return nil, fmt.Errorf("%w\n%.2000s", err, text)
	}
	return p, nil
}

func (r *Root) configuration(folder string, sip int, s Setup) (map[string]string, error) {
	load := "[modules]\nautoload=no\n"
	for m := range strings.FieldsSeq(modules) {
		load += "load => " + m + ".so\n"
	}
	for _, pattern := range []string{"res_sorcery_*", "func_*", "format_*", "bridge_*"} {
		names, err := filepath.Glob(filepath.Join(r.modules, pattern+".so"))
		if err != nil {
			return nil, err
		}
		for _, n := range names {
			load += "load => " + filepath.Base(n) + "\n"
		}
	}
	subroutine, err := fs.ReadFile(conf.Asterisk, "asterisk/extensions_ringfence.conf")
	if err != nil {
		return nil, err
	}
	dialplan := s.Dialplan
	if dialplan == "" {
		dialplan = Dialplan
	}
	files := map[string]string{
		"asterisk.conf": fmt.Sprintf("[directories]\nastetcdir => %[1]s\nastmoddir => %[2]s\nastvarlibdir => %[1]s/var\nastdbdir => %[1]s/var\nastkeydir => %[1]s/var\nastdatadir => %[3]s/usr/share/asterisk\nastagidir => %[1]s/var\nastspooldir => %[1]s/spool\nastrundir => %[1]s/run\nastlogdir => %[1]s/log\n[options]\nhideconnect = yes\n",
			folder, r.modules, r.Folder),
		"modules.conf": load,
		"logger.conf":  "[logfiles]\nout => notice,warning,error,verbose(3)\n",
		"rtp.conf":     "[general]\nrtpstart=33000\nrtpend=35000\n",
		"pjsip.conf": fmt.Sprintf("[udp]\ntype=transport\nprotocol=udp\nbind=127.0.0.1:%d\n"+
			"[telecom]\n%scontext=from-telecom\ntrust_id_inbound=yes\n"+
			"[telecom]\ntype=identify\nendpoint=telecom\nmatch=127.0.0.1\n"+
			"[handset]\n%scontext=from-handset\n", sip, Endpoint, Endpoint) + s.PJSIP,
		"extensions_ringfence.conf": strings.ReplaceAll(string(subroutine), "agi://127.0.0.1:4573/", "agi://"+s.AGI+"/"),
		"extensions.conf":           strings.ReplaceAll(dialplan, "HANDSET", s.Handset),
	}
	for name, text := range s.Files {
		files[name] = text
	}
	return files, nil
}

func (p *PBX) waitUp(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		if text, err := p.CLI("core waitfullybooted"); err == nil && strings.Contains(text, "fully booted") {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.New("the Asterisk did not come up")
		case <-p.ended:
			return errors.New("the Asterisk ended")
		case <-tick.C:
		}
	}
}

// Program is `asterisk` with arguments, for this one's configuration.
func (p *PBX) Program(args ...string) *exec.Cmd {
	return p.root.Command("/usr/sbin/asterisk", append([]string{"-C", p.Folder + "/asterisk.conf"}, args...)...)
}

// PID is its process.
func (p *PBX) PID() int { return p.cmd.Process.Pid }

// Stop ends it at once.
func (p *PBX) Stop() {
	p.cmd.Process.Kill()
	<-p.ended
}

// CLI runs a command on Asterisk's own command line. One that has no answer within 15 s is an error: the remote console
// itself waits for ever on an Asterisk that is stuck or just going down.
func (p *PBX) CLI(command string) (string, error) {
	var out bytes.Buffer
	cmd := p.Program("-rx", command)
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.WaitDelay = time.Second
	err := cmd.Start()
	if err == nil {
		late := time.AfterFunc(15*time.Second, func() { cmd.Process.Kill() })
		err = cmd.Wait()
		late.Stop()
	}
	text := out.String()
	if err != nil {
		err = fmt.Errorf("asterisk -rx %q: %w: %.500s", command, err, text)
	}
	return text, err
}

// Log is what it has said so far.
func (p *PBX) Log() string {
	text, _ := os.ReadFile(filepath.Join(p.Folder, "log", "out"))
	return string(text)
}

// Console is what it wrote to its standard output.
func (p *PBX) Console() string {
	text, _ := os.ReadFile(filepath.Join(p.Folder, "console"))
	return string(text)
}

var activeChannels = regexp.MustCompile(`(?m)^0 active channels?$`)

// Idle waits until no channel is left, for at most 10 s.
func (p *PBX) Idle() error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(10 * time.Second); ; <-tick.C {
		text, err := p.CLI("core show channels count")
		if err == nil && activeChannels.MatchString(text) {
			return nil
		}
		if time.Now().After(end) {
			left, listErr := p.CLI("core show channels concise")
			return errors.Join(fmt.Errorf("channels are left:\n%s", left), err, listErr)
		}
	}
}

// FreePort is a port of loopback that nobody has, for UDP or TCP. It lies below those that connections get by
// themselves: they could take it before its user does.
func FreePort() (int, error) {
	for range 100 {
		port := 10000 + rand.IntN(20000)
		address := fmt.Sprintf("127.0.0.1:%d", port)
		udp, err := net.ListenPacket("udp", address)
		if err != nil {
			continue
		}
		udp.Close()
		tcp, err := net.Listen("tcp", address)
		if err != nil {
			continue
		}
		tcp.Close()
		return port, nil
	}
	return 0, errors.New("no port of loopback is free")
}
