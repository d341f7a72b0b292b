// Package freeswitch places calls through a real FreeSWITCH with the dialplan kit, when a `freeswitch` is on PATH: what can
// be seen there alone. What must be the same on all switches is in package e2e.
package freeswitch_test

import (
	"os"
	"testing"

	"ringfence/e2e/setup"
)

func TestMain(m *testing.M) { os.Exit(setup.Main(m.Run)) }
