package web

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"time"
)

// sealer keeps what a browser shall bring back to us unread and unchanged, as the challenge of a passkey: nobody fills our memory by beginning
// sign-ins that he never ends. The key is of this run: what was begun before a restart is begun again.
type sealer struct {
	aead cipher.AEAD
	now  func() time.Time
}

var errSeal = errors.New("it was begun too long ago, or not here")

func newSealer(now func() time.Time) *sealer {
	key := make([]byte, 32)
	rand.Read(key) // ends the program rather than fail
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err) // of a key's length alone
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err)
	}
	return &sealer{aead, now}
}

// seal closes a value that counts for a time, and for one purpose.
func (s *sealer) seal(purpose string, v any, lasts time.Duration) (string, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return "", err
	}
	plain := binary.BigEndian.AppendUint64(nil, uint64(s.now().Add(lasts).Unix()))
	return base64.RawURLEncoding.EncodeToString(s.aead.Seal(nil, nil, append(plain, text...), []byte(purpose))), nil
}

// open opens what seal closed.
func (s *sealer) open(purpose, text string, v any) error {
	sealed, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return errSeal
	}
	plain, err := s.aead.Open(nil, nil, sealed, []byte(purpose))
	if err != nil || len(plain) < 8 || s.now().Unix() > int64(binary.BigEndian.Uint64(plain)) {
		return errSeal
	}
	return json.Unmarshal(plain[8:], v)
}
