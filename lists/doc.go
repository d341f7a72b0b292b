// Package lists holds the administrator's lists in memory, as calls ask them: which entry of a list a caller is on.
// Storage keeps the same lists on disk. Look-ups need no lock, edits count from the next look-up on.
//
// A list is one flat piece (piece.go, chunk.go, wide.go, text.go) that never changes, made of entries or of another piece and
// changes (build.go, load.go), with the edits since in a small overlay (overlay.go). A piece can be written to a file and mapped
// from there (piece_file.go), and sent elsewhere in chunks (transfer.go).
package lists
