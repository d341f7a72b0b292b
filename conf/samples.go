package conf

import _ "embed"

// SamplePolicy is the policy to start from; it only observes until its mode is changed.
//
//go:embed policy.toml
var SamplePolicy []byte

// SampleDaemon is the daemon's file as shipped.
//
//go:embed ringfence.toml
var SampleDaemon []byte
