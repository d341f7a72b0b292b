// Package standin is a simulated FreeSWITCH that places calls through a real
// socket. The demo uses it to show a daemon at work where no PBX is installed,
// and tests use it as the other side of the wire.
//
// For each call it does what FreeSWITCH's socket application does: it connects
// to the screening address, waits for the peer's `connect`, answers with the
// channel's data, carries out what the peer sends, and reports what became of
// the call: did the handset ring, with what name, was it refused and with
// which SIP status, or was it left hanging.
//
// It shares no code with the daemon's own side of the wire: a misreading there
// must not be repeated here. What it sends is held, frame by frame, against
// recordings of FreeSWITCH 1.11 in testdata/transcripts: frames, the names and
// the order of headers, and every value that does not differ from call to call.
//
// Where it is unlike the real switch:
//
//   - There is no SIP and no sound. What the caller and the handset would get
//     is computed; a playback takes as long as its file and is not heard.
//   - It knows the applications and API commands a screening daemon may use.
//     Others end as unknown ones do, and are named in Result.ProtocolErrors.
//   - API commands inside ${…} are recorded, not run.
//   - Races are decided, mostly against the peer: see Channel states below.
//   - The end of a call lacks the counters of its media streams.
//
// Channel states: in async mode without socket_resume a channel that the peer
// leaves before it has run an application is always left parked, which happens
// on the real switch in nine of ten cases. The event CHANNEL_PARK comes before
// the reply to `connect`, so that a peer which asks for events after that reply
// never sees it; on the real switch it sometimes does. A scheduled transfer set
// by the peer for +N seconds comes at N−1, the earliest the real one may.
package standin
