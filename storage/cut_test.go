package storage

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// sector is what a disk writes whole or not at all.
const sector = 512

// image is the file after a write that was acknowledged, and what is in it.
type image struct {
	data  []byte
	state map[string]string
}

// stateOf is everything the file says about lists, settings and changes.
func stateOf(t testing.TB, d *DB) map[string]string {
	t.Helper()
	state := map[string]string{}
	check(t, d.EachEntry(func(list string, e Entry) error {
		state[fmt.Sprint(list, " ", e.Pattern, " ", keyOf(e.Origin, e.Source))] = fmt.Sprintf("%s %d %v", e.Reason, e.Change, e.Expires)
		return nil
	}))
	check(t, d.Changes(func(r ChangeRecord) error {
		state[fmt.Sprint("change ", r.ID)] = fmt.Sprintf("%+v", r)
		return nil
	}))
	v, err := d.Setting("pause")
	check(t, err)
	state["pause"] = string(v)
	if report, err := d.Verify(); err != nil || len(report.Faults) > 0 {
		t.Fatalf("%+v, %v", report, err)
	}
	return state
}

// openImage opens bytes as a file that a power cut left.
func openImage(t testing.TB, data []byte, use func(*DB)) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "ringfence.db")
	check(t, os.WriteFile(file, data, 0o600))
	d, err := Open(file, Options{})
	if err != nil {
		t.Fatalf("it does not open: %v", err)
	}
	use(d)
	check(t, d.Close())
	check(t, os.Remove(file))
}

// cutShort is what a power cut may leave of a write from one image to the next. touched: some of the header was written too.
func cutShort(rnd *rand.Rand, before, after []byte) (data []byte, touched bool) {
	header := 2 * os.Getpagesize() // the two that bbolt writes in turn
	data = bytes.Clone(before)
	grown := len(after)
	if rnd.IntN(2) == 0 && len(after) > len(before) { // the file has not grown all the way
		grown = len(before) + rnd.IntN(len(after)-len(before))
	}
	data = append(data, make([]byte, max(0, grown-len(data)))...)
	whole := grown == len(after) && rnd.IntN(3) == 0 // all but the header is written
	share := rnd.Float64()
	for at := header; at < len(data); at += sector {
		end := min(at+sector, len(data))
		switch {
		case whole || rnd.Float64() < share:
			copy(data[at:end], after[min(at, len(after)):])
		case rnd.IntN(8) == 0: // cut short
			copy(data[at:at+rnd.IntN(end-at)], after[min(at, len(after)):])
		}
	}
	for at := 0; whole && at < header; at += sector {
		n := min([]int{0, rnd.IntN(sector), sector}[rnd.IntN(3)], sector)
		touched = touched || !bytes.Equal(data[at:at+n], after[at:at+n])
		copy(data[at:at+n], after[at:at+n])
	}
	return data, touched
}

// A power cut in the middle of a write leaves some sectors new, some old, one cut short, and the header, which is written
// last, perhaps half. Whatever it leaves, the file opens, and what it says is what it said before the write or after it,
// before it if nothing of the header was written. The layer that does this is between two images of the file.
func TestWritesCutShort(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 2))
	d := open(t, Options{})
	d.maxEdit, d.stageBytes = 300, 4<<10
	var images []image
	d.committed = func() {
		data, err := os.ReadFile(d.File())
		check(t, err)
		images = append(images, image{data: data})
	}
	_, err := d.AddEntries("blacklist", series(0, 200, 1, "old"))
	check(t, err)
	check(t, d.PutSetting("pause", []byte("on")))
	r, err := d.Import("blacklist", imported(series(100, 1500, 1, "new")...), ImportOptions{})
	check(t, err)
	_, err = d.RemoveEntries("blacklist", []string{entry(3).Pattern, entry(900).Pattern}, By{"root", "cli"})
	check(t, err)
	check(t, d.AddHits([]Hit{{"blacklist", entry(4).Pattern, 1, time.Now()}}))
	_, err = d.Undo(r.ID, By{}, nil)
	check(t, err)
	_, err = d.ForgetTraces([]string{entry(3).Pattern}, false)
	check(t, err)
	check(t, d.WipeFreed())
	d.committed() // it changes nothing that is committed
	_, err = d.Import("other", imported(series(0, 250, 1, "few")...), ImportOptions{})
	check(t, err)
	d.committed = nil
	check(t, d.Close())
	for i := range images {
		openImage(t, images[i].data, func(d *DB) { images[i].state = stateOf(t, d) })
	}
	cuts := 6
	if testing.Short() {
		cuts = 2
	}
	tried, old := 0, 0
	for i := 1; i < len(images); i++ {
		before, after := &images[i-1], &images[i]
		for range cuts {
			data, touched := cutShort(rnd, before.data, after.data)
			openImage(t, data, func(d *DB) {
				got := stateOf(t, d)
				switch tried++; {
				case maps.Equal(got, before.state):
					old++
				case touched && maps.Equal(got, after.state):
				default:
					t.Fatalf("write %d: what is left is neither the old nor the new", i)
				}
				if _, err := d.AddEntries("blacklist", []Entry{entry(5000)}); err != nil {
					t.Fatalf("write %d: the next edit: %v", i, err)
				}
			})
		}
	}
	t.Logf("%d writes cut %d times, %d of them to nothing", len(images)-1, tried, old)
	if tried < 20 || old == 0 || old == tried {
		t.Error("the cuts show nothing")
	}
}

// A power cut in the middle of bringing a file of schema 2 up to date: it is opened again, and nothing is lost.
func TestMigrationCutShort(t *testing.T) {
	rnd := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 4))
	file, before := unpacked(t, "schema2.db.gz")
	check(t, open(t, Options{}, file).Close())
	after, err := os.ReadFile(file)
	check(t, err)
	var want map[string]string
	openImage(t, after, func(d *DB) { want = stateOf(t, d) })
	for range 30 {
		data, _ := cutShort(rnd, before, after)
		openImage(t, data, func(d *DB) {
			if got := stateOf(t, d); !maps.Equal(got, want) || len(got) < 600 {
				t.Fatalf("%d of %d", len(got), len(want))
			}
		})
	}
}

// A disk that fills up in the middle of an import or an undo: the list is as it was, and both go through when there is room.
func TestImportDiskFullMidway(t *testing.T) {
	d := open(t, Options{})
	d.maxEdit, d.stageBytes = 300, 4<<10
	_, err := d.AddEntries("blacklist", series(0, 200, 1, "old"))
	check(t, err)
	writes := 0
	d.committed = func() {
		if writes++; writes == 3 {
			d.bolt.MaxSize = 1
		}
	}
	var r ChangeRecord
	failed := 0
	for _, step := range []func() error{
		func() error {
			r, err = d.Import("blacklist", imported(series(100, 20_000, 1, "new")...), ImportOptions{})
			return err
		},
		func() error {
			_, err := d.Undo(r.ID, By{}, nil)
			return err
		},
	} {
		before, id := stateOf(t, d), r.ID
		writes = 0
		if err := step(); err == nil {
			t.Log("it found room in the file") // an undo may
		} else {
			if failed++; !errors.Is(err, ErrWrite) {
				t.Errorf("%v", err)
			}
			if got := stateOf(t, d); !maps.Equal(got, before) {
				t.Error("something is left of it")
			}
			r.ID = max(r.ID, id)
			writes = 1000
			setMaxSize(t, d, 0)
			check(t, step())
		}
		setMaxSize(t, d, 0)
	}
	if failed == 0 {
		t.Error("the disk was never full")
	}
}
