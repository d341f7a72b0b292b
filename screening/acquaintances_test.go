package screening

import (
	"path/filepath"
	"slices"
	"testing"
	"time"

	"ringfence/storage"
	"ringfence/traffic"
)

// What finds no room is told, counted and not on disk; a dry run says the same and changes nothing.
func TestMeetWithoutRoom(t *testing.T) {
	db, err := storage.Open(filepath.Join(t.TempDir(), "db"), storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	m, at := traffic.New(nil), time.UnixMilli(1_800_000_000_000)
	m.Known = traffic.NewKnown(2, nil)
	a := &Acquaintances{DB: db, Memory: m}
	meetings := []traffic.Meeting{{Line: "staff", Number: "+861", At: at}, {Line: "staff", Number: "+862", At: at}, {Line: "staff", Number: "+863", At: at}}
	want := []traffic.Met{traffic.Added, traffic.Added, traffic.NoRoom}
	for _, dry := range []bool{true, false} {
		met, err := a.Meet(t.Context(), meetings, dry)
		if err != nil || !slices.Equal(met, want) {
			t.Fatalf("dry %v: %v, %v", dry, met, err)
		}
	}
	if met, err := a.Meet(t.Context(), meetings, false); err != nil || !slices.Equal(met, []traffic.Met{traffic.Unchanged, traffic.Unchanged, traffic.NoRoom}) {
		t.Errorf("the second time: %v, %v", met, err)
	}
	n := 0
	if err := db.EachStamp(storage.Known, func(storage.Stamp) error { n++; return nil }); err != nil || n != 2 || m.Known.Len() != 2 || m.Known.Full() != 2 {
		t.Errorf("%d on disk, %d known, %d found no room, %v", n, m.Known.Len(), m.Known.Full(), err)
	}
}
