// Package lists holds the administrator's lists in memory, as calls ask them: which entry of a list a caller is on.
// Storage keeps the same lists on disk. Look-ups need no lock, edits count from the next look-up on.
package lists
