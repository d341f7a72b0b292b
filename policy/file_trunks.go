package policy

import (
	"net/netip"
	"slices"
	"strings"

	"ringfence/tomlfile"
)

// Trunk is where calls come in, as far as screening has to know it.
type Trunk struct {
	Name     string
	Known    bool     // the policy has a [trunks.NAME] for it
	Identity []string // the headers that may say who calls, in order: pai, rpid, from
	Media    string   // "early" or "answer": how announcements reach a caller
	Internal bool     // its calls may come from internal numbers
	MaxHeld  int      // announcements and challenges at once
}

// MaxHeld is how many announcements and challenges a trunk holds at once when the policy does not say.
const MaxHeld = 20

// identities are the headers that may say who calls: P-Asserted-Identity, Remote-Party-ID and From.
var identities = []string{"pai", "rpid", "from"}

// unknownTrunk is what holds for calls from a trunk that the policy does not name: only the From header counts, since anybody
// can write the others.
func unknownTrunk(name string) Trunk {
	return Trunk{Name: name, Identity: []string{"from"}, Media: "early", MaxHeld: MaxHeld}
}

// TrunkFacts are what the switch knows of where a call came in. Any may be empty.
type TrunkFacts struct {
	Named    string // ringfence_trunk, set in the dialplan: it wins over the others
	Gateway  string
	Endpoint string
	Address  netip.Addr // the peer's
	Profile  string
}

// Trunk finds the trunk a call came in by: the one the dialplan names, else the one whose gateway or endpoint it is,
// else the one with the narrowest address range around the peer, else the SIP profile's. If none fits, the
// trunk has no name.
//
// Whose gateway a call came in by its request URI says (gw=NAME, gw+NAME; sofia.c, sofia_handle_sip_i_invite), and the
// switch believes it from anybody. So where a trunk has addresses as well, its gateway counts from there alone.
func (p *Policy) Trunk(f TrunkFacts) Trunk {
	if f.Named != "" {
		return p.TrunkNamed(f.Named)
	}
	for _, value := range []string{"gateway:" + f.Gateway, "endpoint:" + f.Endpoint} {
		if name, ok := p.trunkOf[value]; ok && (f.Endpoint != "" || p.isPeer(name, f.Address)) {
			return p.TrunkNamed(name)
		}
	}
	if f.Address.IsValid() {
		address := f.Address.Unmap().WithZone("")
		for _, r := range p.trunkRanges { // the narrowest first
			if r.prefix.Contains(address) {
				return p.TrunkNamed(r.trunk)
			}
		}
	}
	return p.TrunkNamed(p.trunkOf["profile:"+f.Profile])
}

// isPeer: calls of a trunk may come from an address. A trunk without addresses takes them from everywhere.
func (p *Policy) isPeer(trunk string, address netip.Addr) bool {
	some := false
	for _, r := range p.trunkRanges {
		if r.trunk != trunk {
			continue
		}
		if some = true; r.prefix.Contains(address.Unmap().WithZone("")) {
			return true
		}
	}
	return !some || !address.IsValid()
}

// TrunkNamed is the trunk of that name, or what holds for unknown trunks.
func (p *Policy) TrunkNamed(name string) Trunk {
	if t, ok := p.trunks[name]; ok {
		return t
	}
	return unknownTrunk(name)
}

// TrunkNames are the trunks of the file, in its order.
func (p *Policy) TrunkNames() []string { return slices.Clone(p.trunkNames) }

// trunkRange is an address range of one trunk.
type trunkRange struct {
	prefix netip.Prefix
	trunk  string
}

// readTrunks reads [trunks.NAME].
func (r *reader) readTrunks(top *section) {
	p := r.policy
	p.trunks = make(map[string]Trunk)
	p.trunkOf = make(map[string]string)
	taken := make(map[string]string) // the value as it is compared → its trunk
	names, tables := top.named("trunks", "[trunks.telecom]")
	for i, s := range tables {
		name := names[i]
		if advice := badName(name); advice != "" {
			s.fs.add(s.at.Line, s.path, "%s", advice)
		}
		s.only(tableKeys["trunks.NAME"], nil)
		t := unknownTrunk(name)
		t.Known = true
		for _, m := range s.texts("match", "gateway:telecom") {
			r.readMatch(s, name, m, taken)
		}
		if words := s.texts("identity", "pai"); words != nil {
			t.Identity = nil
			for _, w := range words {
				switch {
				case !contains(identities, w.text):
					s.fs.add(w.line, s.key("identity"), "%q is not a header that says who calls: %s", w.text, tomlfile.DidYouMean(w.text, identities))
				case contains(t.Identity, w.text):
					s.fs.add(w.line, s.key("identity"), "%q is there twice: take one out", w.text)
				default:
					t.Identity = append(t.Identity, w.text)
				}
			}
		}
		if media := s.oneOf("media", "early", "answer"); media != "" {
			t.Media = media
		}
		t.Internal = s.flag("internal")
		t.MaxHeld = s.number("max_held", MaxHeld, 0, 10_000)
		p.trunks[name] = t
		p.trunkNames = append(p.trunkNames, name)
	}
	sortRanges(p.trunkRanges)
	r.trunks = tables
}

// lintTrunks warns of what anybody can claim to be.
func (r *reader) lintTrunks() {
	p := r.policy
	for i, s := range r.trunks {
		r.claimable(s, p.trunkNames[i])
	}
	if len(r.trunks) > 0 && len(p.neverTrunks) == 0 {
		r.top.fs.warn(r.trunks[0].at.Line, "numbers.never_screen_trunks", "is missing: an emergency number passes from every trunk, whoever shows it; write the trunks that such calls come from, as in never_screen_trunks = [%q]", p.trunkNames[0])
	}
}

// claimable warns of a trunk that anybody can claim to be, and whose word on the caller is believed.
func (r *reader) claimable(s *section, name string) {
	p, gateway := r.policy, ""
	for value, trunk := range p.trunkOf {
		if trunk == name && strings.HasPrefix(value, "gateway:") {
			gateway = value
		}
	}
	t := p.trunks[name]
	if gateway == "" || len(t.Identity) == 1 && t.Identity[0] == "from" && !t.Internal {
		return
	}
	for _, rg := range p.trunkRanges {
		if rg.trunk == name {
			return
		}
	}
	s.warn("match", "%q can be claimed by anyone who may send calls to the switch (sip:…;gw=%s), and then names whatever caller he likes: add the carrier's addresses, as in %q; the gateway then counts from there alone",
		gateway, strings.TrimPrefix(gateway, "gateway:"), "203.0.113.0/24")
}

// readMatch reads one value of a trunk's match.
func (r *reader) readMatch(s *section, trunk string, m word, taken map[string]string) {
	p := r.policy
	key := s.key("match")
	value := m.text
	kind, name, named := strings.Cut(m.text, ":")
	prefix, isAddress := parseAddress(m.text)
	switch {
	case isAddress:
		if prefix != prefix.Masked() {
			s.fs.add(m.line, key, "%q has address digits beyond its /%d: write %q for the range, or %q for the one address",
				m.text, prefix.Bits(), prefix.Masked(), prefix.Addr())
			return
		}
		value = prefix.String()
	case named && contains([]string{"gateway", "endpoint", "profile"}, kind):
		if strings.TrimSpace(name) != name || name == "" {
			s.fs.add(m.line, key, "%q names no %s: write its name right behind the colon, as in %q", m.text, kind, kind+":telecom")
			return
		}
	default:
		hint := `write "gateway:NAME", "endpoint:NAME", "profile:NAME" or an address such as "203.0.113.0/24"`
		if near := tomlfile.Nearest(kind, []string{"gateway", "endpoint", "profile"}); named && near != "" {
			hint = "did you mean \"" + near + ":" + name + "\"?"
		}
		s.fs.add(m.line, key, "%q is nothing a trunk is known by: %s", m.text, hint)
		return
	}
	if other, ok := taken[value]; ok {
		if other == trunk {
			s.fs.add(m.line, key, "%q is there twice: take one out", m.text)
		} else {
			s.fs.add(m.line, key, "%q is also in trunk %s: a call from there would belong to two trunks, take one out", m.text, other)
		}
		return
	}
	taken[value] = trunk
	if isAddress {
		p.trunkRanges = append(p.trunkRanges, trunkRange{prefix, trunk})
	} else {
		p.trunkOf[value] = trunk
	}
}

// parseAddress reads an IP address or an address range.
func parseAddress(text string) (netip.Prefix, bool) {
	if prefix, err := netip.ParsePrefix(text); err == nil {
		return prefix, true
	}
	if a, err := netip.ParseAddr(text); err == nil && a.Zone() == "" {
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), true
	}
	return netip.Prefix{}, false
}

// TrunkEndpoints gives the endpoints of Asterisk's that trunks are matched by, each with its trunk's name.
func (p *Policy) TrunkEndpoints() map[string]string {
	out := make(map[string]string)
	for value, trunk := range p.trunkOf {
		if name, ok := strings.CutPrefix(value, "endpoint:"); ok {
			out[name] = trunk
		}
	}
	return out
}
