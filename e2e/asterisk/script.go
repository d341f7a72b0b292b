package asterisk

import (
	"bufio"
	"bytes"
	"embed"
	"encoding/binary"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"time"

	"ringfence/e2e/sip"
)

// Calls are the scripts, with the policy that they are screened by; see calls/README.md for how they are written.
//
//go:embed calls
var Calls embed.FS

// Script is one call and, where it says so, what must come of it.
type Script struct {
	Name string
	Line int

	From, Display, To string
	Headers           []string
	Holds             time.Duration // [300 ms]
	GivesUp           time.Duration // [never]
	HandsetRings      time.Duration // [100 ms]
	Busy              bool

	Sees         []string
	Hears        []string
	HandsetHears []string
	Rings        string // what the handset shows: NUMBER "NAME", or "" if none rings
	Because      string // ACTION by RULE
}

// ReadScripts reads a file of scripts.
func ReadScripts(fsys fs.FS, name string) ([]Script, error) {
	text, err := fs.ReadFile(fsys, name)
	if err != nil {
		return nil, err
	}
	var all []Script
	n := 0
	for sc := bufio.NewScanner(bytes.NewReader(text)); sc.Scan(); {
		n++
		line, _, _ := strings.Cut(sc.Text(), " #")
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		key, rest, _ := strings.Cut(line, " ")
		rest = strings.TrimSpace(rest)
		if key == "call" {
			all = append(all, Script{Name: rest, Line: n, Holds: 300 * time.Millisecond, HandsetRings: 100 * time.Millisecond})
			continue
		}
		if len(all) == 0 {
			return nil, fmt.Errorf("%s:%d: `call NAME` comes first", name, n)
		}
		if err := all[len(all)-1].take(key, rest); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, n, err)
		}
	}
	for _, s := range all {
		if s.From == "" || s.To == "" {
			return nil, fmt.Errorf("%s:%d: a call needs `from` and `to`", name, s.Line)
		}
	}
	return all, nil
}

// take takes a line of a script.
func (s *Script) take(key, rest string) (err error) {
	if strings.ContainsAny(rest, "[]") {
		return fmt.Errorf("%s: sipp has a meaning of its own for [ and ]", key)
	}
	switch key {
	case "from":
		m := numbered.FindStringSubmatch(rest)
		if m == nil {
			return fmt.Errorf("from: a number, and a name in quotation marks if there is one: %s", rest)
		}
		s.From, s.Display = m[1], m[2]
		return nil
	case "to":
		s.To = rest
		return nil
	case "header":
		s.Headers = append(s.Headers, rest)
		return nil
	case "holds":
		s.Holds, err = time.ParseDuration(rest)
		return err
	case "gives-up":
		s.GivesUp, err = time.ParseDuration(rest)
		return err
	case "handset":
		if rest == "busy" {
			s.Busy = true
			return nil
		}
		s.HandsetRings, err = time.ParseDuration(strings.TrimPrefix(rest, "rings "))
		return err
	}
	switch key {
	case "sees":
		s.Sees = strings.Fields(rest)
	case "hears":
		s.Hears = strings.Fields(rest)
	case "handset-hears":
		s.HandsetHears = strings.Fields(rest)
	case "rings":
		s.Rings = rest
	case "because":
		s.Because = rest
	default:
		return fmt.Errorf("%q: there are call, from, to, header, holds, gives-up, handset, sees, hears, handset-hears, rings and because", key)
	}
	return nil
}

var numbered = regexp.MustCompile(`^(\S+)(?:\s+"(.*)")?$`)

// Met is what became of a call, by what was on the wire.
type Met struct {
	Sees         []string // the answers to the caller, by code, without 100, each once; BYE where the far end hung up on it
	Hears        []string // the announcements that it was played; ? for what is none of them
	Rings        string   // NUMBER "NAME" of the INVITE that a handset got, "" for none
	HandsetHears []string
	Invited      time.Time // the caller's INVITE
	Ringing      time.Time // the first 180 or 183 to it; zero if there was none
}

// met reads what happened in a call out of its packets.
func (t *Trial) met(packets []Packet) Met {
	var m Met
	var toCaller, toHandset []Packet
	for _, p := range packets {
		from, to := int(p.From.Port()), int(p.To.Port())
		switch to {
		case t.ports.media:
			toCaller = append(toCaller, p)
			continue
		case t.ports.handsetMedia:
			toHandset = append(toHandset, p)
			continue
		}
		said, ok := sip.Parse(p.Data)
		if !ok {
			continue
		}
		code, _, _ := strings.Cut(said.Status(), " ")
		switch {
		case from == t.ports.caller && said.Method() == "INVITE" && m.Invited.IsZero():
			m.Invited = p.At
		case to == t.ports.caller && said.Method() == "BYE":
			m.Sees = append(m.Sees, "BYE")
		case to == t.ports.caller && code != "" && code != "100" && strings.Contains(said.Get("CSeq"), "INVITE"):
			if !slices.Contains(m.Sees, code) {
				m.Sees = append(m.Sees, code)
			}
			if m.Ringing.IsZero() && strings.HasPrefix(code, "18") {
				m.Ringing = p.At
			}
		case to == t.ports.handset && said.Method() == "INVITE" && m.Rings == "":
			m.Rings = said.To()
			if name := said.FromName(); name != "" {
				m.Rings += ` "` + name + `"`
			}
		}
	}
	m.Hears, m.HandsetHears = Recognise(voice(toCaller), t.recordings), Recognise(voice(toHandset), t.recordings)
	return m
}

// voice is the audio of RTP packets (RFC 3550), in the order of their time; what is missing is silent.
func voice(packets []Packet) []byte {
	const silence = 0xff
	var audio []byte
	var first uint32
	base, source := 0, uint32(0)
	for _, p := range packets {
		if len(p.Data) <= 12 || p.Data[0]>>6 != 2 || p.Data[1]&0x7f != 0 {
			continue
		}
		stamp, ssrc := binary.BigEndian.Uint32(p.Data[4:]), binary.BigEndian.Uint32(p.Data[8:])
		if len(audio) == 0 || ssrc != source {
			base, first, source = len(audio), stamp, ssrc
		}
		at := base + int(stamp-first)
		if at < base || at > len(audio)+60*sampleRate {
			base, first, at = len(audio), stamp, len(audio) // its clock was set anew
		}
		for len(audio) < at {
			audio = append(audio, silence)
		}
		audio = append(audio[:at], p.Data[12:]...)
	}
	return audio
}
