package pages

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"mime"
	"net/http"
	"path"
	"strings"
)

//go:embed static
var staticFiles embed.FS

// StaticPrefix begins the paths of style and script, which are for everybody: the page to sign in needs them too.
const StaticPrefix = "/static/"

// asset is a file that browsers may keep for ever: what it is called says what is in it.
type asset struct {
	name        string // console.0a1b2c3d.css
	kind        string
	text, small []byte // as it is, and compressed
}

// assets are all of them, by the name in the folder and by the name that browsers ask for.
type assets struct{ byFile, byName map[string]*asset }

func newAssets() (*assets, error) {
	a := &assets{make(map[string]*asset), make(map[string]*asset)}
	files, err := staticFiles.ReadDir("static")
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		text, err := staticFiles.ReadFile(path.Join("static", f.Name()))
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(text)
		base, ext, _ := strings.Cut(f.Name(), ".")
		one := &asset{name: base + "." + hex.EncodeToString(sum[:6]) + "." + ext, kind: mime.TypeByExtension(path.Ext(f.Name())), text: text}
		switch path.Ext(f.Name()) { // whatever tables the machine has
		case ".css":
			one.kind = "text/css; charset=utf-8"
		case ".js":
			one.kind = "text/javascript; charset=utf-8"
		case ".svg":
			one.kind = "image/svg+xml"
		default:
			one.kind = "text/plain; charset=utf-8"
		}
		var small bytes.Buffer
		z, err := gzip.NewWriterLevel(&small, gzip.BestCompression)
		if err != nil {
			return nil, err
		}
		if _, err := z.Write(text); err != nil {
			return nil, err
		}
		if err := z.Close(); err != nil {
			return nil, err
		}
		one.small = small.Bytes()
		a.byFile[f.Name()], a.byName[one.name] = one, one
	}
	return a, nil
}

// path is where a file of the folder is to be had.
func (a *assets) path(file string) (string, error) {
	one := a.byFile[file]
	if one == nil {
		return "", fmt.Errorf("there is no static file %s", file)
	}
	return StaticPrefix + one.name, nil
}

// Static serves style and script under StaticPrefix, to everybody.
func (p *Pages) Static(w http.ResponseWriter, r *http.Request) {
	one := p.static.byName[strings.TrimPrefix(r.URL.Path, StaticPrefix)]
	if one == nil || r.Method != http.MethodGet && r.Method != http.MethodHead {
		http.Error(w, "there is no such file", http.StatusNotFound)
		return
	}
	h := w.Header()
	h.Set("Content-Type", one.kind)
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Vary", "Accept-Encoding")
	body := one.text
	if takesGzip(r) {
		h.Set("Content-Encoding", "gzip")
		body = one.small
	}
	h.Set("Content-Length", fmt.Sprint(len(body)))
	if r.Method == http.MethodGet {
		w.Write(body)
	}
}

// takesGzip reports whether a browser takes compressed answers. One that says q=0 of it is none that is met.
func takesGzip(r *http.Request) bool {
	for part := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		name, q, _ := strings.Cut(strings.TrimSpace(part), ";")
		if name == "gzip" && strings.ReplaceAll(q, " ", "") != "q=0" {
			return true
		}
	}
	return false
}
