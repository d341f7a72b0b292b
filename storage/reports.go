package storage

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/oklog/ulid/v2"
	bolt "go.etcd.io/bbolt"
)

// Bounds on reports.
const (
	// MaxReports is how many reports there may be. When they are so many, the oldest
	// that was decided goes for a new one; when all are open, the new one is refused.
	MaxReports = 100_000
	// MaxMarkers is how many of those who made a report are kept with it; who made it longest ago gives way.
	MaxMarkers = 16
	// pageReports is how many of them one read transaction collects.
	pageReports = 500
	// maxOldOpen is how many open reports of one caller are looked through for those of before reports were of customers.
	maxOldOpen = 64
)

// What became of a report (Report.State).
const (
	ReportOpen      = "open"      // nobody has looked at it yet
	ReportConfirmed = "confirmed" // the caller was put on a list for it
	ReportDismissed = "dismissed" // nothing came of it
	ReportLifted    = "lifted"    // it was confirmed, and the caller was taken off the list again
)

// Report says that a customer found a caller a nuisance. It waits for a person to
// decide. Its texts are UTF-8 without control characters; times are kept in UTC, to
// the millisecond.
type Report struct {
	ID        string    `json:"id"`
	Time      time.Time `json:"time"` // when it was made
	Caller    Caller    `json:"caller"`
	Extension string    `json:"extension"` // who made it first
	// Customer is whose it is: however many of its people report the caller, it is one report. NoLine for calls to numbers of no line; "" in one
	// that was made when each extension had a report of its own.
	Customer string `json:"customer,omitempty"`
	// Marks is who made it and when last, MaxMarkers at most, the latest last.
	Marks   []Mark    `json:"marks,omitempty"`
	Line    string    `json:"line"` // the line that was called
	Call    string    `json:"call"` // the journal's id of the call, "" if it is not known
	State   string    `json:"state"`
	Repeats int       `json:"repeats"`          // how often it was made again while it was open
	Last    time.Time `json:"last,omitzero"`    // when it was made the last time; zero without repeats
	Who     string    `json:"who,omitempty"`    // who decided
	Sealed  string    `json:"sealed,omitempty"` // the caller where Caller has a token, for who has the key
	Decided time.Time `json:"decided,omitzero"`
	// Free is how many of the last digits are free in what was listed for it: 0 is the number alone.
	Free int `json:"free,omitempty"`
	// Lifted and LiftedBy are when and by whom the caller was last taken off the list again.
	Lifted   time.Time `json:"lifted,omitzero"`
	LiftedBy string    `json:"lifted_by,omitempty"`
}

// Mark is one person's part in a report.
type Mark struct {
	Extension string    `json:"extension"`
	Time      time.Time `json:"time"`
	Call      string    `json:"call,omitempty"`
	Line      string    `json:"line,omitempty"` // the line that was called; "" in a mark of before that was kept, and for a number of none
}

// NoLine is the customer of all numbers that belong to no line: nothing is known that would tell them apart, and who has ten extensions must
// not count for ten.
const NoLine = "(no line)"

// Owner is the customer whose report it is; of one from before what was known of that, the line.
func (r *Report) Owner() string { return cmp.Or(r.Customer, r.Line, NoLine) }

// LastTime is when it was made the last time.
func (r *Report) LastTime() time.Time {
	if r.Last.After(r.Time) {
		return r.Last
	}
	return r.Time
}

// mark notes who made it.
func (r *Report) mark(m Mark) {
	r.Marks = slices.DeleteFunc(r.Marks, func(o Mark) bool { return o.Extension == m.Extension && (o.Line == m.Line || o.Line == "") })
	if len(r.Marks) >= MaxMarkers {
		r.Marks = slices.Delete(r.Marks, 0, len(r.Marks)-MaxMarkers+1)
	}
	r.Marks = append(r.Marks, m)
}

var (
	partAll     = []byte("all")
	partOpen    = []byte("open")
	partDecided = []byte("decided")
	keyReports  = []byte("reports")
)

// reportCount is kept in the file, so that nobody has to count.
type reportCount struct {
	Open    int `json:"open"`
	Decided int `json:"decided"`
}

// AddReport adds a report, whose ID, State and what follows it are set here; without a Customer it is the line's, or that of all numbers of no line. The same
// customer reporting the same caller (number or raw text) again while the first
// report is open makes no second one: that one's Repeats, Last, Call and Marks are brought
// up to date, and added is false. It returns the report as it is kept, on disk.
//
// There is ErrFull when MaxReports are open, and ErrInvalid for texts that cannot be
// kept: longer than 256 bytes, not UTF-8, or with control characters.
func (d *DB) AddReport(r Report) (kept Report, added bool, err error) {
	r.Customer = r.Owner()
	if err := checkReport(&r); err != nil {
		return Report{}, false, err
	}
	if r.Time.IsZero() {
		r.Time = d.now()
	}
	r.Time = millis(r.Time)
	mark := Mark{Extension: r.Extension, Time: r.Time, Call: r.Call, Line: r.Line}
	err = d.edit(func(tx *bolt.Tx) error {
		b := tx.Bucket(bucketReports)
		count, err := d.reportCount(tx)
		if err != nil {
			return err
		}
		old, err := d.openReport(b, &r, &count)
		if err != nil {
			return err
		}
		if old != nil {
			old.Repeats++
			old.Last, old.Call, old.Line = r.Time, r.Call, r.Line
			old.mark(mark)
			kept, added = *old, false
			return errors.Join(putJSON(b.Bucket(partAll), old.ID, old), putJSON(tx.Bucket(bucketMeta), string(keyReports), count))
		}
		if count.Open+count.Decided >= d.maxReports {
			if err := d.dropDecided(b, &count); err != nil {
				return err
			}
		}
		r.ID, r.State, r.Repeats, r.Last, r.Who, r.Decided = NewID(r.Time), ReportOpen, 0, time.Time{}, "", time.Time{}
		r.Free, r.Lifted, r.LiftedBy, r.Marks = 0, time.Time{}, "", []Mark{mark}
		if err := putJSON(b.Bucket(partAll), r.ID, r); err != nil {
			return err
		}
		if err := b.Bucket(partOpen).Put(r.openKey(), []byte(r.ID)); err != nil {
			return err
		}
		count.Open++
		kept, added = r, true
		return putJSON(tx.Bucket(bucketMeta), string(keyReports), count)
	})
	if err != nil {
		return Report{}, false, explain("adding a report", err)
	}
	return kept, added, nil
}

// openReport is the open report that another mark of the same customer and caller belongs to, nil if there is none. Those of before reports
// were of customers, when each extension had one of its own, become that one.
func (d *DB) openReport(b *bolt.Bucket, r *Report, count *reportCount) (found *Report, err error) {
	open := b.Bucket(partOpen)
	take := func(key, id []byte) error {
		old, err := d.report(b, string(id[:min(len(id), ulid.EncodedSize)]))
		if errors.Is(err, ErrNoReport) || err == nil && old.State != ReportOpen { // an older program has decided it, and left the key
			return open.Delete(key)
		}
		if err != nil {
			return err
		}
		if old.Owner() != r.Customer && (old.Customer != "" || old.Extension != r.Extension && (old.Line == "" || old.Line != r.Line)) {
			return nil
		}
		if found == nil {
			found = &old
			if old.Customer != "" {
				return nil
			}
			found.Customer = r.Customer
			found.mark(Mark{Extension: old.Extension, Time: old.LastTime(), Call: old.Call, Line: old.Line})
			return errors.Join(open.Delete(key), open.Put(found.openKey(), []byte(old.ID)))
		}
		if old.Customer != "" {
			return nil
		}
		found.Repeats += old.Repeats + 1
		found.mark(Mark{Extension: old.Extension, Time: old.LastTime(), Call: old.Call, Line: old.Line})
		count.Open--
		return errors.Join(open.Delete(key), b.Bucket(partAll).Delete([]byte(old.ID)))
	}
	key := r.openKey()
	if id := open.Get(key); id != nil {
		if err := take(key, bytes.Clone(id)); err != nil || found != nil {
			return found, err
		}
	}
	of := []byte(r.callerKey() + "\x00")
	var keys, ids [][]byte // an open cursor does not survive what take does
	c := open.Cursor()
	for k, id := c.Seek(of); bytes.HasPrefix(k, of) && len(keys) < maxOldOpen; k, id = c.Next() {
		keys, ids = append(keys, bytes.Clone(k)), append(ids, bytes.Clone(id))
	}
	for i := range keys {
		if err := take(keys[i], ids[i]); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// dropDecided makes room for one report.
func (d *DB) dropDecided(b *bolt.Bucket, count *reportCount) error {
	id, _ := b.Bucket(partDecided).Cursor().First()
	if id == nil {
		return &fault{kind: ErrFull, text: fmt.Sprintf(
			"there are %d reports to review, which is the most that are kept: confirm or dismiss some first (ringfence reports ls)", count.Open)}
	}
	key := append([]byte(nil), id[:min(len(id), ulid.EncodedSize)]...)
	if err := b.Bucket(partAll).Delete(key); err != nil {
		return err
	}
	count.Decided--
	return b.Bucket(partDecided).Delete(key)
}

// DecideReport closes a report: state is ReportConfirmed, ReportDismissed or ReportLifted, who is
// whoever says so. It returns the report as it is kept, on disk. changed is false if
// it was decided so before, and where the one does not follow from the other, its State then tells: only a confirmed one can be lifted, and it
// cannot be dismissed. One that was dismissed or lifted can be confirmed. There is
// ErrNoReport for an unknown id.
func (d *DB) DecideReport(id, state, who string) (r Report, changed bool, err error) {
	return d.decide(id, state, who, 0)
}

// ConfirmReport is DecideReport for one that is confirmed with so many of the last digits free.
func (d *DB) ConfirmReport(id, who string, free int) (r Report, changed bool, err error) {
	return d.decide(id, ReportConfirmed, who, free)
}

// follows are the states that may come after one.
var follows = map[string][]string{
	ReportOpen:      {ReportConfirmed, ReportDismissed},
	ReportDismissed: {ReportConfirmed},
	ReportConfirmed: {ReportLifted},
	ReportLifted:    {ReportConfirmed},
}

func (d *DB) decide(id, state, who string, free int) (r Report, changed bool, err error) {
	if state != ReportConfirmed && state != ReportDismissed && state != ReportLifted {
		return r, false, invalid("a report cannot become %q", state)
	}
	if err := checkReportText("who", who, MaxText); err != nil {
		return r, false, err
	}
	key, ok := parseID(id)
	if !ok {
		return r, false, noReport(id)
	}
	err = d.edit(func(tx *bolt.Tx) error {
		b := tx.Bucket(bucketReports)
		if r, err = d.report(b, key); err != nil {
			return err
		}
		if changed = slices.Contains(follows[r.State], state); !changed {
			return errNothing
		}
		if r.State == ReportOpen {
			count, err := d.reportCount(tx)
			if err != nil {
				return err
			}
			count.Open--
			count.Decided++
			if err := putJSON(tx.Bucket(bucketMeta), string(keyReports), count); err != nil {
				return err
			}
			if err := b.Bucket(partOpen).Delete(r.openKey()); err != nil {
				return err
			}
			if err := b.Bucket(partDecided).Put([]byte(key), nil); err != nil {
				return err
			}
		}
		now := millis(d.now())
		if r.State = state; state == ReportLifted {
			r.Lifted, r.LiftedBy = now, who
		} else {
			r.Who, r.Decided, r.Free = who, now, free
		}
		return putJSON(b.Bucket(partAll), key, r)
	})
	if err != nil && err != errNothing {
		return Report{}, false, explain("deciding the report "+key, err)
	}
	return r, changed, nil
}

// Report returns one report. There is ErrNoReport for an unknown id.
func (d *DB) Report(id string) (r Report, err error) {
	key, ok := parseID(id)
	if !ok {
		return r, noReport(id)
	}
	err = d.view(func(tx *bolt.Tx) error {
		r, err = d.report(tx.Bucket(bucketReports), key)
		return err
	})
	return r, err
}

// Reports calls yield for each report of a state, or for all ("" ), the oldest first,
// until yield returns an error, which Reports then returns. It reads in pages and
// passes over what is damaged, as Entries does.
func (d *DB) Reports(state string, yield func(Report) error) error {
	find := func(tx *bolt.Tx) *bolt.Bucket {
		if b := tx.Bucket(bucketReports); b != nil {
			return b.Bucket(partAll)
		}
		return nil
	}
	return eachKey(d, find, ulid.EncodedSize, pageReports, "reports", decodeReport, func(r Report) error {
		if state != "" && r.State != state {
			return nil
		}
		return yield(r)
	})
}

// ReportCount returns how many reports are open and how many were decided.
func (d *DB) ReportCount() (open, decided int, err error) {
	err = d.view(func(tx *bolt.Tx) error {
		count, err := d.reportCount(tx)
		open, decided = count.Open, count.Decided
		return err
	})
	return open, decided, err
}

func (d *DB) reportCount(tx *bolt.Tx) (c reportCount, err error) {
	v := tx.Bucket(bucketMeta).Get(keyReports)
	if v == nil {
		return c, nil
	}
	if err := decodeJSON(v, &c); err != nil {
		return c, corrupt(d.file, fmt.Errorf("the number of its reports: %w", err))
	}
	return c, nil
}

// report reads one from the bucket of them, which may be missing.
func (d *DB) report(b *bolt.Bucket, id string) (Report, error) {
	var v []byte
	if b != nil {
		v = b.Bucket(partAll).Get([]byte(id))
	}
	if v == nil {
		return Report{}, noReport(id)
	}
	r, err := decodeReport([]byte(id), v)
	if err != nil {
		return Report{}, corrupt(d.file, err)
	}
	return r, nil
}

func decodeReport(k, v []byte) (r Report, err error) {
	if err := decodeJSON(v, &r); err != nil {
		return Report{}, fmt.Errorf("report %q: %w", short(k), err)
	}
	if r.ID != string(k) {
		return Report{}, fmt.Errorf("report %q: it says its id is %.40q", short(k), r.ID)
	}
	return r, nil
}

// openKey is under what an open report is found again: whose it is, and of whom. One from before, without a Customer, is
// under the extension.
func (r *Report) openKey() []byte {
	return []byte(r.callerKey() + "\x00" + cmp.Or(r.Customer, r.Extension))
}

func (r *Report) callerKey() string { return cmp.Or(r.Caller.E164, r.Caller.Raw) }

func noReport(id string) error {
	return &fault{kind: ErrNoReport, text: fmt.Sprintf("there is no report %.40q: `ringfence reports ls` names those there are", id)}
}

func checkReport(r *Report) error {
	for _, f := range []struct {
		name, text string
		max        int
	}{
		{"caller", r.Caller.Raw, MaxText},
		{"number", r.Caller.E164, MaxText},
		{"kind", r.Caller.Kind, MaxText},
		{"extension", r.Extension, MaxText},
		{"customer", r.Customer, MaxText},
		{"line", r.Line, MaxText},
		{"call", r.Call, MaxText},
		{"sealed caller", r.Sealed, 4 * MaxText},
	} {
		if err := checkReportText(f.name, f.text, f.max); err != nil {
			return err
		}
	}
	if r.Extension == "" {
		return invalid("a report without an extension: give the one that reports")
	}
	if y := r.Time.Year(); !r.Time.IsZero() && (y < 1970 || y > 9999) {
		return invalid("a report of the year %d: use 1970 to 9999", y)
	}
	return nil
}

func checkReportText(name, text string, max int) error {
	switch {
	case len(text) > max:
		return invalid("a report's %s has %d bytes; make it %d at most", name, len(text), max)
	case !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl):
		return invalid("a report's %s is not UTF-8 or has a control character in it: take it out", name)
	}
	return nil
}
