package console

import (
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"ringfence/tomlfile"
)

// Limits of a request.
const (
	maxBody    = 2*tomlfile.MaxFile + 1<<20 // bytes of JSON: a policy to try, in which each line end and quote takes two, or one batch of list entries
	maxEntries = 10000                      // entries in one request
)

// Handler serves a Desk under /api/v1/.
func Handler(d Desk) http.Handler {
	mux := serve(d)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r = claim(r)
		if h, pattern := mux.Handler(r); pattern == "" {
			refuse(h, w, r)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// serve makes the routes.
func serve(d Desk) *routes {
	mux := newRoutes()
	mux.HandleFunc("POST /api/v1/check", answer(func(r *http.Request, q CheckQuery) (any, error) {
		return d.Check(r.Context(), q)
	}))
	mux.HandleFunc("GET /api/v1/lists", ask(func(r *http.Request) (any, error) {
		if line := r.URL.Query().Get("line"); line != "" {
			l, err := d.ListsOf(r.Context(), line)
			return nonNil(l), err
		}
		l, err := d.Lists(r.Context())
		return nonNil(l), err
	}))
	mux.HandleFunc("GET /api/v1/lists/{list}/entries", func(w http.ResponseWriter, r *http.Request) { entries(d, w, r) })
	mux.HandleFunc("POST /api/v1/lists/{list}/entries", edited(func(r *http.Request, add []NewEntry) (any, error) {
		if len(add) > maxEntries {
			return nil, Bad(fmt.Sprintf("%d entries at once: at most %d go in one request", len(add), maxEntries))
		}
		for i := range add {
			add[i].Source = "" // by which way somebody asks is known
		}
		e, err := d.AddEntries(r.Context(), r.PathValue("list"), add, r.URL.Query().Get("keep") == "good")
		return nonNil(e), err
	}))
	mux.HandleFunc("DELETE /api/v1/lists/{list}/entries", edited(func(r *http.Request, patterns []string) (any, error) {
		if len(patterns) > maxEntries {
			return nil, Bad(fmt.Sprintf("%d patterns at once: at most %d go in one request", len(patterns), maxEntries))
		}
		e, err := d.RemoveEntries(r.Context(), r.PathValue("list"), patterns, r.URL.Query().Get("all") == "true")
		return nonNil(e), err
	}))
	serveCalls(mux, d)
	serveReports(mux, d)
	serveForget(mux, d)
	serveDetectors(mux, d)
	serveKnown(mux, d)
	serveUsage(mux, d)
	serveScore(mux, d)
	servePolicies(mux, d)
	mux.HandleFunc("POST /api/v1/policy/reload", ask(func(r *http.Request) (any, error) { return d.Reload(r.Context()) }))
	mux.HandleFunc("POST /api/v1/pause", answer(func(r *http.Request, q pauseQuery) (any, error) {
		return d.Pause(r.Context(), time.Duration(q.Seconds*float64(time.Second)))
	}))
	mux.HandleFunc("DELETE /api/v1/pause", ask(func(r *http.Request) (any, error) { return d.Resume(r.Context()) }))
	mux.HandleFunc("GET /api/v1/status", ask(func(r *http.Request) (any, error) { return d.Status(r.Context()) }))
	serveLists(mux, d)
	serveLines(mux, d)
	servePeople(mux, d)
	serveCluster(mux, d)
	serveOpenAPI(mux)
	return mux
}

// refuse says in JSON what the mux would say in plain text: no such path, or not with this method.
func refuse(h http.Handler, w http.ResponseWriter, r *http.Request) {
	if allow := OtherMethods(h, r); allow != "" {
		w.Header().Set("Allow", allow)
		writeErrorCode(w, http.StatusMethodNotAllowed, "method_not_allowed", r.Method+" is not for "+r.URL.Path)
		return
	}
	writeErrorCode(w, http.StatusNotFound, "not_found", "there is nothing under "+r.URL.Path)
}

// OtherMethods are those, separated by commas, with which there is something under the path of a request that a mux has no pattern for; "" for none.
// h is the mux, or what its Handler gave for the request.
func OtherMethods(h http.Handler, r *http.Request) string {
	status := statusOnly{header: make(http.Header)}
	h.ServeHTTP(&status, r)
	if status.code != http.StatusMethodNotAllowed {
		return ""
	}
	return status.header.Get("Allow")
}

// statusOnly is a ResponseWriter that keeps the status and the headers.
type statusOnly struct {
	header http.Header
	code   int
}

func (s *statusOnly) Header() http.Header         { return s.header }
func (s *statusOnly) Write(b []byte) (int, error) { return len(b), nil }
func (s *statusOnly) WriteHeader(code int)        { s.code = code }

type pauseQuery struct {
	Seconds float64 `json:"seconds"` // 0: until resumed
}

func nonNil[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

// takeFile makes a handler of what takes a file, with parameters of these names; switches are true or false. Others are refused: a misspelt dry_run would
// be an import.
func takeFile(texts, switches string, f func(r *http.Request, v url.Values) (any, error)) http.HandlerFunc {
	known, either := strings.Fields(texts), strings.Fields(switches)
	return func(w http.ResponseWriter, r *http.Request) {
		// Not a type that a page of another site could send without being asked.
		if t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || t != "application/octet-stream" {
			writeErrorCode(w, http.StatusUnsupportedMediaType, "bad_request", "send the file as application/octet-stream")
			return
		}
		ask(func(r *http.Request) (any, error) {
			v := r.URL.Query()
			for name, values := range v {
				switch {
				case slices.Contains(known, name):
				case !slices.Contains(either, name):
					return nil, Bad(fmt.Sprintf("there is no parameter %.40q here: write %s", name, strings.Join(append(known[:len(known):len(known)], either...), ", ")))
				case values[0] != "true" && values[0] != "false":
					return nil, Bad(fmt.Sprintf("%s is %.40q: write true or false", name, values[0]))
				}
			}
			return f(r, v)
		})(w, r)
	}
}

// ask serves a request without a body.
func ask(f func(r *http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		v, err := f(r)
		if err != nil {
			writeError(w, err)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(v)
	}
}

// answer serves a request with a JSON body.
func answer[Q any](f func(r *http.Request, q Q) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || t != "application/json" {
			writeErrorCode(w, http.StatusUnsupportedMediaType, "bad_request", "send the request as application/json")
			return
		}
		var q Q
		dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&q); err != nil {
			writeError(w, Bad("the request is not the JSON expected here: "+err.Error()))
			return
		}
		ask(func(r *http.Request) (any, error) { return f(r, q) })(w, r)
	}
}

// stream writes one JSON object a line. An error before the first line is a status; one that comes later
// is a last line {"error":…}.
func stream(w http.ResponseWriter, each func(yield func(any) error) error) {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	started := false
	start := func() {
		if !started {
			started = true
			w.Header().Set("Content-Type", "application/x-ndjson")
		}
	}
	err := each(func(v any) error {
		start()
		return enc.Encode(v)
	})
	switch {
	case err != nil && !started:
		writeError(w, err)
	case err != nil:
		var b errorBody
		b.Error.Code, b.Error.Message = "failed", err.Error()
		enc.Encode(b)
	default:
		start()
	}
}
