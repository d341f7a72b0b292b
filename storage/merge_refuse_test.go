package storage

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestMergeRefuses(t *testing.T) {
	now := epoch
	d := open(t, Options{Node: "a", Now: func() time.Time { return now }})
	good := rowAt(1, FromPerson, "cli", "x", 1)
	rows := map[string]func(*Row){
		"no pattern":     func(r *Row) { r.Pattern = "" },
		"long pattern":   func(r *Row) { r.Pattern = strings.Repeat("1", MaxPattern+1) },
		"NUL":            func(r *Row) { r.Pattern = "+1\x00" },
		"no UTF-8":       func(r *Row) { r.Reason = "\xff" },
		"long reason":    func(r *Row) { r.Reason = strings.Repeat("x", MaxReason+1) },
		"line break":     func(r *Row) { r.Who = "root\nroot" },
		"long source":    func(r *Row) { r.Source = strings.Repeat("x", MaxText+1) },
		"origin":         func(r *Row) { r.Origin = origins },
		"negative":       func(r *Row) { r.Stamp.Wall = -1 },
		"late":           func(r *Row) { r.Stamp.Wall = maxMillis + 1 },
		"added":          func(r *Row) { r.Added = -1 },
		"updated":        func(r *Row) { r.Updated = maxMillis + 1 },
		"expires":        func(r *Row) { r.Expires = -1 },
		"node":           func(r *Row) { r.Stamp.Node = "a\n" },
		"long node":      func(r *Row) { r.Stamp.Node = strings.Repeat("x", MaxNode+1) },
		"gone, and long": func(r *Row) { r.Gone, r.Source, r.Origin = true, strings.Repeat("x", MaxText+1), FromFeed },
	}
	for name, change := range rows {
		bad := good
		change(&bad)
		if _, _, err := d.Merge(mergeList, []Row{rowAt(2, FromPerson, "", "", 1), bad}, fromZ); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, change := range map[string]func(*Foreign){
		"nobody": func(f *Foreign) { f.Node = "" },
		"node":   func(f *Foreign) { f.Node = "z\n" },
		"kind":   func(f *Foreign) { f.Kind = "forget" },
		"who":    func(f *Foreign) { f.Who = "\x1b[2J" },
		"source": func(f *Foreign) { f.Source = strings.Repeat("x", MaxText+1) },
	} {
		bad := fromZ
		change(&bad)
		if _, _, err := d.Merge(mergeList, []Row{good}, bad); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, list := range []string{"", "a b", strings.Repeat("x", MaxListName+1)} {
		if _, _, err := d.Merge(list, []Row{good}, fromZ); !errors.Is(err, ErrInvalid) {
			t.Errorf("%q: %v", list, err)
		}
	}
	if _, _, err := d.Merge(mergeList, make([]Row, MaxEdit+1), fromZ); !errors.Is(err, ErrInvalid) {
		t.Error(err)
	}
	if lists, err := d.Lists(); err != nil || len(lists) > 0 {
		t.Errorf("%v, %v", lists, err)
	}
	day, further := good, rowAt(2, FromPerson, "", "", 1)
	day.Stamp.Wall, further.Stamp.Wall = epoch.Add(MaxAhead).UnixMilli(), epoch.Add(MaxAhead).UnixMilli()+1
	if r := mergeInto(t, d, 1, day, further); r.Early != 1 || r.ID == 0 {
		t.Errorf("%+v", r)
	}
	if r := mergeInto(t, d, 0, further); r.Early != 1 || r.ID != 0 {
		t.Errorf("%+v", r)
	}
	e := entry(1)
	e.Reason = "over it"
	if c, err := d.change1(mergeList, e); err != nil || c != Updated {
		t.Errorf("%v, %v", c, err)
	}
	mergeInto(t, d, 0, day)
	sound(t, d)
}
