package access

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"

	"ringfence/console"
)

// Bounds of passwords.
const (
	minPassword  = 12  // characters
	maxPassword  = 256 // bytes
	minDistinct  = 5   // different characters
	hashesAtOnce = 2   // each takes 64 MiB
	maxWaiting   = 32  // who waits for that
	keptWaiting  = 16  // of these places, for who is trusted
	hashWait     = 5 * time.Second
	keyLength    = 32
	saltLength   = 16
)

// cost is what it takes to look at a password.
type cost struct {
	memory  uint32 // KiB
	passes  uint32
	threads uint8
}

// usual is above what OWASP asks of argon2id (19 MiB and two passes); what is kept of a password says what it was made with, so that this may grow.
var usual = cost{memory: 64 << 10, passes: 3, threads: 1}

// badPassword says what is wrong with a password that somebody chooses; "" is nothing.
func badPassword(name, password string) string {
	distinct := map[rune]bool{}
	for _, r := range password {
		distinct[r] = true
	}
	switch n := utf8.RuneCountInString(password); {
	case len(password) > maxPassword:
		return fmt.Sprintf("the password is longer than %d bytes: make it shorter", maxPassword)
	case !utf8.ValidString(password):
		return "the password is not UTF-8: type it anew"
	case n < minPassword:
		return fmt.Sprintf("the password has %d characters, and needs %d: some words that have nothing to do with each other will do", n, minPassword)
	case len(distinct) < minDistinct:
		return fmt.Sprintf("the password has %d different characters, and needs %d", len(distinct), minDistinct)
	case strings.Contains(fold(password), fold(name)) && len(name) > 3:
		return "the password has the user’s name in it: choose another"
	}
	return ""
}

var base64Text = base64.RawStdEncoding

// makePassword is what is kept of a password: parameters, salt and hash as other programs write them too.
func makePassword(c cost, password string) string {
	salt := make([]byte, saltLength)
	rand.Read(salt)
	key := derive(c, password, salt)
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, c.memory, c.passes, c.threads, base64Text.EncodeToString(salt), base64Text.EncodeToString(key))
}

// readPassword reads what makePassword wrote. A file that was tampered with cannot make us take more memory than a few of ours.
func readPassword(kept string) (c cost, salt, key []byte, ok bool) {
	part := strings.Split(kept, "$")
	if len(part) != 6 || part[1] != "argon2id" || part[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return c, nil, nil, false
	}
	if _, err := fmt.Sscanf(part[3], "m=%d,t=%d,p=%d", &c.memory, &c.passes, &c.threads); err != nil {
		return c, nil, nil, false
	}
	salt, err := base64Text.DecodeString(part[4])
	key, err2 := base64Text.DecodeString(part[5])
	ok = err == nil && err2 == nil && len(salt) >= 8 && len(key) == keyLength && c.memory <= 256<<10 && c.passes >= 1 && c.passes <= 10 && c.threads >= 1 && c.threads <= 8
	return c, salt, key, ok
}

// deriver is argon2id; tests count what it is asked for.
type deriver func(c cost, password string, salt []byte) []byte

func derive(c cost, password string, salt []byte) []byte {
	return argon2.IDKey([]byte(password), salt, c.passes, c.memory, c.threads, keyLength)
}

// rightPassword reports whether a password is the one that is kept. Without one ("") it takes as long, so that nobody learns by that who has an account.
// again says that it was made with another cost than usual.
func rightPassword(derive deriver, usual cost, kept, password string) (right, again bool) {
	c, salt, key, ok := readPassword(kept)
	if !ok {
		c, salt, key = usual, make([]byte, saltLength), make([]byte, keyLength)
	}
	got := derive(c, password, salt)
	return subtle.ConstantTimeCompare(got, key) == 1 && ok, c != usual
}

// hash waits for one of the places in which passwords are looked at, and gives what lets go of it. One place, and places to wait in, are for those alone who
// are trusted: whom a link let choose a password, or who comes from where the user was before. Else a flood of guesses would keep everybody out.
func (b *Book) hash(ctx context.Context, trusted bool) (done func(), err error) {
	most := int64(maxWaiting)
	if !trusted {
		most -= keptWaiting
	}
	defer b.waiting.Add(-1)
	if b.waiting.Add(1) > most {
		b.Busy.Add(1)
		return nil, &TooMany{Wait: hashWait}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, hashWait, errBusy)
	defer cancel()
	places := []chan struct{}{b.hashing}
	if !trusted {
		places = []chan struct{}{b.guessing, b.hashing}
	}
	for i, place := range places {
		select {
		case place <- struct{}{}:
		case <-ctx.Done():
			for _, had := range places[:i] {
				<-had
			}
			if context.Cause(ctx) == errBusy {
				b.Busy.Add(1)
				return nil, &TooMany{Wait: hashWait}
			}
			return nil, ctx.Err()
		}
	}
	return func() {
		for _, place := range places {
			<-place
		}
	}, nil
}

// errBusy ends the wait for a place.
var errBusy = errors.New("too many passwords are being looked at")

// choose makes what is kept of a new password.
func (b *Book) choose(ctx context.Context, name, password string) (string, error) {
	if advice := badPassword(name, password); advice != "" {
		return "", console.Bad(advice)
	}
	done, err := b.hash(ctx, true)
	if err != nil {
		return "", err
	}
	defer done()
	return makePassword(b.cost, password), nil
}
