package desk

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"ringfence/pseudonym"
	"ringfence/storage"
)

// countsFile is where it is kept what was counted of calls, in the data folder: to go on after a restart where the program stopped. It holds
// nothing that a person wrote, and can be deleted at any time: then detectors begin to count anew.
const countsFile = "calls.counted"

const (
	// countsEvery is how often it is written while something changes, and what a kill may lose.
	countsEvery = 15 * time.Second
	// countsRate bounds how much that has the disk write, in bytes a second: more than some MB are written less often.
	countsRate = 512 << 10
	// maxCounts bounds what is read of it.
	maxCounts = 256 << 20
)

// Section is a part of the file of counts: what one table in memory has. A name is kept for ever.
type Section struct {
	Name     string
	Len      func() int // how many things it has; with none in any section there is no file
	Snapshot func() []byte
	Load     func([]byte) error // puts it back, before the first call; an error says that it cannot be read
}

// counts keeps the file. writing guards all of it.
type counts struct {
	writing sync.Mutex
	saved   [sha256.Size]byte // of what is in the file
	others  []Section         // of a program that knows more parts: they are written as they were read
	failing bool
}

// The heads of the file: what follows is sections and their checksum, as it is or sealed.
const (
	countsHead   = "ringfence counts 1\n"
	countsSealed = "ringfence counts 1 sealed\n"
	countsUse    = "counts" // of the seal
)

func (d *Desk) countsPath() string { return filepath.Join(d.conf.Data, countsFile) }

// appendSections writes sections behind each other, and their checksum.
func appendSections(dst []byte, sections []Section) []byte {
	from := len(dst)
	for _, s := range sections {
		body := s.Snapshot()
		dst = binary.AppendUvarint(dst, uint64(len(s.Name)))
		dst = append(dst, s.Name...)
		dst = binary.AppendUvarint(dst, uint64(len(body)))
		dst = append(dst, body...)
	}
	sum := sha256.Sum256(dst[from:])
	return append(dst, sum[:]...)
}

var errCounts = errors.New("it is damaged")

// readSections gives the sections of what appendSections wrote, by name.
func readSections(text []byte) (map[string][]byte, error) {
	if len(text) < sha256.Size {
		return nil, errCounts
	}
	body, sum := text[:len(text)-sha256.Size], text[len(text)-sha256.Size:]
	if is := sha256.Sum256(body); !bytes.Equal(is[:], sum) {
		return nil, errCounts
	}
	part := func() ([]byte, bool) {
		n, size := binary.Uvarint(body)
		if size <= 0 || n > uint64(len(body)-size) {
			return nil, false
		}
		text := body[size : size+int(n)]
		body = body[size+int(n):]
		return text, true
	}
	sections := make(map[string][]byte)
	for len(body) > 0 {
		name, ok := part()
		if !ok {
			return nil, errCounts
		}
		text, ok := part()
		if !ok {
			return nil, errCounts
		}
		sections[string(name)] = text
	}
	return sections, nil
}

// readCounts reads the file of counts. It is fs.ErrNotExist where there is none.
func (d *Desk) readCounts() (map[string][]byte, error) {
	info, err := os.Stat(d.countsPath())
	if err != nil {
		return nil, err
	}
	if info.Size() > maxCounts {
		return nil, fmt.Errorf("it has %d bytes", info.Size())
	}
	text, err := os.ReadFile(d.countsPath())
	if err != nil {
		return nil, err
	}
	if sealed, ok := bytes.CutPrefix(text, []byte(countsSealed)); ok {
		key := d.o.Private
		if key == nil { // it was private when it was written
			key, _ = pseudonym.Open(d.conf.Data, true)
		}
		plain, ok := key.Unseal(countsUse, sealed)
		if !ok {
			return nil, errors.New("it is damaged, or was sealed with another key than journal-key")
		}
		return readSections(plain)
	}
	plain, ok := bytes.CutPrefix(text, []byte(countsHead))
	switch {
	case ok:
	case bytes.HasPrefix(text, []byte("ringfence counts ")):
		return nil, errors.New("another version of this program wrote it")
	default:
		return nil, errCounts
	}
	return readSections(plain)
}

// dropCountsLeft removes what a kill left of files that were being written.
func (d *Desk) dropCountsLeft() error {
	left, err := filepath.Glob(d.countsPath() + ".new-*")
	for _, file := range left {
		err = errors.Join(err, os.Remove(file))
	}
	return err
}

// loadCounts puts back what was counted before. What cannot be read is left out and logged.
func (d *Desk) loadCounts() {
	if d.o.Journal != nil {
		if err := d.dropCountsLeft(); err != nil {
			d.o.Log.Warn("what a kill left of the file of counts cannot be removed", "error", err)
		}
	}
	sections, err := d.readCounts()
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			d.o.Log.Error("what was counted of calls before cannot be read: detectors begin to count anew", "file", d.countsPath(), "error", err)
		}
		return
	}
	for _, s := range d.sections() {
		text, there := sections[s.Name]
		if delete(sections, s.Name); !there {
			continue
		}
		if err := s.Load(text); err != nil {
			d.o.Log.Error("a part of what was counted of calls before cannot be read, and is left out", "file", d.countsPath(), "part", s.Name, "error", err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(sections)) {
		text := bytes.Clone(sections[name])
		d.counts.others = append(d.counts.others, Section{Name: name, Snapshot: func() []byte { return text }})
	}
}

// saveCounts writes what was counted to its file, unless it is there already. written says how many bytes it wrote.
func (d *Desk) saveCounts() (written int, err error) {
	c := &d.counts
	c.writing.Lock()
	defer c.writing.Unlock()
	if !d.counting() {
		return 0, nil
	}
	closed := d.breakers.closedNow()
	plain := appendSections([]byte(countsHead), append(d.sections(), c.others...))
	sum := sha256.Sum256(plain)
	if sum == c.saved {
		return 0, nil
	}
	text := plain
	if d.o.Private != nil {
		text = append([]byte(countsSealed), d.o.Private.Seal(countsUse, plain[len(countsHead):])...)
	}
	if err := storage.ReplaceFile(d.countsPath(), 0o640, text); err != nil {
		if !c.failing {
			d.o.Log.Error("what was counted of calls cannot be written; it counts until the next start", "file", d.countsPath(), "error", err)
		}
		c.failing = true
		return 0, err
	}
	c.saved, c.failing = sum, false
	d.breakers.dropClosed(closed)
	return len(text), nil
}

// counting reports whether there is anything to keep.
func (d *Desk) counting() bool {
	return d.force.Rules().Detectors.Wants() || len(d.counts.others) > 0 || slices.ContainsFunc(d.o.Sections, func(s Section) bool { return s.Len() > 0 })
}

const unsaved = "what was counted of calls could not be written"

// KeepCounts writes what was counted to its file while it changes, until ctx ends and once more then.
func (d *Desk) KeepCounts(ctx context.Context) {
	timer := time.NewTimer(countsEvery)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			d.survive(unsaved, func() {
				d.saveCounts()
				d.saveTrials()
			})
			return
		case <-timer.C:
		}
		written := 0
		d.survive(unsaved, func() {
			written, _ = d.saveCounts()
			d.saveTrials()
		})
		timer.Reset(max(countsEvery, time.Duration(written/countsRate)*time.Second))
	}
}

// renewCounts has the file be without what was just dropped in memory. Where that cannot be done the file goes.
func (d *Desk) renewCounts() error {
	d.counts.writing.Lock()
	d.counts.others = nil // whatever is in there
	left := d.dropCountsLeft()
	d.counts.writing.Unlock()
	if left != nil {
		return fmt.Errorf("a part of the file of counts may have what was forgotten: delete it (%w)", left)
	}
	if _, err := d.saveCounts(); err == nil && d.counting() {
		return nil
	}
	if err := os.Remove(d.countsPath()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("the file of counts may have what was forgotten: delete it (%w)", err)
	}
	return nil
}
