// Package cluster tests several daemons with one set of lists, which meet at a real server of NATS: with real edits, calls through the simulated switch, and
// whatever can go wrong between them.
package cluster
