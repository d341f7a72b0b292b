package screening

import "ringfence/bridge"

// Headers says what to read of a call on Asterisk: what its trunk may say who calls with, and the peer's address
// where the endpoint's name does not tell the trunk.
func (sc *Screener) Headers(f *bridge.Facts) bridge.Headers {
	p := sc.force.Rules().Policy
	trunk := p.Trunk(trunkFactsOf(f))
	if !trunk.Known && f.Trunk == "" {
		return bridge.Headers{Asserted: true, RemoteID: true, Address: true} // the address may tell the trunk
	}
	var h bridge.Headers
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
