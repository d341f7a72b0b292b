// Package pseudonym replaces callers in a private journal by tokens ([journal] private): the same caller has the same
// token, so that records of a number can be found, counted and deleted, but who has the database alone cannot tell
// whose they are. The key lies beside the database in a file of its own, which backups leave out.
package pseudonym

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"ringfence/number"
	"ringfence/policy"
	"ringfence/storage"
)

// Key makes the tokens of one installation.
type Key struct{ key []byte }

// keyFile is the file of the key, in the data folder.
const keyFile = "journal-key"

// Open reads the key in the data folder, and makes one the first time; a command that only reads makes none, and gets nil. A
// lost key makes old records those of nobody; that is what it is good for.
func Open(folder string, readOnly bool) (*Key, error) {
	file := filepath.Join(folder, keyFile)
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		if readOnly {
			return nil, nil // nothing was recorded yet
		}
		return makeKey(file)
	}
	if err != nil {
		return nil, fmt.Errorf("the key of the private journal cannot be read: %w", err)
	}
	key, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(key) != sha256.Size {
		return nil, fmt.Errorf("the key of the private journal in %s is damaged: it should be %d hexadecimal digits; move it away to begin with a new one (callers of old records can then not be looked up)", file, 2*sha256.Size)
	}
	return &Key{key}, nil
}

func makeKey(file string) (*Key, error) {
	key := make([]byte, sha256.Size)
	rand.Read(key) // never fails
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("the key of the private journal cannot be made: %w", err)
	}
	_, err = f.WriteString(hex.EncodeToString(key) + "\n")
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		os.Remove(file)
		return nil, fmt.Errorf("the key of the private journal cannot be made: %w", err)
	}
	return &Key{key}, nil
}

// Token stands for a number: its country and first four digits, as far as it has them, and the HMAC-SHA-256 of the
// whole. "" for a caller without one.
func (p *Key) Token(n *number.Number) string {
	text := n.E164
	if text == "" {
		text = n.Raw
	}
	if text == "" || n.E164 == "" && n.Kind == number.Anonymous {
		return n.Raw // "anonymous" and its like say nothing
	}
	mac := hmac.New(sha256.New, p.key)
	mac.Write([]byte(text))
	return fmt.Sprintf("%s%s:%s", storage.PrivateMark, n.CountryAndPrefix(4), hex.EncodeToString(mac.Sum(nil))[:32])
}

// Hide takes the caller, who came as the text raw, out of a record. Kind, rule, list and what became of the call stay.
func (p *Key) Hide(rec *storage.Record, c *policy.Call, raw string, plan *number.Plan) {
	token := p.Token(&c.Caller)
	texts := []string{c.Caller.E164, number.Inert(raw), raw, c.Caller.National()}
	if name := number.Inert(c.Name); name != "" {
		texts = append(texts, name)
	}
	for _, text := range texts {
		if len(text) > 2 { // else it would be found within words
			rec.Reason = strings.ReplaceAll(rec.Reason, text, token)
		}
	}
	if c.OtherIdentity != "" {
		other := plan.Parse(c.OtherIdentity)
		rec.Reason = strings.ReplaceAll(rec.Reason, c.OtherIdentity, p.Token(&other))
	}
	rec.Caller.Raw, rec.Name = token, ""
	if rec.Caller.E164 != "" {
		rec.Caller.E164 = token
	}
	for _, other := range []*string{&rec.Caller.From, &rec.Caller.Diverted} {
		if *other != "" {
			n := plan.Parse(*other)
			*other = p.Token(&n)
		}
	}
}
