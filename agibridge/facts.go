package agibridge

import (
	"bytes"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"ringfence/bridge"
)

// request is what Asterisk says of a call, and what the shipped subroutine says in its arguments.
type request struct {
	bridge.Facts

	kind  string // "PJSIP", "SIP", …: how its headers are asked for
	guard bool   // the dialplan has set the guard, so it must be moved for what takes longer
	fired bool   // the guard has had this call
	odd   bool   // the caller's number or name has a line end in it: they must be asked for
}

// gathered takes the lines of the block that begins a connection, as they come. A caller may have put lines of their own
// into it, but only between agi_callerid and agi_threadid: what Asterisk writes before them counts where it stands
// first, what it writes behind them where it stands last, and arguments only behind the last agi_threadid.
type gathered struct {
	x              request
	numbers, names int
	args           []string
}

// maxArguments is how many arguments are looked at; the subroutine has seven.
const maxArguments = 16

func (g *gathered) line(l []byte) {
	x := &g.x
	key, value, ok := bytes.Cut(l, []byte(":"))
	if !ok || !bytes.HasPrefix(key, []byte("agi_")) {
		x.odd = true
		return
	}
	value = bytes.TrimPrefix(value, []byte(" "))
	first := func(p *string) {
		if *p == "" {
			*p = string(value)
		}
	}
	switch string(key) {
	case "agi_channel":
		first(&x.Channel)
	case "agi_type":
		first(&x.kind)
	case "agi_uniqueid":
		first(&x.UUID)
	case "agi_callerid":
		g.numbers++
		first(&x.Number)
	case "agi_calleridname":
		g.names++
		x.Name = string(value)
	case "agi_callingpres":
		pres, _ := strconv.Atoi(string(value))
		x.Withheld = pres&0x60 == 0x20 // Q.951: presentation restricted
	case "agi_rdnis":
		x.Redirected = string(value)
	case "agi_dnid":
		x.ReqUser = string(value)
	case "agi_context":
		x.Context = string(value)
	case "agi_extension":
		x.Callee = string(value)
	case "agi_threadid":
		g.args = g.args[:0]
	default:
		if bytes.HasPrefix(key, []byte("agi_arg_")) && len(g.args) < maxArguments {
			g.args = append(g.args, string(value))
		}
	}
}

// request is what the lines say so far.
func (g *gathered) request() request {
	x := g.x
	x.Endpoint = bridge.Endpoint(x.Channel)
	x.odd = x.odd || g.numbers != 1 || g.names != 1
	for _, p := range []*string{&x.Number, &x.Name, &x.ReqUser, &x.Redirected} {
		if *p == "unknown" {
			*p = ""
		}
	}
	for _, a := range g.args {
		x.argument(a)
	}
	if x.Callee == "s" || x.Callee == "" { // a line without a number of its own
		x.Callee = x.ReqUser
	}
	if x.Intent == bridge.IntentReport || x.Intent == bridge.IntentRelease || x.Intent == "dialled" { // the dialplan has these for its phones alone
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
			x.Context, x.Test = value, value == bridge.TestContext
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
type expressions struct {
	from, asserted, remoteID, address string
	diverted                          []string // Diversion, and History-Info, which a forwarded call has several of
}

// maxHistory is how many History-Info headers are asked for: each forwarding adds one or two, and one header may hold them all.
const maxHistory = 4

func (x *request) expressions(h bridge.Headers) expressions {
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
	if h.Diverted {
		e.diverted = []string{header("Diversion"), header("History-Info")}
		for i := 2; i <= maxHistory; i++ {
			e.diverted = append(e.diverted, header("History-Info,"+strconv.Itoa(i)))
		}
	}
	return e
}

// firstValue is the first of the values of a header, which may be a SIP address and a tel: one (RFC 3325), as it is on the wire. Commas within
// quotes and brackets part nothing; of a header whose quotes or brackets have no end it is all.
func firstValue(header string) string {
	quoted, bracketed := false, false
	for i := 0; i < len(header); i++ {
		switch c := header[i]; {
		case quoted && c == '\\':
			i++
		case c == '"' && !bracketed:
			quoted = !quoted
		case quoted:
		case c == '<':
			bracketed = true
		case c == '>':
			bracketed = false
		case c == ',' && !bracketed:
			return header[:i]
		}
	}
	return header
}

// learnDiverted fills in what the headers say of where the call was before.
func (x *request) learnDiverted(values []string) {
	x.Diversion = values[0]
	x.History = strings.Join(slices.DeleteFunc(values[1:], func(v string) bool { return v == "" }), ", ")
}

// learn fills in what the headers say, which were asked for as e says. Which of them the number is from Asterisk does not
// tell: with trust_id_inbound it prefers P-Asserted-Identity to Remote-Party-ID to From.
func (x *request) learn(e expressions, from, asserted, remoteID, address string) {
	x.FullFrom = from
	x.FromName, x.FromUser, x.FromHost, _ = bridge.NameAddr(from)
	if x.Asserted = asserted; asserted != "" {
		if _, user, _, ok := bridge.NameAddr(firstValue(asserted)); ok {
			x.Asserted = user
		}
	}
	x.RemoteID = remoteID
	_, remoteUser, _, _ := bridge.NameAddr(remoteID)
	switch bare := func(user string) string { u, _, _ := strings.Cut(user, ";"); return u }; {
	case e.from != "" && from == "":
		x.Unreadable = true // every call has one; what is longer than 4 kB Asterisk does not give
	case e.from == "" || bare(x.FromUser) == x.Number:
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
