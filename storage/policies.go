package storage

import (
	"bytes"
	"compress/flate"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	bolt "go.etcd.io/bbolt"
)

// The policies that were in force, so that one can be looked at, compared and taken back.
//
//	ULID of when it came into force → PolicyVersion as JSON
//	"text" NUL Text                 → the policy's text, compressed; one for all versions with that text

// Bounds of the policies that are kept. The oldest go first, and the latest stays whatever its size.
const (
	MaxPolicies    = 300
	MaxPolicyBytes = 32 << 20 // of compressed texts
	maxPolicyText  = 8 << 20  // of one text, when it is read
	maxPolicyID    = 64
)

var textPrefix = []byte("text\x00")

// PolicyVersion is a policy that came into force.
type PolicyVersion struct {
	ID    string    `json:"id"`   // ULID
	Text  string    `json:"text"` // by which name its text is kept: a part of its hash, 1 to 64 letters and digits
	Time  time.Time `json:"time"`
	Who   string    `json:"who,omitempty"`
	From  string    `json:"from,omitempty"`
	Note  string    `json:"note,omitempty"`
	Rules int       `json:"rules"`
	Bytes int       `json:"bytes"`
}

// AddPolicy keeps a policy that came into force, with its text. The latest one again is kept once: then nothing changes. It is on disk when AddPolicy returns.
func (d *DB) AddPolicy(v PolicyVersion, text []byte) error {
	if v.Text == "" || len(v.Text) > maxPolicyID || strings.ContainsFunc(v.Text, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
		return invalid("a policy's text is kept by a name of 1 to %d letters and digits, not %.80q", maxPolicyID, v.Text)
	}
	for _, s := range []*string{&v.Who, &v.From, &v.Note} {
		if *s = strings.ToValidUTF8(*s, "?"); len(*s) > 4*MaxText {
			return invalid("a policy's note and author have at most %d bytes", 4*MaxText)
		}
	}
	v.ID, v.Time, v.Bytes = NewID(v.Time), millis(v.Time), len(text)
	var packed bytes.Buffer
	w, _ := flate.NewWriter(&packed, flate.BestCompression) // the level is one
	w.Write(text)
	w.Close()
	return d.edit(func(tx *bolt.Tx) error {
		b := tx.Bucket(bucketPolicies)
		if _, last := lastPolicy(b); last != nil {
			var was PolicyVersion
			if decodeJSON(last, &was) == nil && was.Text == v.Text {
				return nil
			}
		}
		if err := b.Put(policyTextKey(v.Text), packed.Bytes()); err != nil {
			return err
		}
		if err := putJSON(b, v.ID, v); err != nil {
			return err
		}
		return boundPolicies(b, v.Text)
	})
}

func policyTextKey(name string) []byte { return append(slices.Clone(textPrefix), name...) }

// lastPolicy is the latest version: ULIDs begin with a digit, which comes before "text".
func lastPolicy(b *bolt.Bucket) (k, v []byte) {
	c := b.Cursor()
	if k, _ = c.Seek(textPrefix); k == nil {
		return c.Last()
	}
	return c.Prev()
}

// boundPolicies takes the oldest versions away until what is left fits, and texts that no version has. The text keep stays.
func boundPolicies(b *bolt.Bucket, keep string) error {
	var ids []string
	texts, used, size := map[string]int{}, map[string]string{}, 0
	c := b.Cursor()
	for k, v := c.First(); k != nil; k, v = c.Next() {
		if name, isText := bytes.CutPrefix(k, textPrefix); isText {
			texts[string(name)] = len(v)
			size += len(v)
			continue
		}
		var p PolicyVersion
		if decodeJSON(v, &p) == nil {
			used[string(k)] = p.Text
		}
		ids = append(ids, string(k))
	}
	drop := func(name string) error {
		for _, other := range used {
			if other == name {
				return nil
			}
		}
		size -= texts[name]
		delete(texts, name)
		return b.Delete(policyTextKey(name))
	}
	for len(ids) > 1 && (len(ids) > MaxPolicies || size > MaxPolicyBytes) {
		name, has := used[ids[0]]
		if err := b.Delete([]byte(ids[0])); err != nil {
			return err
		}
		delete(used, ids[0])
		ids = ids[1:]
		if has && name != keep {
			if err := drop(name); err != nil {
				return err
			}
		}
	}
	return nil
}

// DropPolicies takes policies away by the names of their texts, with all versions that had these. The latest version stays.
func (d *DB) DropPolicies(names []string) error {
	err := d.edit(func(tx *bolt.Tx) error {
		b := tx.Bucket(bucketPolicies)
		latest, last := lastPolicy(b)
		var gone [][]byte // an open cursor does not survive a deletion
		var kept PolicyVersion
		if last != nil && decodeJSON(last, &kept) != nil {
			kept = PolicyVersion{}
		}
		c := b.Cursor()
		for k, v := c.First(); k != nil; k, v = c.Next() {
			name, isText := bytes.CutPrefix(k, textPrefix)
			var p PolicyVersion
			if !isText && decodeJSON(v, &p) == nil {
				name = []byte(p.Text)
			}
			if slices.Contains(names, string(name)) && string(name) != kept.Text && !bytes.Equal(k, latest) {
				gone = append(gone, bytes.Clone(k))
			}
		}
		for _, k := range gone {
			if err := b.Delete(k); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return explain("taking policies away that were in force", err)
	}
	return nil
}

// Policies calls yield for each policy that was in force, the latest first, until yield returns an error, which Policies then returns.
func (d *DB) Policies(yield func(PolicyVersion) error) error {
	var all []PolicyVersion
	var damage damage
	err := d.view(func(tx *bolt.Tx) error {
		b := tx.Bucket(bucketPolicies)
		if b == nil {
			return nil
		}
		c := b.Cursor()
		for k, v := c.First(); k != nil && !bytes.HasPrefix(k, textPrefix) && len(all) < 2*MaxPolicies; k, v = c.Next() {
			var p PolicyVersion
			if err := decodeJSON(v, &p); err != nil {
				damage.note(fmt.Errorf("policy version %q: %w", short(k), err))
				continue
			}
			all = append(all, p)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, p := range slices.Backward(all) {
		if err := yield(p); err != nil {
			return err
		}
	}
	return damage.err(d.file, "policies")
}

// PolicyText is the text of a policy that was in force, by its name; nil if it is kept no more.
func (d *DB) PolicyText(name string) ([]byte, error) {
	var packed []byte
	err := d.view(func(tx *bolt.Tx) error {
		if b := tx.Bucket(bucketPolicies); b != nil && len(name) <= maxPolicyID {
			if v := b.Get(policyTextKey(name)); len(v) <= maxPolicyText {
				packed = bytes.Clone(v)
			}
		}
		return nil
	})
	if err != nil || packed == nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(packed)), maxPolicyText))
	if err != nil || !utf8.Valid(text) {
		return nil, corrupt(d.file, fmt.Errorf("the text of policy %.40q cannot be read: %v", name, err))
	}
	return text, nil
}
