package pages

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"

	"ringfence/console"
)

// importData is the page "import".
type importData struct {
	List    string
	File    string
	Report  *console.ImportReport
	Asked   importAsked
	Wrong   string // what the daemon says of a file that cannot be read
	Preview bool
	Text    string // the file again, to do it after the preview; "" where it is too large for a form
	Larger  bool
	Undo    uint64
}

// Nothing reports whether a file that was looked at would change nothing, as one that cannot be read.
func (d *importData) Nothing() bool {
	return d.Preview && d.Report != nil && d.Report.Added+d.Report.Updated+d.Report.Removed == 0
}

// importAsked is how a file shall be read.
type importAsked struct {
	Number, Reason, Expires string // columns, by name or by place
	Encoding                string
	Replace, Strict, Force  bool
}

// Bounds of files.
const (
	maxImport  = 64 << 20 // bytes of a file that is imported
	maxCarried = 1 << 20  // of a file that the preview carries along, so that it need not be chosen again
	maxShown   = 100      // refused lines, warnings and entries that are shown
)

func (p *Pages) importPages() {
	p.handle("GET /lists/{list}/import", func(w http.ResponseWriter, r *http.Request) error {
		if who := console.WhoOf(r.Context()); who == nil || who.Bound() { // who is bound imports nothing
			return console.NotFound("")
		}
		p.Show(w, r, http.StatusOK, "import", &importData{List: r.PathValue("list")})
		return nil
	})
	p.handle("POST /lists/{list}/import", p.importList)
}

// importList says what a file would do to a list, or does it.
func (p *Pages) importList(w http.ResponseWriter, r *http.Request) error {
	r.Body = http.MaxBytesReader(w, r.Body, maxImport)
	d := &importData{List: r.PathValue("list")}
	text, err := d.read(r)
	if err != nil {
		return err
	}
	d.Preview = r.PostFormValue("import") == ""
	q := console.ImportQuery{
		List: d.List, File: d.File, DryRun: d.Preview, Strict: d.Asked.Strict, Replace: d.Asked.Replace, Force: d.Asked.Force, Encoding: d.Asked.Encoding,
	}
	for name, column := range map[string]string{"number": d.Asked.Number, "reason": d.Asked.Reason, "expires": d.Asked.Expires} {
		if column != "" {
			q.Columns = append(q.Columns, name+"="+column)
		}
	}
	status := http.StatusOK
	switch d.Report, err = p.o.Desk.Import(r.Context(), q, bytes.NewReader(text)); {
	case errors.Is(err, console.ErrBad), errors.Is(err, console.ErrConflict):
		d.Wrong, status = err.Error(), http.StatusBadRequest
		d.Preview = true
	case err != nil:
		return err
	case !d.Preview:
		d.Undo = d.Report.Change
		p.stateChanged()
	}
	if d.Preview {
		if d.Larger = len(text) > maxCarried || strings.ContainsRune(string(text), 0) || !isText(text); !d.Larger {
			d.Text = string(text)
		}
	}
	if d.Report != nil {
		d.Report.Refusals = d.Report.Refusals[:min(len(d.Report.Refusals), maxShown)]
		d.Report.Warnings = d.Report.Warnings[:min(len(d.Report.Warnings), maxShown)]
		d.Report.Would = d.Report.Would[:min(len(d.Report.Would), maxShown)]
	}
	p.Show(w, r, status, "import", d)
	return nil
}

// isText reports whether a form can carry a file unharmed: it is UTF-8.
func isText(b []byte) bool { return bytes.Equal(bytes.ToValidUTF8(b, nil), b) }

// read reads the form: a file that was chosen, or the text that a preview carried along or somebody pasted.
func (d *importData) read(r *http.Request) ([]byte, error) {
	if err := r.ParseMultipartForm(4 << 20); err != nil && !errors.Is(err, http.ErrNotMultipart) {
		return nil, console.Bad("the file cannot be read: " + err.Error())
	} else if err := r.ParseForm(); err != nil {
		return nil, console.Bad("the form cannot be read: " + err.Error())
	}
	if r.MultipartForm != nil {
		defer r.MultipartForm.RemoveAll()
	}
	d.Asked = importAsked{
		Number: field(r, "number"), Reason: field(r, "reason"), Expires: field(r, "expires"), Encoding: field(r, "encoding"),
		Replace: r.PostFormValue("replace") != "", Strict: r.PostFormValue("strict") != "", Force: r.PostFormValue("force") != "",
	}
	d.File = field(r, "name")
	if f, head, err := r.FormFile("file"); err == nil {
		defer f.Close()
		if text, err := io.ReadAll(f); err != nil {
			return nil, console.Bad("the file cannot be read: " + err.Error())
		} else if len(text) > 0 {
			d.File = head.Filename
			return text, nil
		}
	}
	text := r.PostFormValue("text")
	if text == "" {
		return nil, console.Bad("no file was chosen, and nothing was pasted")
	}
	if d.File == "" {
		d.File = "pasted.csv"
	}
	return []byte(text), nil
}
