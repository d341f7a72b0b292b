package replay

import (
	"strconv"
	"time"

	"ringfence/detect"
	"ringfence/policy"
	"ringfence/traffic"
)

// maxUnderWay bounds the calls that are under way at one moment. What is more ends early.
const maxUnderWay = 1 << 14

// forgetsEvery is how often what is too old is forgotten.
const forgetsEvery = 12 * time.Hour

// How long a call is taken to hear us. A challenge lasts so long for each try.
const (
	hearsAnnouncement = 10 * time.Second
	hearsChallenge    = 15 * time.Second
	hearsEnd          = 3 * time.Second // of what it is told when it gives way to another
)

// liveRun is a policy that goes through calls in their own time, as it would have gone through them live: with what its detectors
// have counted, and what the ends of calls have taught so far. A call ends when it did, and a later one sees that.
type liveRun struct {
	mind   *mind
	set    *detect.Set     // nil for a policy without detectors
	memory *traffic.Memory // challenges, and who is held
	passes bool            // who is labelled as wanted passes a challenge

	now, ticked, forgot time.Time
	ahead               queue[event]
	calls               uint64

	tally liveTally

	// Of the call that is decided.
	call  policy.Call
	d     policy.Decision
	rings bool // a phone rings, perhaps after a challenge that was passed
}

// event is what is still to come of a call.
type event struct {
	call    *policy.Call // nil: nobody but detectors is told
	teaches bool         // whom a line deals with is learnt from it
	way     direction
	shown   string
	talked  time.Duration

	count  *detect.Count // nil: detectors are told nothing
	end    detect.End
	holder string // of the caller's range

	hearing *hearing // of a call that hears us: it is over
}

func newLiveRun(m *mind, o *Options) *liveRun {
	run := &liveRun{mind: m, memory: traffic.New(nil), passes: o.WantedPass}
	if k := m.known; k != nil {
		if run.memory.Known = k.Known; k.again != nil {
			run.memory.Again = k.again
		}
	}
	if detectors := m.judge.Policy.Detectors(); len(detectors) > 0 {
		run.set = detect.New(detectors, detect.Options{Zone: m.judge.Policy.Zone(), Sink: &run.tally})
	}
	run.tally.begin(m.judge.Policy)
	return run
}

// pass lets time go by up to a moment: calls end, breakers move on.
func (run *liveRun) pass(to time.Time) {
	for run.due(to) {
		run.happens()
	}
	run.tick(to)
	if to.After(run.now) {
		run.now = to
	}
}

func (run *liveRun) due(to time.Time) bool {
	at, ok := run.ahead.first()
	return ok && at <= to.UnixNano()
}

// happens takes what comes next.
func (run *liveRun) happens() {
	at, _ := run.ahead.first()
	moment := time.Unix(0, at).UTC()
	run.tick(moment)
	if moment.After(run.now) {
		run.now = moment
	}
	e := run.ahead.take()
	if e.count != nil {
		run.tally.holder = e.holder
		run.set.Ended(e.count, e.end)
	}
	if p := run.mind.judge.Policy; e.call != nil {
		if e.way == directionIn {
			run.memory.Ended(p, &e.call.Caller, e.end.Rang, e.end.Answered, e.talked, moment)
		}
		if e.teaches {
			run.mind.known.over(p, e.call, e.way, e.shown, e.talked, moment)
		}
	}
	if e.hearing != nil {
		e.hearing.leave()
	}
}

// tick tells the detectors of the time, once a minute as the daemon does; where no calls came for long, less often. What no rule asks
// for any more is forgotten.
func (run *liveRun) tick(to time.Time) {
	if run.ticked.IsZero() {
		run.ticked, run.forgot = to, to
	}
	if to.Sub(run.forgot) >= forgetsEvery {
		run.memory.Forget(run.mind.judge.Policy, to)
		run.forgot = to
	}
	if run.set == nil {
		return
	}
	const most = 10_000
	step := max(time.Minute, to.Sub(run.ticked)/most)
	for next := run.ticked.Add(step); !next.After(to); next = next.Add(step) {
		run.set.Tick(next)
		run.ticked = next
	}
}

// decide takes a call that came in through the policy. What is found stands in run until the next one.
func (run *liveRun) decide(c *Call) does {
	m, p := run.mind, run.mind.judge.Policy
	run.calls++
	run.call = m.call(c)
	call := &run.call
	run.memory.Recall(p, call)
	if m.known != nil {
		m.known.knows(p, call) // with the house
	}
	run.memory.Called(p, call)
	w := detect.Way{Grace: run.grace}
	if run.tally.legs {
		w.Leg = strconv.FormatUint(run.calls, 10)
	}
	run.tally.holder = p.HolderOf(&call.Caller)
	d, n := run.set.Consider(p, call, m.judge.Lists, w)
	run.d = d
	what := run.carryOut(c, call, &d)
	passed := false
	if what == challenged {
		asked := traffic.Asked{Line: traffic.PassKeyOf(d.LineKey, &call.Callee), Callee: traffic.OwnKey(d.LineKey, &call.Callee), Caller: call.Caller.E164, At: call.Time}
		if passed = run.passes && c.label.given && !c.label.unwanted; passed {
			run.memory.Challenges.Passed(asked)
		} else {
			run.memory.Challenges.KeyedNothing(asked)
		}
	}
	run.rings = what <= labelled || passed || what == challenged && d.Otherwise == "allow"
	run.follow(c, &n, passed, p.Stops(&d))
	return what
}

// grace uses up the grace of a call.
func (run *liveRun) grace(c *policy.Call) bool {
	line, _ := run.mind.judge.Policy.LineCalled(&c.Callee)
	return run.memory.Challenges.TakeGrace(traffic.OwnKey(line.Key, &c.Callee), c.Caller.E164, c.Time)
}

// follow notes what is still to come of a call that was decided. One that is not let through is over.
func (run *liveRun) follow(c *Call, n *detect.Count, passed, stopped bool) {
	start := c.Facts.Time
	if !run.rings {
		if run.set != nil {
			run.set.Ended(n, detect.End{At: start})
		}
		return
	}
	if !c.Ended {
		return // nobody tells what became of it
	}
	e := event{way: directionIn, talked: c.talked()}
	at := start.Add(c.rang() + e.talked)
	e.end = detect.End{At: at, Answered: c.Answered, Talk: e.talked, Rang: c.Answered || !c.ringKnown || c.Ring > 0, Passed: passed}
	if run.set != nil {
		count := *n
		e.count, e.holder = &count, run.tally.holder
	}
	if passed || !stopped {
		e.teaches = c.Answered && e.talked >= policy.DialledTalk && run.mind.known != nil
	}
	if e.teaches || run.mind.judge.Policy.AsksScore() {
		call := run.call
		e.call = &call
	}
	if e.count != nil || e.call != nil {
		run.later(at, e)
	}
}

// dialled notes a call that went out: whom it was with is learnt when it ends.
func (run *liveRun) dialled(c *Call) {
	talked := c.talked()
	if run.mind.known == nil || !c.Answered || talked < policy.DialledTalk {
		return
	}
	call := run.mind.call(c)
	run.later(call.Time.Add(c.rang()+talked), event{call: &call, teaches: true, way: directionOut, shown: c.shown, talked: talked})
}

func (run *liveRun) later(at time.Time, e event) {
	if len(run.ahead.of) >= maxUnderWay {
		run.happens()
	}
	run.ahead.put(at, e)
}

// finish lets all calls end.
func (run *liveRun) finish() {
	for len(run.ahead.of) > 0 {
		run.happens()
	}
}

// talked is how long people talked.
func (c *Call) talked() time.Duration { return seconds(c.Talk) }

// rang is how long a phone rang, as far as the file says.
func (c *Call) rang() time.Duration { return seconds(c.Ring) }

func seconds(s float64) time.Duration { return time.Duration(min(s, 1e9) * float64(time.Second)) }

// does is what a policy does to a call.
type does uint8

const (
	lets       does = iota // the phone rings, nobody notices anything
	labelled               // it rings, with a label or after an announcement
	challenged             // the caller is asked for digits
	diverted
	rejected // also: hung up behind an announcement
)

var doesNames = [...]string{"lets", "labels", "challenges", "diverts", "rejects"}

func (d does) String() string { return doesNames[d] }

// carryOut is what becomes of a decision: where the trunk holds as many calls as it may, what overflow says.
func (run *liveRun) carryOut(c *Call, call *policy.Call, d *policy.Decision) does {
	what := [...]does{policy.Allow: lets, policy.Tag: labelled, policy.Warn: labelled, policy.Challenge: challenged, policy.Divert: diverted, policy.Reject: rejected}[d.Action]
	if d.Action == policy.Warn && d.Then == "hangup" {
		what = rejected
	}
	hears := hearsAnnouncement
	switch {
	case d.Action == policy.Challenge:
		hears = hearsChallenge * time.Duration(max(d.Tries, 1))
	case d.Announcement == "":
		return what
	}
	took, own := run.hold(c, call, hears)
	if took || d.Action == policy.Reject {
		return what
	}
	refuses := what == rejected || what == challenged && d.Otherwise == "reject"
	if d.Overflow == "reject" || own && refuses {
		return rejected
	}
	return lets
}

// hearing is the room that a call has which hears us.
type hearing struct {
	run   *liveRun
	taken *traffic.Place
	left  bool
}

// Dismiss has the call give way to another one.
func (x *hearing) Dismiss() { x.run.ahead.put(x.run.now.Add(hearsEnd), event{hearing: x}) }

// Passed reports whether the caller has keyed in what they were asked for.
func (x *hearing) Passed() bool { return false }

func (x *hearing) leave() {
	if !x.left {
		x.left = true
		x.run.memory.Held.Release(x.taken)
	}
}

// hold takes room for a call that hears us, as screening does. own says that it was the caller's own share that was full.
func (run *liveRun) hold(c *Call, call *policy.Call, hears time.Duration) (took, own bool) {
	trunk := run.mind.judge.Policy.TrunkNamed(call.Trunk)
	x := &hearing{run: run}
	want := traffic.Place{Account: trunk.Name, Caller: call.Caller.E164, Range: traffic.RangeOf(&call.Caller), Call: x}
	if !trunk.Known {
		want.Account, want.Unnamed = "address ", true
		if a := c.origin.switching.Address; a.IsValid() {
			want.Account += traffic.AddressOf(a.String())
		}
	}
	if x.taken, own = run.memory.Held.Take(want, trunk.MaxHeld); x.taken == nil {
		return false, own
	}
	run.later(run.now.Add(hears), event{hearing: x})
	return true, false
}
