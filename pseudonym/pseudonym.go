// Package pseudonym replaces callers in what is kept by tokens ([journal] private): the same caller has the same
// token, so that records of a number can be found, counted and deleted, but who has the database alone cannot tell
// whose they are. The key lies beside the database in a file of its own, which backups leave out. With the same key it is
// remembered who was forgotten ([Forgotten]).
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
	"slices"
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
	if err := errors.Join(err, storage.Own(f, filepath.Dir(file), 0o600), f.Sync(), f.Close()); err != nil {
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
	return fmt.Sprintf("%s%s:%s", storage.PrivateMark, n.CountryAndPrefix(4), p.mac(text))
}

// openDigits are how many digits of a number a prefix leaves open at least that may be shown: fewer are so few numbers that it is as good as one.
const openDigits = 3

// Range is a prefix as it may be shown, its digits as they are written inside the country or behind + and the code of another: itself, or, where it
// is a number or leaves less than three digits of one open, a token. What service numbers have in common is shown: they are of firms, not of people.
func (p *Key) Range(plan *number.Plan, prefix string) string {
	for open := range openDigits {
		for digit := range 10 {
			n := plan.Parse(prefix + strings.Repeat(string(rune('0'+digit)), open))
			if n.E164 == "" || !strings.HasPrefix(n.National(), prefix) && !strings.HasPrefix(n.E164, prefix) {
				continue
			}
			if n.Kinds.Has(number.Service) && len(prefix) < wholeService {
				continue // it may be a service number itself, and what many begin with
			}
			if open == 0 {
				return p.Token(&n)
			}
			return fmt.Sprintf("%s%s:%s", storage.PrivateMark, n.CountryAndPrefix(4), p.mac(prefix))
		}
	}
	return prefix
}

// wholeService is from how many digits on what service numbers begin with is one of them.
const wholeService = 8

// mac is what tells one caller from others in a token.
func (p *Key) mac(text string) string {
	mac := hmac.New(sha256.New, p.key)
	mac.Write([]byte(text))
	return hex.EncodeToString(mac.Sum(nil))[:macSize]
}

// macSize is how many hexadecimal digits a token ends with.
const macSize = 32

// Name stands for a number where nothing but the same number is ever looked for: acquaintances, passes. "" for "". That of a token,
// or of a name, is that of its number.
func (p *Key) Name(e164 string) string {
	if e164 == "" {
		return ""
	}
	if mac, ok := macOf(e164); ok {
		return storage.PrivateMark + mac
	}
	return storage.PrivateMark + p.mac(e164)
}

// IsOf reports whether a token, or a name, stands for a number or a text, or for the number that another one stands for.
func (p *Key) IsOf(token, text string) bool {
	mac, ok := macOf(token)
	if other, isToken := macOf(text); ok && isToken {
		return mac == other
	}
	return ok && text != "" && mac == p.mac(text)
}

// macOf is what a token or a name ends with.
func macOf(token string) (mac string, ok bool) {
	rest, ok := strings.CutPrefix(token, storage.PrivateMark)
	if !ok {
		return "", false
	}
	mac = rest[strings.LastIndexByte(rest, ':')+1:]
	return mac, len(mac) == macSize
}

// Hide takes the caller, who came as the text raw, out of a record. Kind, rule, list and what became of the call stay.
func (p *Key) Hide(rec *storage.Record, c *policy.Call, raw string, plan *number.Plan) {
	if c.OtherIdentity != "" {
		other := plan.Parse(c.OtherIdentity)
		inTexts(rec, c.OtherIdentity, p.Token(&other))
	}
	p.hide(rec, &c.Caller, c.Name, raw, plan)
}

// HideKept is Hide for a record that was written while the journal was not private. It is false for one without a number or a name.
func (p *Key) HideKept(rec *storage.Record, plan *number.Plan) bool {
	if strings.HasPrefix(rec.Caller.Raw, storage.PrivateMark) {
		return false
	}
	c, name := rec.Caller, rec.Name
	n := numberOf(&c, plan)
	p.hide(rec, &n, name, c.Raw, plan)
	return rec.Caller != c || name != ""
}

// numberOf is the number of a caller as it was kept, whatever the plan makes of it by now.
func numberOf(c *storage.Caller, plan *number.Plan) number.Number {
	n := plan.Parse(c.Raw)
	if c.E164 == "" || n.E164 == c.E164 {
		return n
	}
	if n = plan.Parse(c.E164); n.E164 == c.E164 {
		return n
	}
	return number.Number{Raw: c.E164}
}

func (p *Key) hide(rec *storage.Record, caller *number.Number, name, raw string, plan *number.Plan) {
	token := p.Token(caller)
	texts := []string{caller.E164, number.Inert(raw), raw, caller.National()}
	for _, held := range caller.Held() { // a text that is no number may hold one, which the reason names
		texts = append(texts, held.E164, held.National())
	}
	if name := number.Inert(name); name != "" {
		texts = append(texts, name)
	}
	hidden := make([]string, 0, len(texts)) // and what stands for each
	for _, text := range texts {
		if len(text) > 2 { // else it would be found within words
			hidden = append(hidden, text, token)
		}
	}
	for _, text := range []string{caller.E164, caller.National()} { // ranges that are hardly less than the number; others are of many
		for open := 1; open < openDigits && len(text) > wholeService; open++ {
			prefix := text[:len(text)-open]
			if shown := p.Range(plan, prefix); shown != prefix {
				hidden = append(hidden, prefix, shown)
			}
		}
	}
	rec.Tripped = slices.Clone(rec.Tripped)
	inTexts(rec, hidden...)
	for i := 0; i < len(hidden); i += 2 {
		text, instead := hidden[i], hidden[i+1]
		for i, tripped := range rec.Tripped {
			at := strings.LastIndex(tripped, ": ") + 2
			if key := tripped[at:]; at > 2 && (key == text || strings.HasPrefix(key, text+" (")) {
				rec.Tripped[i] = tripped[:at] + instead + key[len(text):]
			}
		}
	}
	rec.Caller.Raw, rec.Name = token, ""
	if rec.Caller.E164 != "" {
		rec.Caller.E164 = token
	}
	for _, other := range []*string{&rec.Caller.From, &rec.Caller.Diverted} {
		if *other != "" {
			n := plan.Parse(*other)
			if len(n.E164) > 2 { // the reason names it where a rule looked at both
				inTexts(rec, n.E164, p.Token(&n))
			}
			*other = p.Token(&n)
		}
	}
}

// inTexts has the reason and the trace of a record name something else: of each two texts the second for the first.
func inTexts(rec *storage.Record, texts ...string) {
	instead := func(s string) string {
		for i := 0; i < len(texts); i += 2 {
			s = strings.ReplaceAll(s, texts[i], texts[i+1])
		}
		return s
	}
	rec.Reason = instead(rec.Reason)
	if trace, named := rec.Trace.EachText(instead); named {
		rec.Trace = trace
	}
}
