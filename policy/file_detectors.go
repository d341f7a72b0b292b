package policy

import (
	"fmt"
	"math"
	"sort"
	"strconv"
	"strings"
	"time"

	"ringfence/number"
	"ringfence/tomlfile"
)

// What a detector may be told.
const (
	minWindow, maxWindow = time.Minute, 7 * day
	minHold, maxHold     = 10 * time.Second, 30 * day
	// maxDecoyHold is the longest hold of a detector that counts decoys alone: whoever forges a number twice condemns the one who has it, so that
	// past this a person decides.
	maxDecoyHold = time.Hour
	maxTrip      = 100_000
	maxWeight    = 100
	minDigits    = 2  // of a prefix; one digit is half of a country
	maxDigits    = 12 // of a prefix; a longer one is a number
)

// detectorKeys are the keys of [[detector]].
var detectorKeys = []string{
	"name", "key", "depth", "count", "per_line", "window", "trip", "share", "surge", "at_least", "short",
	"hold", "hold_max", "probe", "protect", "max_share", "mode",
}

// readDetectors reads the [[detector]] tables, after the lines and ranges that they speak of.
func (r *reader) readDetectors() {
	for i, s := range r.top.tables("detector") {
		if i == MaxDetectors {
			s.fs.add(s.at.Line, "detector", "is detector number %d, more than a policy may have: take out those that no rule asks for", MaxDetectors+1)
			return
		}
		d := r.readDetector(s)
		r.policy.detectors = append(r.policy.detectors, d)
		switch {
		case d.weakGround() != "":
			r.policy.weak = r.policy.weak.With(i)
		case d.Key != ByTrunk:
			r.policy.ofCaller = r.policy.ofCaller.With(i)
		}
	}
}

func (r *reader) readDetector(s *section) Detector {
	s.only(detectorKeys, map[string]string{
		"keys":      "is not known here: write key, one of " + orList(keyNames[:]),
		"threshold": "is not known here: write trip, the count at which it trips",
		"action":    "is for rules: write a [[rule]] with when = { tripped = [\"…\"] } that says what becomes of the calls",
	})
	d := Detector{Name: s.newName("detector", "range wakes", r.detectorAt), line: s.at.Line}
	keyed := r.readKey(s, &d)
	counted := s.readCount(&d)
	s.readWindow(&d)
	s.readTrip(&d)
	s.readHold(&d)
	d.Probe = s.number("probe", 3, 1, 20)
	d.MaxShare = s.fraction("max_share", 0.3, "it may touch no call at all: write mode = \"observe\" for that")
	r.readProtect(s, &d)
	if s.oneOf("mode", "enforce", "observe") == "observe" {
		d.Mode = Observe
	}
	if keyed && counted {
		r.checkDetector(s, &d)
	}
	return d
}

// readKey reads key and depth; ok is false if there is no key that can be used.
func (r *reader) readKey(s *section, d *Detector) bool {
	if !s.has("key") {
		s.fault("key", "is missing: write what is counted apart, one of %s", orList(keyNames[:]))
		return false
	}
	text, ok := s.text("key", "prefix")
	if !ok {
		return false
	}
	word, digits, fixed := strings.Cut(text, ":")
	known := false
	for i, name := range keyNames {
		if name == word {
			d.Key, known = DetectorKey(i), true
		}
	}
	switch {
	case !known || fixed && d.Key != ByPrefix:
		s.fault("key", "%q is nothing that is counted apart: %s", text, tomlfile.DidYouMean(text, keyNames[:]))
		return false
	case fixed:
		n, err := strconv.Atoi(digits)
		if err != nil || n < minDigits || n > maxDigits || strconv.Itoa(n) != digits {
			s.fault("key", "%q: write from %d to %d digits behind the colon, as in key = %q", text, minDigits, maxDigits, "prefix:6")
			return false
		}
		d.Levels = []Level{{Digits: n}}
		if s.has("depth") {
			s.fault("depth", "does nothing with key = %q, which has one depth: write key = \"prefix\", or take depth out", text)
			return false
		}
	case d.Key == ByPrefix:
		return s.readDepth(d)
	case s.has("depth"):
		s.fault("depth", "is the digits of prefixes, and does nothing with key = %q: write trip, or key = \"prefix\"", text)
		return false
	case d.Key == ByHolder && len(r.policy.ranges.holders) == 0:
		s.fault("key", "%q counts by who holds a number, and the file names nobody: write whose the prefixes are, as in [ranges] with %q = %q", text, "952112*", "firm A")
		return false
	}
	return true
}

// readDepth reads how many digits trip at which count.
func (s *section) readDepth(d *Detector) bool {
	const example = `depth = { 6 = 5, 7 = 5 }`
	if !s.has("depth") {
		s.fault("depth", "is missing: write after how many digits of the national number a prefix is counted apart and at which count it trips, as in %s; or one depth alone, as in key = %q", example, "prefix:6")
		return false
	}
	table := s.table("depth", example)
	if table == nil {
		return false
	}
	if len(table.values) == 0 {
		s.fault("depth", "is empty: write digits and the count at which they trip, as in %s", example)
		return false
	}
	for _, key := range table.inOrder() {
		digits, err := strconv.Atoi(key)
		if err != nil || digits < minDigits || digits > maxDigits || strconv.Itoa(digits) != key {
			why := "nothing so wide or so narrow is a range that can be blamed"
			if err != nil || strconv.Itoa(digits) != key {
				why = "it is the digits of a prefix"
			}
			table.fault(key, "%s: write a number from %d to %d, as in %s", why, minDigits, maxDigits, example)
			continue
		}
		d.Levels = append(d.Levels, Level{digits, table.number(key, 5, 2, maxTrip)})
	}
	sort.Slice(d.Levels, func(i, j int) bool { return d.Levels[i].Digits < d.Levels[j].Digits })
	return len(d.Levels) > 0
}

// readCount reads what is counted: a word, or a table of words and what each adds.
func (s *section) readCount(d *Detector) bool {
	const example = `count = "strangers"`
	parse := func(at *section, key, word string) (Counted, bool) {
		for i, name := range countedNames {
			if name == word {
				return Counted(i), true
			}
		}
		at.fault(key, "%q is nothing that is counted: %s", word, tomlfile.DidYouMean(word, countedNames[:]))
		return 0, false
	}
	switch v := s.values["count"].(type) {
	case nil:
		s.fault("count", "is missing: write what is counted, one of %s", orList(countedNames[:]))
	case string:
		if what, ok := parse(s, "count", v); ok {
			d.Count = []Weighed{{what, 1}}
		}
	case map[string]any:
		table := s.table("count", example)
		if len(v) == 0 {
			s.fault("count", "is empty: write what is counted and what each adds, as in count = { first_time = 1, decoys = 3 }")
		}
		for _, key := range table.inOrder() {
			what, ok := parse(table, key, key)
			weight := table.number(key, 1, 1, maxWeight)
			switch {
			case !ok:
			case what == CountConcurrent && len(v) > 1:
				table.fault(key, "is how many calls there are at one moment, and cannot be added to what comes within a window: write a detector of its own for it")
			default:
				d.Count = append(d.Count, Weighed{what, weight})
			}
		}
		sort.Slice(d.Count, func(i, j int) bool { return d.Count[i].Count < d.Count[j].Count })
	default:
		s.fault("count", "is %s: write a word in quotes, as in %s, or a table, as in count = { first_time = 1, decoys = 3 }", tomlfile.TypeName(v), example)
	}
	return len(d.Count) > 0
}

// readWindow reads what is counted together.
func (s *section) readWindow(d *Detector) {
	concurrent := d.Counts(CountConcurrent)
	if !s.has("window") && !concurrent {
		s.fault("window", "is missing: write within what time is counted, as in window = %q", "3h")
	}
	d.Window = s.duration("window", 3*time.Hour, minWindow, maxWindow)
	d.Short = s.duration("short", 6*time.Second, time.Second, time.Minute)
	if s.has("short") && len(d.Count) > 0 && !d.Counts(CountShortCalls) {
		s.fault("short", "does nothing, since short_calls are not counted: take it out, or count them")
	}
	if s.has("per_line") {
		d.PerLine = s.number("per_line", 3, 1, maxTrip)
	}
}

// readTrip reads when the detector trips: at a count, at a share of the calls, or at a multiple of the key's own habit.
func (s *section) readTrip(d *Detector) {
	var given []string
	for _, way := range []string{"trip", "share", "surge"} {
		if s.has(way) {
			given = append(given, way)
		}
	}
	switch depth := s.has("depth"); {
	case depth && len(given) > 0:
		s.fault(given[0], "is one too many, since depth has the count at which each prefix trips: take one of the two out, or write key = %q for one depth", "prefix:6")
	case !depth && len(given) == 0 && s.values["key"] != "prefix":
		s.fault("trip", "is missing: write the count at which it trips, as in trip = 20; or share = 0.5 of the calls; or surge = 8 times what is usual")
	case len(given) > 1:
		s.fault(given[1], "is one too many beside %s: a detector trips in one way, so take one of them out, or write two detectors", given[0])
	case s.has("at_least") && len(given) == 1 && given[0] == "trip", s.has("at_least") && depth:
		s.fault("at_least", "does nothing without share or surge: take it out")
	}
	if s.has("trip") {
		d.Trip = s.number("trip", 20, 2, maxTrip)
		for i := range d.Levels {
			d.Levels[i].Trip = d.Trip // of prefix:N
		}
	}
	if s.has("share") {
		d.Share = s.fraction("share", 0.5, "every call would trip it")
		d.AtLeast = 20
	}
	if s.has("surge") {
		d.Surge = s.decimal("surge", 8, math.Nextafter(1, 2), 1000, "how many times as many as are usual, above 1 and at most 1000")
		d.AtLeast = 8
	}
	if s.has("at_least") {
		d.AtLeast = s.number("at_least", max(d.AtLeast, 8), 2, maxTrip)
	}
}

// readHold reads how long it stays tripped.
func (s *section) readHold(d *Detector) {
	longest := maxHold
	if d.byDecoys() {
		longest = maxDecoyHold
		for _, key := range []string{"hold", "hold_max"} {
			text, _ := s.values[key].(string)
			if span, err := ParseSpan(text); err == nil && span > longest {
				s.fault(key, "is %q, and this detector %s: write at most %s; what is to be held longer, a person pins (ringfence detectors pin)", text, d.weakGround(), spanText(longest))
				delete(s.values, key)
			}
		}
	}
	d.Hold = s.duration("hold", time.Hour, minHold, longest)
	d.HoldMax = min(7*d.Hold, longest)
	d.HoldMax = s.duration("hold_max", d.HoldMax, minHold, longest)
	if d.HoldMax < d.Hold {
		s.fault("hold_max", "is %s, less than hold: write %s or more", spanText(d.HoldMax), spanText(d.Hold))
	}
}

// readProtect reads whom the detector never counts and never touches: patterns, and lists behind "list:".
func (r *reader) readProtect(s *section, d *Detector) {
	var numbers []word
	for _, w := range s.texts("protect", "95588") {
		name, list := strings.CutPrefix(w.text, "list:")
		if !list {
			numbers = append(numbers, w)
			continue
		}
		if l, ok := r.listName(s, "protect", word{name, w.line}); ok {
			d.protect.lists = append(d.protect.lists, l)
			r.policy.protect(l, len(r.policy.detectors))
		}
	}
	d.protect.text = r.patterns(s, "protect", numbers)
}

// checkDetector refuses what can never trip, or means nothing.
func (r *reader) checkDetector(s *section, d *Detector) {
	p := r.policy
	if d.Counts(CountDecoys) && !p.hasDecoys() {
		s.warn("count", "counts calls to decoys, and the file has none: write [lines.unused] with the numbers that nobody has and decoy = true")
	}
	for _, w := range d.Count {
		if why := d.pointless(w.Count); why != "" {
			s.fault("count", "%s", why)
		}
	}
	once := true
	for _, w := range d.Count {
		once = once && d.Key == ByCaller && (w.Count == CountStrangers || w.Count == CountFirstTime || w.Count == CountCallers)
	}
	if once {
		s.fault("count", "is of callers, each once, and key = \"caller\" counts each caller apart, so it never gets beyond one: write key = \"prefix\" or \"all\", or count calls or callees")
	}
	switch least := d.leastTrip(); {
	case d.PerLine == 0:
	case d.Key == ByCallee:
		s.fault("per_line", "does nothing with key = \"callee\", which counts each called number apart: take it out")
	case len(d.Count) == 1 && (d.Counts(CountCallees) || d.Counts(CountDecoys) || d.Counts(CountConcurrent) || d.Counts(CountSequential)):
		s.fault("per_line", "does nothing with count = %q: take it out", d.Count[0].Count)
	case len(d.Count) == 1 && least > 0 && d.PerLine >= least:
		s.warn("per_line", "is %d, so that calls to one line alone can trip it, which trips at %d: write a smaller one, or take it out", d.PerLine, least)
	}
	for _, w := range d.Count {
		if least := d.leastTrip(); len(d.Count) > 1 && least > 0 && w.Weight >= least {
			s.warn("count", "%s adds %d, so that one alone trips it, at %d: write a smaller weight, or a higher trip", w.Count, w.Weight, least)
		}
	}
	if d.Surge > 0 && d.Key == ByCaller {
		s.warn("surge", "goes by the habit of each caller, and hardly one has any: write trip, or another key")
	}
}

// pointless says why it makes no sense that the detector counts something; "" if it does.
func (d *Detector) pointless(what Counted) string {
	many := len(d.Count) > 1
	switch {
	case what == CountCallees && d.Key == ByCallee:
		return "callees is always one with key = \"callee\", which counts each called number apart: count calls or callers"
	case what == CountSequential && d.Key == ByCallee:
		return "sequential goes by calls to one number after the other, and key = \"callee\" counts each called number apart: write another key"
	case what == CountDecoys && d.Key == ByCallee:
		return "decoys are called numbers, and key = \"callee\" counts each called number apart: write key = \"caller\" or \"prefix\""
	case d.Share > 0 && many:
		return "has weights, and share is a part of calls: write trip, or one word under count"
	case d.Share > 0 && what == CountCalls:
		return "calls are all calls, so that their share is always 1: count short_calls, unanswered, strangers or first_time, or write trip"
	case d.Share > 0 && (what == CountConcurrent || what == CountSequential || what == CountReports):
		return fmt.Sprintf("%s are no part of the calls within a window: write trip instead of share", what)
	case d.Surge > 0 && (what == CountConcurrent || what == CountSequential || what == CountReports || what == CountDecoys):
		return fmt.Sprintf("%s have no habit by the hour that a surge could be told from: write trip instead of surge", what)
	}
	return ""
}

// leastTrip is the lowest count at which it trips, 0 if it goes by a share or a habit.
func (d *Detector) leastTrip() int {
	least := d.Trip
	for i, l := range d.Levels {
		if i == 0 || l.Trip < least {
			least = l.Trip
		}
	}
	return least
}

// fraction reads a part of a whole, above 0 and at most 1; missing is the default. zero says what 0 would mean.
func (s *section) fraction(key string, byDefault float64, zero string) float64 {
	if v := s.values[key]; v == int64(0) || v == 0.0 {
		s.fault(key, "is 0, with which %s; else a part from above 0 to 1, as in %s = %v", zero, key, byDefault)
		return byDefault
	}
	return s.decimal(key, byDefault, math.SmallestNonzeroFloat64, 1, "a part, from above 0 to 1")
}

// decimal reads a number with or without decimals within bounds, both included, which form says in words; missing is the default.
func (s *section) decimal(key string, byDefault, low, high float64, form string) float64 {
	v, there := s.values[key]
	if !there {
		return byDefault
	}
	n, ok := v.(float64)
	if whole, is := v.(int64); is {
		n, ok = float64(whole), true
	}
	switch {
	case !ok:
		s.fault(key, "is %s: write %s, without quotes, as in %s = %v", tomlfile.TypeName(v), form, key, byDefault)
	case math.IsNaN(n) || n < low || n > high:
		s.fault(key, "is %v: write %s, as in %s = %v", n, form, key, byDefault)
	default:
		return n
	}
	return byDefault
}

// ranges are who holds which numbers.
type ranges struct {
	index   *number.Index
	holders []string // by the number of their pattern in the index
}

// MaxRanges bounds [ranges].
const MaxRanges = 10_000

// readRanges reads who holds which numbers.
func (r *reader) readRanges() {
	const example = `"952112*" = "firm A"`
	s := r.top.table("ranges", "[ranges] with "+example)
	if s == nil {
		return
	}
	p := r.policy
	p.ranges.index = number.NewIndex()
	taken := make(map[number.Pattern]string)
	for i, key := range s.inOrder() {
		if i == MaxRanges {
			s.fault(key, "is range number %d, more than a policy may have: put ranges of one holder into wider patterns", MaxRanges+1)
			return
		}
		holder, ok := s.text(key, "firm A")
		switch {
		case !ok:
			continue
		case holder == "":
			s.fault(key, "is empty: write who holds these numbers, as in %s", example)
		case number.Inert(holder) != holder:
			s.fault(key, "%s", inertAdvice(holder))
		}
		for _, n := range r.patterns(s, key, []word{{key, s.line(key)}}) {
			if other, twice := taken[n.Pattern]; twice {
				s.fault(key, "is the same numbers as %q: take one of them out", other)
				continue
			}
			taken[n.Pattern] = key
			if why := p.plan.Dead(n.Pattern); why != "" && !n.IsExact() {
				s.warn(key, "takes no call: %s", why)
			}
			p.ranges.index.Add(n.Pattern, uint32(len(p.ranges.holders)))
			p.ranges.holders = append(p.ranges.holders, holder)
		}
	}
}
