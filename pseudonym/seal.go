package pseudonym

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strings"

	"ringfence/number"
	"ringfence/storage"
)

// HideReport takes the caller out of a report and seals it: who has the key can still put them on a list, when somebody
// confirms the report. It is false for one without a number, or that is hidden already.
//
// With the key a token of a telephone number can be found out by trying all numbers, so that what is sealed with it is as secret
// as the token is.
func (p *Key) HideReport(r *storage.Report, plan *number.Plan) bool {
	c := r.Caller
	if strings.HasPrefix(c.Raw, storage.PrivateMark) {
		return false
	}
	n := numberOf(&c, plan)
	token := p.Token(&n)
	if !strings.HasPrefix(token, storage.PrivateMark) {
		return false // withheld
	}
	r.Sealed = p.seal(c)
	r.Caller.Raw, r.Caller.From, r.Caller.Diverted = token, "", ""
	if c.E164 != "" {
		r.Caller.E164 = token
	}
	return true
}

// Reveal gives a report as it was before it was hidden; false if it is hidden and cannot be read, because the key is another.
func (p *Key) Reveal(r storage.Report) (storage.Report, bool) {
	if r.Sealed == "" {
		return r, !strings.HasPrefix(r.Caller.Raw, storage.PrivateMark)
	}
	if p == nil {
		return r, false
	}
	c, ok := p.open(r.Sealed)
	if ok {
		r.Caller, r.Sealed = c, ""
	}
	return r, ok
}

// Seal makes of what is kept besides, as counts of calls, what nobody reads without the key. what tells one use of it from others: sealed for
// one it cannot be opened for another.
func (p *Key) Seal(what string, text []byte) []byte {
	return p.sealer("seal "+what).Seal(nil, nil, text, nil)
}

// Unseal opens what Seal made; false if it was made with another key or for another use, or is damaged. A nil key opens nothing.
func (p *Key) Unseal(what string, sealed []byte) ([]byte, bool) {
	if p == nil {
		return nil, false
	}
	text, err := p.sealer("seal "+what).Open(nil, nil, sealed, nil)
	return text, err == nil
}

// sealer encrypts with a key of its own, made of ours.
func (p *Key) sealer(label string) cipher.AEAD {
	mac := hmac.New(sha256.New, p.key)
	mac.Write([]byte(label))
	block, err := aes.NewCipher(mac.Sum(nil)) // 32 bytes: it takes them
	if err != nil {
		panic(err)
	}
	gcm, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err)
	}
	return gcm
}

func (p *Key) seal(c storage.Caller) string {
	text, err := json.Marshal(c)
	if err != nil {
		panic(err) // texts and a truth value
	}
	return base64.RawStdEncoding.EncodeToString(p.sealer("seal").Seal(nil, nil, text, nil))
}

func (p *Key) open(sealed string) (c storage.Caller, ok bool) {
	b, err := base64.RawStdEncoding.DecodeString(sealed)
	if err != nil {
		return c, false
	}
	text, err := p.sealer("seal").Open(nil, nil, b, nil)
	return c, err == nil && json.Unmarshal(text, &c) == nil
}
