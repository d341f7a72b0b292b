// Package cluster tells other nodes what was changed here, and takes what was changed there, over a NATS server.
//
// Each node's database is the truth of that node: an edit is on disk and acknowledged before anything here hears of it, and calls are decided by what
// the node has in memory. So whatever becomes of the server, or of the network, nothing that was acknowledged is lost and no call waits. What
// travels, for a cluster called isp and a node called pbx1:
//
//	ringfence.isp.change.pbx1  changes of lists, kept for a week by the JetStream stream RINGFENCE_isp: a node that was away catches up
//	ringfence.isp.here.pbx1    each second: who is there, with what; its own is heard by a node that is not alone
//	ringfence.isp.fact.pbx1    what calls have taught it: who is known to which line, and the like
//	ringfence.isp.count.pbx1   four times a second: what its detectors count, all of it and by itself alone, so that no loss and no repeat matters
//	ringfence.isp.trip.pbx1    at once: what becomes of its breakers
//	ringfence.isp.ask.pbx1.pbx2  a question to pbx1 of pbx2, answered in pieces, each of which is acknowledged before the next
//	ringfence.isp.inbox.pbx1.… answers to pbx1
//
// A node may publish under its own name only, which the server sees to (docs/cluster.md); whose a message is, is read from its subject. The log
// of changes in the database is the outbox. What one source says of a pattern is a row with a stamp (storage.Tick), and the later stamp wins, whichever
// way and however often the rows come. Each minute nodes compare what their lists have by sums of 32,768 leaves, and ask for the rows of leaves that
// differ: so a server that lost all is filled again, a new node takes all lists, and one that was away for longer than the stream keeps catches up.
package cluster
