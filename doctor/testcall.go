package doctor

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"ringfence/console"
)

// The test call comes from a number that nobody can have (999 is no country code) and goes to one that no
// phone has. It could still meet an extension that takes every number, or a rule that diverts callers
// without a valid number, and ring somewhere; so it carries ringfence_test=true, and the kit hangs such a
// call up: right behind the extension that screens it, and first of all in the context that diverts. The
// doctor has looked for that extension in the dialplan that the switch has in memory. Beyond that the call
// lives for testLimit at most.
const (
	testCallee = "*#000#*"
	testName   = "ringfence-doctor"
	testLimit  = 20 * time.Second // for the announcement that a rule may play to it
)

// journalWait is how long after the call its record may come.
const journalWait = 5 * time.Second

// testCall places a call through mod_loopback into the context where calls come in, and waits for the
// journal to have it.
func (x *examination) testCall(ctx context.Context) {
	if x.desk == nil {
		return // that the daemon does not run has been said
	}
	if loaded, err := x.sw.API(ctx, "module_exists mod_loopback"); err != nil || loaded != "true" {
		x.warn("no test call was placed: mod_loopback is not loaded", "fs_cli -x \"load mod_loopback\" and try again")
		return
	}
	caller := nobody()
	command := fmt.Sprintf("originate {ringfence_test=true,origination_caller_id_number=%s,origination_caller_id_name=%s,originate_timeout=%d}loopback/%s/%s/XML &hangup",
		caller, testName, int(testLimit.Seconds()), testCallee, x.o.Context)
	start := time.Now()
	answer, err := x.call(ctx, testLimit+10*time.Second, command)
	if err != nil {
		x.fail("the switch did not place a test call", err.Error())
		return
	}
	took := time.Since(start)
	r, err := x.recordOf(ctx, caller)
	switch {
	case err != nil:
		x.fail("the journal could not be asked for the test call", err.Error())
	case r == nil:
		x.fail(fmt.Sprintf("a test call to %s in the context %s did not reach the daemon (the switch said %.60q)", testCallee, x.o.Context, answer),
			"an extension in front of 000_ringfence.xml may take it, or the daemon's [screen] allow does not hold the switch's address; see fs_cli's log and the daemon's")
	case r.Rule == "fail-open":
		x.fail(fmt.Sprintf("the test call was not screened, it was let through (%s)", r.Reason), "see the daemon's log (journalctl -u ringfence)")
	default:
		x.ok("a test call from %s was screened and given back in %d ms: %s by rule %q; no handset rang", caller, took.Milliseconds(), r.Action, r.Rule)
	}
}

// recordOf waits for the journal's record of the call from a number.
func (x *examination) recordOf(ctx context.Context, caller string) (*console.Record, error) {
	ctx, cancel := context.WithTimeout(ctx, journalWait)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		var found *console.Record
		err := x.desk.Journal(ctx, console.Query{Caller: caller, Limit: 1, Newest: true}, func(r console.Record) error {
			found = &r
			return nil
		})
		switch {
		case found != nil:
			return found, nil
		case ctx.Err() != nil:
			return nil, nil
		case err != nil:
			return nil, err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, nil
		}
	}
}

// nobody is a number that is another one each time, and nobody's.
func nobody() string { return fmt.Sprintf("+99900%08d", rand.N(100_000_000)) }
