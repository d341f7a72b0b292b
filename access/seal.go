package access

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"strings"

	"ringfence/console"
)

// sealer hides where a search came to: a cursor names a call, which may be another's. What it sealed opens until the program ends.
type sealer struct{ gcm cipher.AEAD }

const sealMark = "~"

func newSealer() (sealer, error) {
	key := make([]byte, 32)
	rand.Read(key)
	block, err := aes.NewCipher(key)
	if err != nil {
		return sealer{}, err
	}
	gcm, err := cipher.NewGCMWithRandomNonce(block)
	return sealer{gcm}, err
}

func (s sealer) close(cursor string) string {
	if cursor == "" {
		return ""
	}
	return sealMark + base64.RawURLEncoding.EncodeToString(s.gcm.Seal(nil, nil, []byte(cursor), nil))
}

// open gives a cursor that close sealed. One that is the ID of a call they have as it is.
func (s sealer) open(cursor string) (string, error) {
	text, sealed := strings.CutPrefix(cursor, sealMark)
	if !sealed {
		return cursor, nil
	}
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err == nil {
		b, err = s.gcm.Open(nil, nil, b, nil)
	}
	if err != nil {
		return "", console.Bad("the cursor is of before the program was started anew: search once more")
	}
	return string(b), nil
}

// plenty is a number of things.
func plenty(n int, thing string) string {
	return plentyOf(n, thing, thing+"s")
}

func plentyOf(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
