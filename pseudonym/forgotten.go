package pseudonym

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"ringfence/storage"
)

// forgottenFile is the file of who was forgotten, in the data folder: outside of the database, so that a backup that is put in its place
// does not bring them back.
const forgottenFile = "forgotten"

// AnyForgotten reports whether somebody was forgotten, or that cannot be told.
func AnyForgotten(folder string) bool {
	info, err := os.Stat(filepath.Join(folder, forgottenFile))
	return err == nil && info.Size() > 0 || err != nil && !errors.Is(err, fs.ErrNotExist)
}

// MaxForgotten is how many there are at most. When there are more, the oldest goes.
const MaxForgotten = 100_000

// Forgotten remembers who was forgotten and when, by what their tokens end with, so that they are forgotten again in a database that is
// from before. No number can be read in it, and without the key it cannot be told either whether a number is in it.
type Forgotten struct {
	key  *Key
	file string
	all  []forgotten // the oldest first
	at   map[string]forgotten
}

// forgotten is a line of the file.
type forgotten struct {
	mac   string
	at    time.Time // data from before is not to be there
	lists time.Time // entries of lists neither, from before this; zero: they stay
}

// OpenForgotten reads who was forgotten, in a data folder. There may be nobody. Without a key somebody in it cannot be told: that is an
// error.
func OpenForgotten(folder string, key *Key) (*Forgotten, error) {
	f := &Forgotten{key: key, file: filepath.Join(folder, forgottenFile), at: make(map[string]forgotten)}
	text, err := os.ReadFile(f.file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return f, nil
	case err != nil:
		return nil, fmt.Errorf("the file of who was forgotten cannot be read: %w", err)
	case len(text) == 0:
		return f, nil
	case key == nil:
		return nil, fmt.Errorf("%s says who was forgotten, by the key %s, which is not there: put it back beside it; without it they cannot be taken out of a backup (or move %s away, if nobody is to be)", f.file, keyFile, forgottenFile)
	}
	for no, line := range strings.Split(strings.TrimSuffix(string(text), "\n"), "\n") {
		x, ok := readForgotten(line)
		if !ok {
			return nil, fmt.Errorf("%s:%d: it is no line of that file, a time and %d hexadecimal digits: take it out, or put back a copy of the file", f.file, no+1, macSize)
		}
		f.put(x)
	}
	return f, nil
}

func readForgotten(line string) (x forgotten, ok bool) {
	words := strings.Fields(line)
	if len(words) != 2 && len(words) != 3 || len(words[1]) != macSize || strings.Trim(words[1], "0123456789abcdef") != "" {
		return x, false
	}
	x.mac = words[1]
	var err, err2 error
	x.at, err = time.Parse(time.RFC3339, words[0])
	if len(words) == 3 {
		text, found := strings.CutPrefix(words[2], "lists=")
		if x.lists, err2 = time.Parse(time.RFC3339, text); !found {
			return x, false
		}
	}
	return x, err == nil && err2 == nil
}

func (x forgotten) String() string {
	text := x.at.UTC().Format(time.RFC3339Nano) + " " + x.mac
	if !x.lists.IsZero() {
		text += " lists=" + x.lists.UTC().Format(time.RFC3339Nano)
	}
	return text
}

// put takes a line in, and joins it with one of the same caller.
func (f *Forgotten) put(x forgotten) {
	if old, there := f.at[x.mac]; there {
		f.all = slices.DeleteFunc(f.all, func(o forgotten) bool { return o.mac == x.mac })
		if old.lists.After(x.lists) {
			x.lists = old.lists
		}
		if old.at.After(x.at) {
			x.at = old.at
		}
	}
	f.at[x.mac] = x
	f.all = append(f.all, x)
}

// Add remembers that a number, or a text that is none, was forgotten; with lists also its entries of lists. On nil it is on disk. lost is
// when the one was forgotten that gave way, zero if there was room.
func (f *Forgotten) Add(text string, at time.Time, lists bool) (lost time.Time, err error) {
	x := forgotten{mac: f.key.mac(text), at: at}
	if mac, ok := macOf(text); ok { // a token, for one whose number nobody knows
		x.mac = mac
	}
	if lists {
		x.lists = at
	}
	f.put(x)
	if n := len(f.all); n > MaxForgotten {
		lost = f.all[0].at
		delete(f.at, f.all[0].mac)
		f.all = slices.Delete(f.all, 0, 1)
	}
	return lost, f.write()
}

func (f *Forgotten) text() []byte {
	var b bytes.Buffer
	for _, x := range f.all {
		b.WriteString(x.String() + "\n")
	}
	return b.Bytes()
}

// write puts the file in place, whole and on disk.
func (f *Forgotten) write() error {
	if err := storage.ReplaceFile(f.file, 0o600, f.text()); err != nil {
		return fmt.Errorf("it cannot be kept who was forgotten, so nobody was: %w", err)
	}
	return nil
}

// Len is how many there are.
func (f *Forgotten) Len() int { return len(f.all) }

// Digest tells one state of it from others.
func (f *Forgotten) Digest() string {
	sum := sha256.Sum256(f.text())
	return hex.EncodeToString(sum[:])
}

// Has reports whether a number, a text, or a token of one was forgotten, and after something was; zero for long ago.
func (f *Forgotten) Has(text string, was time.Time) bool {
	x, ok := f.at[f.macOf(text)]
	return ok && was.Before(x.at)
}

// Lists is until when a number's entries of lists are not to be there; zero: they may stay.
func (f *Forgotten) Lists(text string) time.Time { return f.at[f.macOf(text)].lists }

func (f *Forgotten) macOf(text string) string {
	if mac, ok := macOf(text); ok {
		return mac
	}
	if len(f.all) == 0 {
		return ""
	}
	return f.key.mac(text)
}
