package conf

import "embed"

// SamplePolicy is the policy to start from; it only observes until its mode is changed.
//
//go:embed policy.toml
var SamplePolicy []byte

// SampleDaemon is the daemon's file as shipped.
//
//go:embed ringfence.toml
var SampleDaemon []byte

// FreeSWITCH holds the dialplans for FreeSWITCH, under "freeswitch", ready for a switch in China that runs on
// the daemon's machine. Package dialplan fits them to others and installs them.
//
//go:embed freeswitch
var FreeSWITCH embed.FS

// Asterisk holds the subroutine for Asterisk, under "asterisk", ready for a switch in China that runs on the
// daemon's machine.
//
//go:embed asterisk
var Asterisk embed.FS
