package asterisk

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
)

// Trial is an Asterisk between a caller and a handset of sipp's, with a capture of what they say to each other.
type Trial struct {
	*PBX

	folder     string
	ports      ports
	recordings []Recording
	capture    *Capture

	mu      sync.Mutex
	tally   func(Packet)
	packets []Packet
}

// ports are where the caller, one who gives up, and the handset are, for SIP and for media.
type ports struct{ caller, media, leaver, leaverMedia, handset, handsetMedia int }

// maxPackets bounds what is kept of one call: half an hour of two voices.
const maxPackets = 200_000

// NewTrial starts an Asterisk for scripts; see Start for the folder. sounds is the folder of the announcements that may be
// heard, LANGUAGE/NAME.wav.
func (r *Root) NewTrial(ctx context.Context, folder, sounds string, s Setup) (t *Trial, err error) {
	t = &Trial{folder: filepath.Join(folder, "sipp")}
	t.tally = t.keep
	for _, port := range []*int{&t.ports.caller, &t.ports.media, &t.ports.leaver, &t.ports.leaverMedia, &t.ports.handset, &t.ports.handsetMedia} {
		if *port, err = FreePort(); err != nil {
			return nil, err
		}
	}
	if t.recordings, err = ReadRecordings(sounds); err != nil {
		return nil, err
	}
	t.capture, err = StartCapture(t.each, t.ports.caller, t.ports.leaver, t.ports.media, t.ports.handset, t.ports.handsetMedia)
	if err != nil {
		return nil, err
	}
	s.Handset = fmt.Sprintf("127.0.0.1:%d", t.ports.handset)
	if t.PBX, err = r.Start(ctx, folder, s); err == nil {
		if err = os.Mkdir(t.folder, 0o755); err == nil {
			return t, nil
		}
		t.PBX.Stop()
	}
	t.capture.Stop()
	return nil, err
}

// Stop ends it all.
func (t *Trial) Stop() {
	t.PBX.Stop()
	t.capture.Stop()
}

func (t *Trial) each(p Packet) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.tally(p)
}

// watch has another function see the packets from now on.
func (t *Trial) watch(tally func(Packet)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.tally = tally
}

// keep keeps a packet for met.
func (t *Trial) keep(p Packet) {
	if len(t.packets) < maxPackets {
		t.packets = append(t.packets, p)
	}
}

// taken gives the packets kept so far away.
func (t *Trial) taken() []Packet {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.packets
	t.packets = nil
	return p
}

// Place places the call of a script, and says what was met once no channel is left.
func (t *Trial) Place(ctx context.Context, s *Script) (Met, error) {
	t.taken()
	phone, err := t.root.sipp(t.folder, "handset", handsetTemplate, handset{Rings: s.HandsetRings, Busy: s.Busy}, t.ports.handset, t.ports.handsetMedia)
	if err != nil {
		return Met{}, err
	}
	defer phone.Stop()
	if err := phone.bound(ctx, t.ports.handset); err != nil {
		return Met{}, err
	}
	name := ""
	if s.Display != "" {
		name = `"` + s.Display + `" `
	}
	calls, err := t.root.sipp(t.folder, "caller", callerTemplate,
		caller{From: s.From, Name: name, To: s.To, Headers: s.Headers, Holds: s.Holds, GivesUp: s.GivesUp, Refusals: refusals},
		t.ports.caller, t.ports.media, "-m", "1", t.Address)
	if err != nil {
		return Met{}, err
	}
	err = calls.Wait(ctx)
	if ctx.Err() != nil { // nobody waits for what becomes of it
		return Met{}, err
	}
	if err := errors.Join(err, t.Idle()); err != nil {
		return Met{}, err
	}
	return t.met(t.taken()), nil
}
