// Package conf reads the daemon's own file (ringfence.toml) and holds the files that we ship: a sample
// of it, a policy to start from, dialplan and event socket files for FreeSWITCH, and announcements.
package conf
