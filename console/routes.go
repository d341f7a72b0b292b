package console

import "net/http"

// routes is a ServeMux that can say what it serves, so that tests go over all of it: a route that nobody thought of is no route that nobody looks at.
type routes struct {
	*http.ServeMux
	patterns []string
}

func newRoutes() *routes { return &routes{ServeMux: http.NewServeMux()} }

func (m *routes) HandleFunc(pattern string, h func(http.ResponseWriter, *http.Request)) {
	m.patterns = append(m.patterns, pattern)
	m.ServeMux.HandleFunc(pattern, h)
}

// Routes are the patterns of all that Handler serves, as "GET /api/v1/lists/{list}/entries".
func Routes() []string { return serve(nil).patterns }

// Refuse says in the form of the API that a request cannot be served. code is for programs: bad_request, unauthorized and the like.
func Refuse(w http.ResponseWriter, status int, code, message string) {
	writeErrorCode(w, status, code, message)
}
