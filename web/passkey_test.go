package web_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"ringfence/console"
)

// device holds a passkey, as a phone does.
type device struct {
	t      testing.TB
	key    *ecdsa.PrivateKey
	id     []byte
	handle []byte
	count  uint32
	origin string // of the page that asks
	for_   string // the name that the key is for
	flags  byte
}

const (
	userThere    = 0x01
	userVerified = 0x04
	keyWithin    = 0x40
)

func newDevice(t testing.TB) *device {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	d := &device{t: t, key: key, id: make([]byte, 16), origin: "https://" + name + ":8085", for_: name, flags: userThere | userVerified}
	rand.Read(d.id)
	return d
}

func (d *device) data(kind, challenge string) string {
	text, err := json.Marshal(map[string]any{"type": kind, "challenge": challenge, "origin": d.origin, "crossOrigin": false})
	if err != nil {
		d.t.Fatal(err)
	}
	return string(text)
}

// state is the begin of what a device says of itself.
func (d *device) state(more byte) []byte {
	d.count++
	sum := sha256.Sum256([]byte(d.for_))
	return binary.BigEndian.AppendUint32(append(sum[:], d.flags|more), d.count)
}

// make answers what a page asks for that wants a new passkey.
func (d *device) make(options string) map[string]any {
	d.t.Helper()
	var o struct {
		PublicKey struct {
			Challenge string
			User      struct{ ID string }
			RP        struct{ ID string }
		}
	}
	if err := json.Unmarshal([]byte(options), &o); err != nil || o.PublicKey.RP.ID != name {
		d.t.Fatalf("the page asks for %s: %v", options, err)
	}
	var err error
	if d.handle, err = base64.RawURLEncoding.DecodeString(o.PublicKey.User.ID); err != nil {
		d.t.Fatal(err)
	}
	point, err := d.key.PublicKey.ECDH()
	if err != nil {
		d.t.Fatal(err)
	}
	raw := point.Bytes()
	state := append(d.state(keyWithin), make([]byte, 16)...)
	state = append(binary.BigEndian.AppendUint16(state, uint16(len(d.id))), d.id...)
	state = append(state, 0xa5, 1, 2, 3, 0x26, 0x20, 1, 0x21, 0x58, 32)
	state = append(append(append(state, raw[1:33]...), 0x22, 0x58, 32), raw[33:]...)
	object := append([]byte{0xa3, 0x63}, "fmt"...)
	object = append(append(append(append(object, 0x64), "none"...), 0x67), "attStmt"...)
	object = append(append(append(object, 0xa0, 0x68), "authData"...), 0x58, byte(len(state)))
	return map[string]any{
		"id": encode(d.id), "rawId": encode(d.id), "type": "public-key", "clientExtensionResults": map[string]any{},
		"response": map[string]any{"attestationObject": encode(append(object, state...)), "clientDataJSON": encode([]byte(d.data("webauthn.create", o.PublicKey.Challenge))), "transports": []string{"internal"}},
	}
}

// answer answers what a page asks for that signs in.
func (d *device) answer(options string) map[string]any {
	d.t.Helper()
	var o struct {
		PublicKey struct {
			Challenge, RPID  string
			UserVerification string
		}
	}
	if err := json.Unmarshal([]byte(options), &o); err != nil || o.PublicKey.RPID != name || o.PublicKey.UserVerification != "required" {
		d.t.Fatalf("the page asks for %s: %v", options, err)
	}
	data, state := d.data("webauthn.get", o.PublicKey.Challenge), d.state(0)
	hash := sha256.Sum256([]byte(data))
	sum := sha256.Sum256(append(append([]byte(nil), state...), hash[:]...))
	signature, err := ecdsa.SignASN1(rand.Reader, d.key, sum[:])
	if err != nil {
		d.t.Fatal(err)
	}
	return map[string]any{
		"id": encode(d.id), "rawId": encode(d.id), "type": "public-key", "clientExtensionResults": map[string]any{},
		"response": map[string]any{"authenticatorData": encode(state), "clientDataJSON": encode([]byte(data)), "signature": encode(signature), "userHandle": encode(d.handle)},
	}
}

// add gives the user of a browser a passkey on a device.
func (b *browser) add(d *device) *answer {
	b.h.t.Helper()
	begun := b.json("POST", "/account/passkeys/begin", map[string]any{})
	if begun.StatusCode != http.StatusOK {
		b.h.t.Fatalf("beginning: %d %s", begun.StatusCode, begun.text)
	}
	return b.json("POST", "/account/passkeys?name=phone", d.make(begun.text))
}

// signInWith signs in by a device.
func (b *browser) signInWith(d *device, with ...func(options, answer map[string]any)) *answer {
	b.h.t.Helper()
	begun := b.json("POST", "/signin/passkey/begin", map[string]any{})
	if begun.StatusCode != http.StatusOK {
		b.h.t.Fatalf("beginning: %d %s", begun.StatusCode, begun.text)
	}
	said := d.answer(begun.text)
	for _, f := range with {
		f(nil, said)
	}
	return b.json("POST", "/signin/passkey?next=%2Fcalls", said)
}

// A passkey signs its user in by itself, and is of use nowhere else, for nobody else, and never twice with one answer.
//
// long: because it is the life of one passkey
func TestPasskeys(t *testing.T) {
	t.Parallel()
	h := open(t, withTLS)
	admin := h.admin()
	anna := h.user(admin, console.NewUser{Name: "anna", Role: console.Viewer, Lines: []string{"staff"}})
	d := newDevice(t)
	if got := anna.add(d); got.StatusCode != http.StatusOK {
		t.Fatalf("adding: %d %s", got.StatusCode, got.text)
	}
	if got := h.browser().get("/signin"); !strings.Contains(got.text, "data-passkey=") {
		t.Error("the sign-in does not offer it")
	}
	if got := h.browser().get("/signin", func(r *http.Request) { r.Host = "localhost" }); strings.Contains(got.text, "data-passkey=") {
		t.Error("it is offered where browsers know the console by another name")
	}
	if got := anna.get("/account"); !strings.Contains(got.text, "phone") {
		t.Errorf("the account does not show it: %s", got.text)
	}
	if got := anna.add(d); got.StatusCode != http.StatusConflict {
		t.Errorf("adding it again: got %d", got.StatusCode)
	}
	if got := anna.get("/signin"); got.StatusCode != http.StatusSeeOther {
		t.Errorf("who is signed in gets %d at the sign-in", got.StatusCode)
	}
	if got := anna.get("/signin?again=1&next=/account"); got.StatusCode != http.StatusOK || !strings.Contains(got.text, `value="anna"`) || !strings.Contains(got.text, `value="/account"`) {
		t.Errorf("who is to sign in again gets %d: %s", got.StatusCode, got.text)
	}
	b := h.browser()
	got := b.signInWith(d)
	if got.StatusCode != http.StatusOK || !strings.Contains(got.text, `"next":"/calls"`) || b.session() == nil {
		t.Fatalf("signing in: %d %s", got.StatusCode, got.text)
	}
	if got := b.get("/account"); !strings.Contains(got.text, "anna") || !strings.Contains(got.text, "staff") {
		t.Errorf("signed in is %s", got.text)
	}

	// What fails, and signs nobody in.
	stranger := newDevice(t)
	stranger.handle = d.handle
	with := func(change func(d *device)) *device {
		other := *d
		change(&other)
		other.count += 100
		return &other
	}
	for what, other := range map[string]*device{
		"a key that is none":                stranger,
		"of another user":                   with(func(d *device) { d.handle = []byte("another") }),
		"a page elsewhere":                  with(func(d *device) { d.origin = "https://evil.example" }),
		"a key for another name":            with(func(d *device) { d.for_ = "evil.example" }),
		"nobody there":                      with(func(d *device) { d.flags = 0 }),
		"nobody who shows that it is him":   with(func(d *device) { d.flags = userThere }),
		"a key of the same name, by others": with(func(d *device) { d.key = stranger.key }),
	} {
		b := h.browser()
		if got := b.signInWith(other); got.StatusCode != http.StatusUnauthorized || b.session() != nil {
			t.Errorf("%s: got %d %s, the session is %v", what, got.StatusCode, got.text, b.session())
		}
	}
	d.count = 1000
	// An answer counts once, in the browser that asked.
	b = h.browser()
	begun := b.json("POST", "/signin/passkey/begin", map[string]any{})
	said := d.answer(begun.text)
	u, err := url.Parse(h.base)
	if err != nil {
		t.Fatal(err)
	}
	cookies := b.Jar.Cookies(u)
	if got := h.browser().json("POST", "/signin/passkey", said); got.StatusCode != http.StatusBadRequest {
		t.Errorf("in another browser: got %d", got.StatusCode)
	}
	if got := b.json("POST", "/signin/passkey", said); got.StatusCode != http.StatusOK {
		t.Errorf("in the browser that asked: got %d %s", got.StatusCode, got.text)
	}
	thief := h.browser()
	thief.Jar.SetCookies(u, []*http.Cookie{{Name: "__Host-ringfence-begun", Value: begunOf(cookies), Path: "/", Secure: true}})
	if got := thief.json("POST", "/signin/passkey", said); got.StatusCode != http.StatusUnauthorized || thief.session() != nil {
		t.Errorf("once more, with all that went over the wire: got %d", got.StatusCode)
	}
	// What was begun to sign in adds no passkey, and the other way round.
	begun = anna.json("POST", "/signin/passkey/begin", map[string]any{})
	if got := anna.json("POST", "/account/passkeys", newDevice(t).make(strings.Replace(begun.text, `"rpId":"`+name+`"`, `"rp":{"id":"`+name+`"},"user":{"id":"eA"}`, 1))); got.StatusCode != http.StatusBadRequest {
		t.Errorf("a sign-in that adds: got %d", got.StatusCode)
	}
	// Rubbish.
	anna.json("POST", "/account/passkeys/begin", map[string]any{})
	if got := anna.json("POST", "/account/passkeys", map[string]any{"id": strings.Repeat("x", 200<<10)}); got.StatusCode != http.StatusBadRequest {
		t.Errorf("rubbish: got %d", got.StatusCode)
	}

	// Removed, it signs nobody in.
	if got := anna.form("/account/passkeys/"+encode(d.id)+"/remove", url.Values{}); got.StatusCode != http.StatusSeeOther {
		t.Errorf("removing: %d %s", got.StatusCode, got.text)
	}
	if got := h.browser().signInWith(d); got.StatusCode != http.StatusUnauthorized {
		t.Errorf("after it was removed: got %d", got.StatusCode)
	}
}

func begunOf(cookies []*http.Cookie) string {
	for _, c := range cookies {
		if c.Name == "__Host-ringfence-begun" {
			return c.Value
		}
	}
	return ""
}

// Where browsers know the console by no name of https there are no passkeys, and nothing offers them.
func TestNoPasskeys(t *testing.T) {
	t.Parallel()
	h := open(t, "listen = \"127.0.0.1:0\"\n")
	if got := h.browser().get("/signin"); got.StatusCode != http.StatusOK || strings.Contains(got.text, "passkey") {
		t.Errorf("got %d %s", got.StatusCode, got.text)
	}
	if got := h.browser().json("POST", "/signin/passkey/begin", map[string]any{}); got.StatusCode != http.StatusUnauthorized {
		t.Errorf("got %d %s", got.StatusCode, got.text)
	}
}
