package replay

import (
	"bufio"
	"bytes"

	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// decodeText gives the text of a file as UTF-8, if its beginning shows that it is UTF-16, as spreadsheets save "Unicode
// text". decoded says that it was. mark is how many bytes of a UTF-8 byte order mark it took off.
func decodeText(in *bufio.Reader) (out *bufio.Reader, decoded bool, mark int) {
	start, _ := in.Peek(512) // an error comes again with the next read
	order, found := unicode.LittleEndian, true
	switch {
	case bytes.HasPrefix(start, []byte("\ufeff")):
		n, _ := in.Discard(3)
		return in, false, n
	case bytes.HasPrefix(start, []byte("\xff\xfe")):
	case bytes.HasPrefix(start, []byte("\xfe\xff")):
		order = unicode.BigEndian
	default: // without a mark every other byte of digits and commas is 0
		var zeros [2]int
		for i, c := range start {
			if c == 0 {
				zeros[i%2]++
			}
		}
		if zeros[0] > zeros[1] {
			order = unicode.BigEndian
		}
		found = len(start) >= 4 && max(zeros[0], zeros[1]) > len(start)/4 && min(zeros[0], zeros[1]) == 0
	}
	if !found {
		return in, false, 0
	}
	decoder := unicode.UTF16(order, unicode.UseBOM).NewDecoder()
	return bufio.NewReaderSize(transform.NewReader(in, decoder), in.Size()), true, 0
}
