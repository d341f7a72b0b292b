package e2e_test

import (
	"os/exec"
	"testing"
	"time"
)

func TestTmpTCP(t *testing.T) {
	program, err := exec.LookPath("freeswitch")
	if err != nil {
		t.Skip()
	}
	d := startDaemon(t)
	handset := newPhone(t)
	server := startFreeSWITCH(t, program, d.Address(), handset.addr, freePort(t), true)
	for _, n := range []int{100, 5000, 10000, 20000, 20000, 20000, 22000, 5000} {
		start := time.Now()
		final, err := inviteByTCP(t, server, "95211613", "05925550099", n)
		t.Log(n, final, err, time.Since(start))
	}
	_, by, _ := recordsOf(t, d, 8)
	t.Log(by, statusOf(t, d).FailOpen)
}
