package console

import (
	_ "embed"
	"net/http"
	"strconv"
)

// OpenAPI is the document of the API, as OpenAPI 3.1 in JSON. Its schemas are those of the types here, with their comments; a test writes it
// (go test ./console -run TestOpenAPI -update) and holds it against the routes.
//
//go:embed openapi.json
var OpenAPI []byte

func serveOpenAPI(mux *routes) {
	mux.HandleFunc("GET /api/v1/openapi.json", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(len(OpenAPI)))
		w.Write(OpenAPI)
	})
}
