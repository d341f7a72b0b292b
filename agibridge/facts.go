package agibridge

import (
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"ringfence/screening"
)

// request is what Asterisk says of a call, and what the shipped subroutine says in its arguments.
type request struct {
	screening.Facts

	kind  string // "PJSIP", "SIP", …: how its headers are asked for
	guard bool   // the dialplan has set the guard, so it must be moved for what takes longer
	fired bool   // the guard has had this call
	odd   bool   // the caller's number or name has a line end in it: they must be asked for
}

// readRequest takes the facts from the block that begins a connection. A caller may have put lines of his own into
// it, but only between agi_callerid and agi_threadid: what Asterisk writes before him counts where it stands
// first, what it writes behind him where it stands last, and arguments only behind the last agi_threadid.
func readRequest(lines []string) (x request) {
	numbers, names := 0, 0
	var args []string
	for _, l := range lines {
		key, value, ok := strings.Cut(l, ":")
		if !ok || !strings.HasPrefix(key, "agi_") {
			x.odd = true
			continue
		}
		value = strings.TrimPrefix(value, " ")
		first := func(p *string) {
			if *p == "" {
				*p = value
			}
		}
		switch key {
		case "agi_channel":
			if x.Channel == "" {
				x.Channel, x.Endpoint = value, screening.Endpoint(value)
			}
		case "agi_type":
			first(&x.kind)
		case "agi_uniqueid":
			first(&x.UUID)
		case "agi_callerid":
			numbers++
			first(&x.Number)
		case "agi_calleridname":
			names++
			x.Name = value
		case "agi_callingpres":
			pres, _ := strconv.Atoi(value)
			x.Withheld = pres&0x60 == 0x20 // Q.951: presentation restricted
		case "agi_dnid":
			x.ReqUser = value
		case "agi_context":
			x.Context = value
		case "agi_extension":
			x.Callee = value
		case "agi_threadid":
			args = args[:0]
		default:
			if strings.HasPrefix(key, "agi_arg_") {
				args = append(args, value)
			}
		}
	}
	x.odd = x.odd || numbers != 1 || names != 1
	for _, p := range []*string{&x.Number, &x.Name, &x.ReqUser} {
		if *p == "unknown" {
			*p = ""
		}
	}
	for _, a := range args {
		x.argument(a)
	}
	if x.Callee == "s" || x.Callee == "" { // a line without a number of its own
		x.Callee = x.ReqUser
	}
	if x.Intent == "report" || x.Intent == "dialled" { // the dialplan has these for its phones alone
		x.Authorized, x.AuthUser = true, x.Endpoint
	}
	return x
}

// argument takes one argument of the dialplan's, NAME=VALUE.
func (x *request) argument(a string) {
	name, value, _ := strings.Cut(a, "=")
	switch name {
	case "callee":
		if value != "" {
			x.Callee = value
		}
	case "context":
		if value != "" {
			x.Context = value
		}
	case "line":
		x.Line = value
	case "trunk":
		x.Trunk = value
	case "intent":
		x.Intent = value
	case "id":
		x.ScreenedID = value
	case "guard":
		x.guard = value == "set"
		x.fired = value == "fired"
	}
}

// expressions are what to ask Asterisk of a call, each "" where there is nothing to ask.
type expressions struct{ from, asserted, remoteID, address string }

func (x *request) expressions(h Headers) expressions {
	var e expressions
	var header func(string) string
	switch x.kind {
	case "PJSIP":
		header = func(name string) string { return "${PJSIP_HEADER(read," + name + ")}" }
		e.address = "${CHANNEL(pjsip,remote_addr)}"
	case "SIP":
		header = func(name string) string { return "${SIP_HEADER(" + name + ")}" }
		e.address = "${CHANNEL(peerip)}"
	default:
		return e
	}
	e.from, e.asserted, e.remoteID = header("From"), header("P-Asserted-Identity"), header("Remote-Party-ID")
	if !h.Asserted {
		e.asserted = ""
	}
	if !h.RemoteID {
		e.remoteID = ""
	}
	if !h.Address {
		e.address = ""
	}
	return e
}

// learn fills in what the headers say. Which of them the number is from Asterisk does not tell: with
// trust_id_inbound it prefers P-Asserted-Identity to Remote-Party-ID to From.
func (x *request) learn(from, asserted, remoteID, address string) {
	x.FullFrom = from
	x.FromName, x.FromUser, x.FromHost = nameAddress(from)
	_, x.Asserted, _ = nameAddress(asserted)
	x.RemoteID = remoteID
	_, remoteUser, _ := nameAddress(remoteID)
	switch bare := func(user string) string { u, _, _ := strings.Cut(user, ";"); return u }; {
	case from == "" || bare(x.FromUser) == x.Number:
	case remoteID != "" && bare(remoteUser) == x.Number && bare(x.Asserted) != x.Number:
		x.IDSource = "rpid"
	default:
		x.IDSource = "pid"
	}
	if a, err := netip.ParseAddrPort(address); err == nil {
		x.NetworkIP = a.Addr().String()
	} else if a, err := netip.ParseAddr(address); err == nil {
		x.NetworkIP = a.String()
	}
}

// nameAddress takes `"Name" <sip:user@host>;…` apart (RFC 3261, name-addr and addr-spec). The user keeps its
// parameters, with %XX undone.
func nameAddress(s string) (name, user, host string) {
	s = strings.TrimSpace(s)
	uri := s
	if strings.HasPrefix(s, `"`) { // the name may hold anything, a < too
		end := 1
		for end < len(s) && s[end] != '"' {
			if s[end] == '\\' {
				end++
			}
			end++
		}
		if end >= len(s) {
			return "", "", ""
		}
		name, uri = strings.ReplaceAll(s[1:end], `\`, ""), s[end+1:]
	}
	if before, inside, ok := strings.Cut(uri, "<"); ok {
		if name == "" {
			name = strings.TrimSpace(before)
		}
		uri, _, _ = strings.Cut(inside, ">")
	} else {
		uri, _, _ = strings.Cut(uri, ";")
	}
	_, uri, ok := strings.Cut(uri, ":")
	if !ok {
		return name, "", ""
	}
	user, host, ok = strings.Cut(uri, "@")
	if !ok {
		return name, "", user
	}
	host, _, _ = strings.Cut(host, ";")
	if plain, err := url.PathUnescape(user); err == nil {
		user = plain
	}
	return name, user, host
}
