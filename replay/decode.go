package replay

import (
	"bufio"

	"ringfence/textfile"
)

// decodeText gives the text of a file as UTF-8, if its beginning shows that it is UTF-16, as spreadsheets save "Unicode
// text". decoded says that it was. mark is how many bytes of a UTF-8 byte order mark it took off. The places of all else must
// stay those of the file, which may be read backwards: so the rest of what textfile does to a file is not done here.
func decodeText(in *bufio.Reader) (out *bufio.Reader, decoded bool, mark int, err error) {
	text, name, mark, err := textfile.Unicode(in)
	if err != nil || name != "utf-16" {
		return in, false, mark, err
	}
	return bufio.NewReaderSize(text, in.Size()), true, 0, nil
}
