package listfile

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Bounds of a telephone book. A FRITZ!Box takes some hundred contacts.
const (
	maxBook    = 64 << 20 // bytes
	maxDepth   = 32       // elements within each other
	maxElement = 4096     // bytes kept of a text
)

var errBook = errors.New("it is XML, and no telephone book of a FRITZ!Box: <phonebooks> is expected")

// readFritzBox reads the telephone numbers of a FRITZ!Box's telephone book; the reason is the name of the contact.
func readFritzBox(in io.Reader, yield func(Line) error) error {
	d := xml.NewDecoder(&bounded{in, maxBook})
	d.CharsetReader = func(_ string, in io.Reader) (io.Reader, error) { return in, nil } // textfile has made UTF-8 of it
	var within []string
	var text strings.Builder
	var name string
	var numbers []Line
	for {
		token, err := d.Token()
		line, _ := d.InputPos()
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return fmt.Errorf("its XML cannot be read: %w", err)
		}
		switch t := token.(type) {
		case xml.Directive:
			return errors.New("it has a <!DOCTYPE>, which no telephone book has")
		case xml.StartElement:
			if within = append(within, t.Name.Local); len(within) == 1 && within[0] != "phonebooks" && within[0] != "phonebook" {
				return errBook
			}
			if len(within) > maxDepth {
				return errBook
			}
			if text.Reset(); t.Name.Local == "contact" {
				name, numbers = "", numbers[:0]
			}
		case xml.CharData:
			if text.Len() < maxElement {
				text.Write(t[:min(len(t), maxElement)])
			}
		case xml.EndElement:
			within = within[:len(within)-1] // the decoder holds them against each other
			switch content := strings.TrimSpace(text.String()); {
			case t.Name.Local == "realName":
				name = content
			case t.Name.Local == "number" && content != "" && len(numbers) < maxTel:
				numbers = append(numbers, Line{No: line, Number: content, SaysReason: true})
			case t.Name.Local == "contact":
				for _, l := range numbers {
					l.Reason = name
					if err := yield(l); err != nil {
						return err
					}
				}
				numbers = numbers[:0]
			}
			text.Reset()
		}
	}
}

// bounded ends with an error where a file is longer than it may be.
type bounded struct {
	in   io.Reader
	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, fmt.Errorf("it has more than %d bytes", int64(maxBook))
	}
	n, err := b.in.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}
