package web

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"ringfence/access"
	"ringfence/console"
)

// What a browser's script asks and sends here is JSON, and so are the answers: options to hand to the browser, or {"next":…}.

// maxPasskey is how large what a browser sends of a passkey may be, in bytes.
const maxPasskey = 64 << 10

func answerJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(v)
}

func readAll(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	return io.ReadAll(http.MaxBytesReader(w, r.Body, maxPasskey))
}

// begun gives a browser what is to come back with the answer of its key.
func (s *Server) begun(w http.ResponseWriter, r *http.Request, purpose string, data *webauthn.SessionData, options any) {
	sealed, err := s.secret.seal(purpose, data, passkeyTime)
	if err != nil {
		console.Refuse(w, http.StatusInternalServerError, "failed", err.Error())
		return
	}
	s.setCookie(w, r, begunCookie, sealed, http.SameSiteStrictMode, passkeyTime)
	answerJSON(w, options)
}

// errAgain is an answer that came before.
var errAgain = errors.New("this answer of a passkey was used before")

// begunBefore is what begun gave.
func (s *Server) begunBefore(w http.ResponseWriter, r *http.Request, purpose string) (webauthn.SessionData, error) {
	defer s.setCookie(w, r, begunCookie, "", http.SameSiteStrictMode, 0)
	for _, sealed := range s.secretsOf(r, begunCookie) {
		var data webauthn.SessionData
		if s.secret.open(purpose, sealed, &data) == nil {
			return data, nil
		}
	}
	return webauthn.SessionData{}, console.Bad("it was begun too long ago, or not in this browser: try again")
}

const (
	toSignIn = "passkey sign-in"
	toAdd    = "passkey of "
)

func (s *Server) beginPasskey(w http.ResponseWriter, r *http.Request) {
	options, data, err := s.passkeys.BeginDiscoverableLogin(webauthn.WithUserVerification(protocol.VerificationRequired))
	if err != nil {
		s.failedPasskey(w, r, err)
		return
	}
	s.begun(w, r, toSignIn, data, options)
}

func (s *Server) signInByPasskey(w http.ResponseWriter, r *http.Request) {
	data, err := s.begunBefore(w, r, toSignIn)
	if err != nil {
		s.failedPasskey(w, r, err)
		return
	}
	body, err := readAll(w, r)
	if err != nil {
		s.failedPasskey(w, r, console.Bad("what the browser sent is no answer of a passkey"))
		return
	}
	answer, err := protocol.ParseCredentialRequestResponseBytes(body)
	if err != nil {
		s.failedPasskey(w, r, console.Bad("what the browser sent is no answer of a passkey"))
		return
	}
	user, key, err := s.passkeys.ValidatePasskeyLogin(func(id, handle []byte) (webauthn.User, error) {
		return s.holder(s.o.Book.UserByHandle(handle))
	}, data, answer)
	if err == nil && !s.passkeys.once(data.Challenge) { // not before: anybody could use up the room with answers that are none
		err = errAgain
	}
	if err != nil {
		s.o.Book.Note(r.Context(), console.AuditEntry{Way: console.BySession, Address: addressIn(r), What: "sign in", Detail: "passkey", Failed: "the passkey is not one of a user, or its answer is wrong"})
		s.failedPasskey(w, r, access.ErrSignIn)
		return
	}
	name := user.WebAuthnName()
	if key.Authenticator.CloneWarning {
		s.o.Book.Note(r.Context(), console.AuditEntry{Who: name, Way: console.BySession, Address: addressIn(r), What: "sign in", Detail: "passkey", Failed: "the passkey has counted backwards: it may have been copied"})
		s.failedPasskey(w, r, access.ErrSignIn)
		return
	}
	kept, err := json.Marshal(key)
	if err != nil {
		s.failedPasskey(w, r, err)
		return
	}
	secret, _, err := s.o.Book.UsedPasskey(r.Context(), name, access.Passkey{ID: key.ID, Data: kept}, origin(r))
	if err != nil {
		s.failedPasskey(w, r, err)
		return
	}
	s.signedIn(w, r, secret)
	answerJSON(w, map[string]string{"next": nextIn(r.URL.Query().Get("next"))})
}

// holder is a user with the passkeys that there are.
func (s *Server) holder(name string) (*keyHolder, error) {
	if name == "" {
		return nil, access.ErrSignIn
	}
	handle, keys, err := s.o.Book.PasskeysOf(name)
	if err != nil {
		return nil, err
	}
	h := &keyHolder{handle: handle, name: name}
	for _, k := range keys {
		var c webauthn.Credential
		if err := json.Unmarshal(k.Data, &c); err != nil {
			return nil, fmt.Errorf("the passkey %s of %s cannot be read: %w", k.Name, name, err)
		}
		h.keys = append(h.keys, c)
	}
	return h, nil
}

func (s *Server) failedPasskey(w http.ResponseWriter, r *http.Request, err error) {
	switch {
	case errors.Is(err, access.ErrSignIn):
		console.Refuse(w, http.StatusUnauthorized, "unauthorized", "this passkey is none of a user of this console")
	case errors.Is(err, console.ErrBad):
		console.Refuse(w, http.StatusBadRequest, "bad_request", err.Error())
	case errors.Is(err, console.ErrConflict):
		console.Refuse(w, http.StatusConflict, "conflict", err.Error())
	default:
		s.o.Log.Error("a passkey could not be used", "error", err)
		console.Refuse(w, http.StatusInternalServerError, "failed", "the passkey could not be used: the log of the daemon says why")
	}
}

// ownAccount is the user who asks, who has one: a token is nobody's account.
func (s *Server) ownAccount(w http.ResponseWriter, r *http.Request) (*console.Who, bool) {
	who := console.WhoOf(r.Context())
	if who == nil || who.Way != console.BySession {
		s.refuse(w, r, http.StatusForbidden, "forbidden", "this is about the account of somebody who is signed in: a token has none")
		return nil, false
	}
	return who, true
}

func (s *Server) beginNewPasskey(w http.ResponseWriter, r *http.Request) {
	who, ok := s.ownAccount(w, r)
	if !ok {
		return
	}
	if err := s.o.Book.Again(who); err != nil {
		s.failedPasskey(w, r, err)
		return
	}
	h, err := s.holder(who.Name)
	if err != nil {
		s.failedPasskey(w, r, err)
		return
	}
	options, data, err := s.passkeys.BeginRegistration(h, webauthn.WithExclusions(webauthn.Credentials(h.keys).CredentialDescriptors()))
	if err != nil {
		s.failedPasskey(w, r, err)
		return
	}
	s.begun(w, r, toAdd+who.Name, data, options)
}

func (s *Server) addPasskey(w http.ResponseWriter, r *http.Request) {
	who, ok := s.ownAccount(w, r)
	if !ok {
		return
	}
	data, err := s.begunBefore(w, r, toAdd+who.Name)
	if err != nil {
		s.failedPasskey(w, r, err)
		return
	}
	body, err := readAll(w, r)
	if err != nil {
		s.failedPasskey(w, r, console.Bad("what the browser sent is no passkey"))
		return
	}
	answer, err := protocol.ParseCredentialCreationResponseBytes(body)
	if err != nil {
		s.failedPasskey(w, r, console.Bad("what the browser sent is no passkey"))
		return
	}
	h, err := s.holder(who.Name)
	if err != nil {
		s.failedPasskey(w, r, err)
		return
	}
	key, err := s.passkeys.CreateCredential(h, data, answer)
	if err != nil {
		s.failedPasskey(w, r, console.Bad("this passkey is not what was asked for: try again"))
		return
	}
	// What vouches for the maker of the key is large, and nobody asks for it.
	key.Attestation = webauthn.CredentialAttestation{}
	kept, err := json.Marshal(key)
	if err != nil {
		s.failedPasskey(w, r, err)
		return
	}
	if err := s.o.Book.AddPasskey(r.Context(), who.Name, access.Passkey{ID: key.ID, Name: r.URL.Query().Get("name"), Data: kept}); err != nil {
		s.failedPasskey(w, r, err)
		return
	}
	answerJSON(w, map[string]string{"next": "/account"})
}
