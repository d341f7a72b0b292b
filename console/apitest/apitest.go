// Package apitest holds requests and answers of the API against its document. It is for tests alone: what checks is nothing that a daemon needs.
package apitest

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	"github.com/pb33f/libopenapi-validator/config"
	validation "github.com/pb33f/libopenapi-validator/errors"
)

// maxBody is the longest request that is held against the document, in bytes: longer ones are sent to be refused for their length.
const maxBody = 1 << 20

// Checker is a handler that serves what another serves, and reports to a test what is not as the document says. A request that the document does not
// allow must be refused; whatever is answered must be as the document says. It may be used from many goroutines.
type Checker struct {
	t    testing.TB
	next http.Handler
	v    validator.Validator
	mux  *http.ServeMux // finds the operation of a request, by the paths of the document

	working sync.WaitGroup
	mu      sync.Mutex      // validators may not be shared
	good    map[string]bool // "GET /api/v1/lists" that was answered
	refused map[string]bool
}

// Check makes a Checker that goes by a document. The test does not end before the requests under way.
func Check(t testing.TB, document []byte, next http.Handler) *Checker {
	t.Helper()
	doc, err := libopenapi.NewDocument(document)
	if err != nil {
		t.Fatal(err)
	}
	// Who asks is found out by others, before the handler of the API.
	v, errs := validator.NewValidator(doc, config.WithoutSecurityValidation(), config.WithFormatAssertions())
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	var paths struct {
		Paths map[string]map[string]json.RawMessage `json:"paths"`
	}
	if err := json.Unmarshal(document, &paths); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	for path, methods := range paths.Paths {
		for method := range methods {
			mux.Handle(strings.ToUpper(method)+" "+path, http.NotFoundHandler())
		}
	}
	c := &Checker{t: t, next: next, v: v, mux: mux, good: make(map[string]bool), refused: make(map[string]bool)}
	t.Cleanup(c.working.Wait)
	return c
}

// Seen reports whether an operation, as "GET /api/v1/lists", was answered and whether it was refused.
func (c *Checker) Seen(operation string) (good, refused bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.good[operation], c.refused[operation]
}

func (c *Checker) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.working.Add(1)
	defer c.working.Done()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		c.t.Errorf("%s %s: reading the request: %v", r.Method, r.URL, err)
	}
	again := func() *http.Request {
		q := r.Clone(r.Context())
		q.Body = io.NopCloser(bytes.NewReader(body))
		return q
	}
	answer := &tee{ResponseWriter: w, status: http.StatusOK}
	served := again()
	c.next.ServeHTTP(answer, served)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.check(again, len(body), answer)
}

// check holds one request and its answer against the document.
func (c *Checker) check(again func() *http.Request, length int, answer *tee) {
	r := again()
	ok := answer.status < 400
	at := r.Method + " " + r.URL.String()
	_, operation := c.mux.Handler(r)
	if operation == "" {
		if answer.status != http.StatusNotFound && answer.status != http.StatusMethodNotAllowed {
			c.t.Errorf("%s: got %d, and the document has no such operation", at, answer.status)
		}
		return
	}
	if r.URL.RawPath != "" { // a name with a slash in it, with which the validator finds no path
		plain := *r.URL
		plain.RawPath = ""
		plain.Path = named.ReplaceAllString(strings.Fields(operation)[1], "name")
		first := again
		again = func() *http.Request {
			q := first()
			q.URL = &plain
			return q
		}
	}
	if length <= maxBody {
		if allowed, faults := c.v.ValidateHttpRequestSync(again()); !allowed && ok {
			c.t.Errorf("%s was answered, and is no request of the document:\n%s", at, list(faults))
		}
	}
	for _, part := range parts(answer) {
		header := answer.Header().Clone()
		header.Set("Content-Type", part.kind)
		resp := &http.Response{StatusCode: answer.status, Header: header, Body: io.NopCloser(strings.NewReader(part.text)), Request: r}
		if valid, faults := c.v.ValidateHttpResponse(again(), resp); !valid {
			c.t.Errorf("%s: %d %.300s is no answer of the document:\n%s", at, answer.status, part.text, list(faults))
		}
	}
	if ok {
		c.good[operation] = true
	} else {
		c.refused[operation] = true
	}
}

// named is a parameter in a path.
var named = regexp.MustCompile(`\{[^}]*\}`)

// part is a piece of an answer that the document describes.
type part struct{ kind, text string }

// parts takes an answer of many lines apart: the document says what one line is. Of a stream each event that has a record is one.
func parts(answer *tee) (all []part) {
	kind := answer.Header().Get("Content-Type")
	text := answer.body.String()
	switch kind {
	case "application/x-ndjson":
		for line := range strings.Lines(text) {
			all = append(all, part{kind, line})
		}
		return all
	case "text/event-stream":
		for line := range strings.Lines(text) {
			if data, ok := strings.CutPrefix(line, "data: {"); ok {
				all = append(all, part{kind, "{" + data})
			}
		}
		return all
	}
	return []part{{kind, text}}
}

func list(faults []*validation.ValidationError) string {
	var b strings.Builder
	for _, f := range faults {
		b.WriteString("  " + f.Message + ": " + f.Reason + "\n")
		for _, s := range f.SchemaValidationErrors {
			b.WriteString("    " + s.FieldPath + ": " + s.Reason + "\n")
		}
	}
	return b.String()
}

// tee is a ResponseWriter that keeps what is written through it.
type tee struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

func (t *tee) Unwrap() http.ResponseWriter { return t.ResponseWriter }

func (t *tee) WriteHeader(code int) {
	t.status = code
	t.ResponseWriter.WriteHeader(code)
}

func (t *tee) Write(b []byte) (int, error) {
	t.body.Write(b)
	return t.ResponseWriter.Write(b)
}
