package screening

import "ringfence/bridge"

// Headers says what to read of a call on Asterisk: what its trunk may say who calls with, and the peer's address
// where the endpoint's name does not tell the trunk; besides what a rule asks for.
func (sc *Screener) Headers(f *bridge.Facts) bridge.Headers {
	p := sc.force.Rules().Policy
	trunk := p.Trunk(trunkFactsOf(f))
	h := bridge.Headers{Asserted: p.AsksIdentity(), RemoteID: p.AsksIdentity(), Diverted: p.AsksDiverted()}
	if !trunk.Known && f.Trunk == "" {
		h.Asserted, h.RemoteID, h.Address = true, true, true // the address may tell the trunk
		return h
	}
	for _, header := range trunk.Identity {
		switch header {
		case "pai":
			h.Asserted = true
		case "rpid":
			h.RemoteID = true
		case "from":
			return h // it is always there
		}
	}
	return h
}
