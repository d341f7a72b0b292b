package cmd

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"ringfence/terminal"
)

// importFile opens a file, "-" for standard input, and a desk, and hands what is read to an import. On a terminal a bar shows how far it is. name is
// what the change is said to be from.
func (a *app) importFile(file string, readOnly bool, take func(d *desk, name string, in io.Reader) error) error {
	in, err := a.openFile(file)
	if err != nil {
		return err
	}
	defer in.Close()
	return a.withDesk(readOnly, func(d *desk) error {
		bar := newReadBar(a.err, in.size)
		defer bar.end()
		return take(d, in.name, bar.reader(in))
	})
}

// openedFile is a file to import.
type openedFile struct {
	io.ReadCloser
	name string
	size int64 // bytes; 0 of standard input
}

// openFile opens a file to import, "-" for standard input.
func (a *app) openFile(file string) (*openedFile, error) {
	if file == "-" {
		return &openedFile{ReadCloser: io.NopCloser(a.in), name: "standard input"}, nil
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	in := &openedFile{ReadCloser: f, name: file}
	if info, err := f.Stat(); err == nil {
		if in.size = info.Size(); info.IsDir() {
			f.Close()
			return nil, fmt.Errorf("%s is a folder: name a file in it", file)
		}
	}
	return in, nil
}

// readBar shows on a terminal how much of a file has been read.
type readBar struct {
	out   io.Writer // nil: no terminal
	size  int64     // 0: not known
	read  int64
	shown time.Time
	now   func() time.Time
}

// barEvery is how often it is drawn.
const barEvery = 200 * time.Millisecond

func newReadBar(out io.Writer, size int64) *readBar {
	p := &readBar{size: size, now: time.Now}
	if terminal.Is(out) {
		p.out = out
	}
	return p
}

func (p *readBar) reader(r io.Reader) io.Reader {
	if p.out == nil {
		return r
	}
	return &barReader{r, p}
}

type barReader struct {
	r io.Reader
	p *readBar
}

func (r *barReader) Read(b []byte) (int, error) {
	n, err := r.r.Read(b)
	r.p.add(int64(n), err == io.EOF)
	return n, err
}

// add counts bytes and draws the bar now and then, and at the end.
func (p *readBar) add(n int64, last bool) {
	p.read += n
	if now := p.now(); last || now.Sub(p.shown) >= barEvery {
		p.shown = now
		fmt.Fprintf(p.out, "\r%s\x1b[K", p.bar(last))
	}
}

func (p *readBar) bar(last bool) string {
	const width = 30
	switch {
	case last:
		return "read; sorting and writing …"
	case p.size <= 0:
		return fmt.Sprintf("%d MB read", p.read>>20)
	}
	done := min(float64(p.read)/float64(p.size), 1)
	full := int(done * width)
	return fmt.Sprintf("[%s%s] %3.0f%%", strings.Repeat("#", full), strings.Repeat(".", width-full), 100*done)
}

// end clears the line.
func (p *readBar) end() {
	if p.out != nil {
		fmt.Fprint(p.out, "\r\x1b[K")
	}
}
