package screening

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ringfence/policy"
	"ringfence/storage"
	"ringfence/traffic"
)

// keeperOf makes a keeper of a database, and a memory that tells it.
func keeperOf(db *storage.DB) (*Keeper, *traffic.Memory) {
	k := NewKeeper(db, noRules, slog.New(slog.DiscardHandler), time.Now)
	return k, traffic.New(k)
}

func noRules() *policy.Policy {
	p, _ := policy.Load("policy.toml", []byte("country = \"CN\"\n"))
	return p
}

// A disk that fails keeps nothing from being learnt. What could not be written is written when it can be.
func TestLearntWhileTheDiskFails(t *testing.T) {
	folder := t.TempDir()
	open := func() *storage.DB {
		db, err := storage.Open(filepath.Join(folder, "x.db"), storage.Options{})
		if err != nil {
			t.Fatal(err)
		}
		return db
	}
	now, broken := time.Now(), open()
	broken.Close()
	k, m := keeperOf(broken)
	m.Known.Meet("staff", "+8613800138000", now)
	m.Callbacks.Dialled("line staff", now)
	if err := k.write(); !errors.Is(err, storage.ErrClosed) {
		t.Fatal(err)
	}
	m.Known.Meet("staff", "+8613800138000", now.Add(time.Minute))
	m.Known.Meet("staff", "+8613900139000", now)
	if n := k.Waiting(); n != 3 {
		t.Errorf("%d facts wait", n)
	}
	db := open()
	k.db = db
	if err := k.write(); err != nil || k.Waiting() != 0 {
		t.Errorf("%d wait, %v", k.Waiting(), err)
	}
	db.Close()
	db = open()
	defer db.Close()
	k, again := keeperOf(db)
	if err := LoadFacts(db, again, noRules(), now.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if line, _ := again.Known.To("+8613800138000", []string{"staff"}, time.Time{}); line.UnixMilli() != now.Add(time.Minute).UnixMilli() {
		t.Errorf("known since %v", line)
	}
	if n := k.Waiting(); n != 0 {
		t.Errorf("what was read waits to be written: %d", n)
	}
}

// Where there is no room for all that is on disk, lines that are there come before those that are gone.
func TestGoneLinesAreReadLast(t *testing.T) {
	db, err := storage.Open(filepath.Join(t.TempDir(), "x.db"), storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	now := time.Now()
	var put []storage.Stamp
	for _, key := range []string{"gone~a\x00+861", "gone~a\x00+862", "staff\x00+863", "staff\x00+864"} {
		put = append(put, storage.Stamp{Key: key, At: now})
	}
	if err := db.PutStamps(storage.Known, put, nil); err != nil {
		t.Fatal(err)
	}
	p, _ := policy.Load("policy.toml", []byte("country = \"CN\"\n[lines.staff]\nnumbers = [\"05925550100\"]\n"))
	for room, want := range map[int]string{2: "+863 +864", 3: "+863 +864", 5: "+861 +862 +863 +864"} {
		m := traffic.New(nil)
		m.Known = traffic.NewKnown(room, nil)
		if err := LoadFacts(db, m, p, now.Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		var known []string
		for _, number := range []string{"+861", "+862", "+863", "+864"} {
			if m.Known.Has(number) {
				known = append(known, number)
			}
		}
		if got := strings.Join(known, " "); got != want {
			t.Errorf("with room for %d: %s, want %s", room, got, want)
		}
	}
}

// What is imported is on disk as it was imported, whatever older waits to be written there.
func TestImportedIsNotPutBack(t *testing.T) {
	db, err := storage.Open(filepath.Join(t.TempDir(), "x.db"), storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	k, m := keeperOf(db)
	now := time.UnixMilli(time.Now().UnixMilli())
	m.Known.Meet("staff", "+861", now.Add(-time.Hour))
	a := &Acquaintances{DB: db, Memory: m, Keeper: k}
	if _, err := a.Meet(t.Context(), []traffic.Meeting{{Line: "staff", Number: "+861", At: now}}, false); err != nil {
		t.Fatal(err)
	}
	if err := a.Settle(); err != nil {
		t.Fatal(err)
	}
	if err := db.EachStamp(storage.Known, func(s storage.Stamp) error {
		if !s.At.Equal(now) {
			t.Errorf("it is on disk as of %v, want %v", s.At, now)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// The keeper ends in time when the disk hangs, and says what was lost.
func TestKeeperEnds(t *testing.T) {
	db, err := storage.Open(filepath.Join(t.TempDir(), "x.db"), storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	k, m := keeperOf(db)
	k.Start(m)
	db.Close()
	m.Known.Meet("staff", "+8613800138000", time.Now())
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := k.Close(ctx); err == nil || !strings.Contains(err.Error(), "1 facts") {
		t.Errorf("%v", err)
	}
}
