// Package bridge is what the bridges to switches have in common: the facts of a call, the verdict on it, the
// steps by which a verdict is carried out, and the port that switches connect to. eslbridge speaks to FreeSWITCH
// and agibridge to Asterisk; neither knows how decisions are made.
//
// The one thing that must never happen here is that a handset does not ring. A call has one deadline, from the
// moment its connection was complete; past it the call is given back, whatever the code is doing (Conn).
package bridge
