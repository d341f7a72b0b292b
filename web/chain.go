package web

import (
	"errors"
	"fmt"
	"math"
	"mime"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"ringfence/console"
)

// place is one of the chain's.
type place struct {
	name string
	why  string // it stands there and not elsewhere
	wrap func(*Server, http.Handler) http.Handler
}

// chain is what each request passes before it is answered, in this order.
var chain = []place{
	{"recover", "outermost: a fault of ours in any place ends one request, and is logged", (*Server).recovering},
	{"where from", "before anything counts, logs or writes down the address that somebody comes from", (*Server).findAddress},
	{"headers", "before all that may refuse: a refusal is a page too, and must no more be framed, cached or sniffed at", (*Server).withHeaders},
	{"pace", "before anything reads a body or writes an answer: who sends or takes a byte a minute holds nothing up", (*Server).pacing},
	{"host", "before an address is believed: a page elsewhere whose name leads here is stopped while it is nobody", (*Server).checkHost},
	{"no token in the address", "before anything logs, redirects or answers by the address", (*Server).checkAddress},
	{"cross-origin", "before cookies are looked at: what a page of another site has a browser send is not what its user meant", (*Server).checkOrigin},
	{"who", "once it is known that the request is meant for us, and before anything depends on whose it is", (*Server).findOut},
	{"how often", "after who, since it is counted for each by name, and for nobody by address", (*Server).checkRate},
	{"how much", "after who, since who may import may send more; and before anything of it is read", (*Server).checkBody},
	{"what a write looks like", "after who, since a script's token is no cookie that a browser adds by itself", (*Server).checkWrite},
	{"may nobody", "last: each route that is not said to be open is for who has signed in; what they may do there package access says", (*Server).checkOpen},
}

// chained puts the chain before a handler.
func (s *Server) chained(h http.Handler) http.Handler {
	for i := len(chain) - 1; i >= 0; i-- {
		h = chain[i].wrap(s, h)
	}
	return h
}

func (s *Server) recovering(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			switch fault := recover(); fault {
			case nil:
			case http.ErrAbortHandler: //nolint: it is how a handler ends a connection
				panic(fault)
			default:
				s.Counters.Panics.Add(1)
				s.o.Log.Error("a request to the console met a fault of the program", "method", r.Method, "route", s.routes.pattern(r), "fault", fmt.Sprint(fault), "stack", string(debug.Stack()))
				s.refuse(w, r, http.StatusInternalServerError, "failed", "something is wrong here: the log of the daemon says what")
			}
		}()
		next.ServeHTTP(w, r)
	})
}

// policyOfContent lets a page have what comes from here and nothing else: no script or style within it, no frame around it, no form to elsewhere.
const policyOfContent = "default-src 'self'; base-uri 'none'; object-src 'none'; form-action 'self'; frame-ancestors 'none'"

func (s *Server) withHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policyOfContent)
		h.Set("X-Frame-Options", "DENY")
		h.Set("X-Content-Type-Options", "nosniff")
		// Not no-referrer: with that browsers say of a form of ours, where they send no Sec-Fetch-Site, that it came from nowhere (Origin: null).
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		// What bears a hash of itself in its name says otherwise.
		h.Set("Cache-Control", "no-store")
		if s.hosts.url != nil && s.hosts.url.Scheme == "https" && s.hosts.secure(r) {
			// It counts for all ports of this name, the other servers of a PBX as well: a week, so that a mistake can be mended, and no name below it.
			h.Set("Strict-Transport-Security", "max-age=604800")
		}
		next.ServeHTTP(w, r)
	})
}

func (s *Server) checkHost(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !s.hosts.ours(r) {
			s.Counters.Host.Add(1)
			console.Refuse(w, http.StatusMisdirectedRequest, "wrong_host", fmt.Sprintf("this console is not called %.80q: write its address as it is in url of [console], or add that", r.Host))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// addressKeys are parameters by which people hand over tokens where they are used to it.
var addressKeys = map[string]bool{"token": true, "access_token": true, "api_token": true, "api_key": true, "apikey": true, "auth": true, "authorization": true, "bearer": true, "password": true}

func (s *Server) checkAddress(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		found := strings.Contains(r.RequestURI, tokenPrefix) && looksLikeToken(r.RequestURI)
		for _, pair := range strings.FieldsFunc(r.URL.RawQuery, func(c rune) bool { return c == '&' || c == ';' }) {
			key, _, _ := strings.Cut(pair, "=")
			found = found || addressKeys[strings.ToLower(key)]
		}
		if found {
			s.Counters.Address.Add(1)
			if before, say := s.inAddress.now(s.o.Now()); say {
				s.o.Log.Warn("a token or password came in an address, where it is left in logs and histories: revoke it", "from", addressOf(r.RemoteAddr), "unlogged_before", before)
			}
			s.refuse(w, r, http.StatusBadRequest, "token_in_address", "a token does not belong in an address, where it is left in logs and histories: revoke this one, and send another as Authorization: Bearer …")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// tokenPrefix is what each token begins with.
const tokenPrefix = "rf_"

// looksLikeToken reports whether there is a token in a text: its begin, and then enough of what tokens are made of.
func looksLikeToken(text string) bool {
	for {
		i := strings.Index(text, tokenPrefix)
		if i < 0 {
			return false
		}
		text = text[i+len(tokenPrefix):]
		if n := strings.IndexFunc(text, func(c rune) bool {
			return !(c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c == '-' || c == '_')
		}); n >= 20 || n < 0 && len(text) >= 20 {
			return true
		}
	}
}

func (s *Server) checkOrigin(next http.Handler) http.Handler {
	protection := http.NewCrossOriginProtection()
	if s.o.Conf.URL != "" {
		protection.AddTrustedOrigin(s.o.Conf.URL) // New has read it
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := protection.Check(r); err != nil {
			s.Counters.CrossOrigin.Add(1)
			s.refuse(w, r, http.StatusForbidden, "cross_origin", "this was sent by a page of another site: nothing was done")
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (s *Server) checkRate(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key := ofAddress + addressOf(r.RemoteAddr)
		if who := console.WhoOf(r.Context()); who != nil {
			key = who.Way + " " + who.Session
		}
		if wait, ok := s.rates.allow(key); !ok {
			s.Counters.Often.Add(1)
			w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(max(wait, time.Second).Seconds()))))
			s.refuse(w, r, http.StatusTooManyRequests, "too_often", fmt.Sprintf("more than %d requests a second: wait a moment", ratePerSecond))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// safe are the methods that change nothing.
func safe(method string) bool {
	return method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions
}

func (s *Server) checkWrite(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := s.wellWritten(r); err != nil {
			s.refuse(w, r, http.StatusUnsupportedMediaType, "bad_request", err.Error())
			return
		}
		next.ServeHTTP(w, r)
	})
}

// wellWritten says why a write is none that a page of ours or a script sends. JSON and files a page of another site cannot send without being asked for
// leave first, which it is not given; a form it can, so that one must prove where it comes from.
func (s *Server) wellWritten(r *http.Request) error {
	if safe(r.Method) || r.Method == http.MethodDelete && r.ContentLength == 0 && r.Header.Get("Content-Type") == "" {
		return nil
	}
	who := console.WhoOf(r.Context())
	if who != nil && who.Way == console.ByToken && r.ContentLength == 0 {
		return nil // no browser adds a token by itself
	}
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch kind {
	case "application/json", "application/octet-stream":
		return nil
	case "application/x-www-form-urlencoded", "multipart/form-data":
		if isAPI(r) {
			break
		}
		if !s.fromOurPage(r) {
			return errors.New("a form must come from a page of this console: open that page in a browser of this decade")
		}
		return nil
	}
	if isAPI(r) {
		return errors.New("send the request as application/json, or a file as application/octet-stream")
	}
	return errors.New("send a form, or JSON as application/json")
}

// fromOurPage reports whether a browser says that a page of ours has sent a request.
func (s *Server) fromOurPage(r *http.Request) bool {
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" {
		return site == "same-origin"
	}
	origin := r.Header.Get("Origin")
	return origin != "" && (origin == s.o.Conf.URL || origin == "https://"+r.Host || origin == "http://"+r.Host && r.TLS == nil)
}

func (s *Server) checkOpen(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if console.WhoOf(r.Context()) == nil && !s.routes.open(r) {
			s.askToSignIn(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}
