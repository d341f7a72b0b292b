package cluster

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/fxamacker/cbor/v2"
	"github.com/klauspost/compress/s2"

	"ringfence/storage"
)

// Bounds of what is told. The server takes messages of 1 MiB unless it is set otherwise.
const (
	maxMessage = 768 << 10 // bytes
	maxPlain   = 8 << 20   // bytes of a message when it is unpacked
	maxHead    = 8 << 10
	pageRows   = 2_000     // rows a message
	pageBytes  = 512 << 10 // bytes of texts in them, so that a message is not too large however badly it packs
	wireNow    = 2         // the version of what is told
)

// page is rows on the wire. What is said of them stands once for all that say the same, as most do: of an import all.
type page struct {
	_        struct{} `cbor:",toarray"`
	Said     []said
	Of       []uint32 // of each row, which of Said
	Patterns []string
}

// said is a storage.Row without its pattern.
type said struct {
	_                       struct{} `cbor:",toarray"`
	Origin                  uint8
	Source                  string
	Gone                    bool
	Wall                    int64
	Count                   uint32
	Node                    string
	Reason, Who             string
	Added, Updated, Expires int64
}

// head says what the rows behind it are.
type head struct {
	V       int    `json:"v"`
	Numbers string `json:"numbers"` // by what the sender reads numbers
	List    string `json:"list,omitempty"`
	ID      uint64 `json:"id,omitempty"`   // of a change
	Part    int    `json:"part,omitempty"` // of a change or an answer, counted from 0
	Last    bool   `json:"last,omitempty"`
	Kind    string `json:"kind,omitempty"`
	Who     string `json:"who,omitempty"`
	From    string `json:"from,omitempty"`
	Source  string `json:"source,omitempty"`
	Time    int64  `json:"time,omitempty"` // milliseconds since 1970
	Error   string `json:"error,omitempty"`
}

var (
	encoding, errEncoding = cbor.EncOptions{}.EncMode()
	decoding, errDecoding = cbor.DecOptions{MaxArrayElements: pageRows + storage.MaxEdit, MaxNestedLevels: 4, IndefLength: cbor.IndefLengthForbidden, TagsMd: cbor.TagsForbidden}.DecMode()

	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	errGarbled = errors.New("a message of another node cannot be read")
)

// pack makes a message of a head and some bytes.
func pack(h *head, body []byte) ([]byte, error) {
	h.V = wireNow
	text, err := json.Marshal(h)
	if err != nil {
		return nil, err
	}
	packed := s2.Encode(nil, body)
	b := make([]byte, 0, len(text)+len(packed)+5)
	b = append(b, text...)
	b = append(b, '\n')
	sum := crc32.Checksum(packed, castagnoli)
	b = append(b, byte(sum>>24), byte(sum>>16), byte(sum>>8), byte(sum))
	return append(b, packed...), nil
}

// unpack is pack's inverse, for whatever bytes.
func unpack(b []byte) (h head, body []byte, err error) {
	text, rest, ok := bytes.Cut(b, []byte("\n"))
	switch {
	case !ok || len(text) > maxHead || len(rest) < 4 || json.Unmarshal(text, &h) != nil:
		return h, nil, errGarbled
	case h.V != wireNow:
		return h, nil, fmt.Errorf("it is of version %d, and this program knows %d: bring all nodes to one version", h.V, wireNow)
	}
	sum, packed := uint32(rest[0])<<24|uint32(rest[1])<<16|uint32(rest[2])<<8|uint32(rest[3]), rest[4:]
	if crc32.Checksum(packed, castagnoli) != sum {
		return h, nil, errGarbled
	}
	if n, err := s2.DecodedLen(packed); err != nil || n > maxPlain {
		return h, nil, errGarbled
	}
	if body, err = s2.Decode(nil, packed); err != nil {
		return h, nil, errGarbled
	}
	return h, body, nil
}

func packRows(h *head, rows []storage.Row) ([]byte, error) {
	p := page{Of: make([]uint32, len(rows)), Patterns: make([]string, len(rows))}
	at := make(map[said]uint32)
	var last said
	for i := range rows {
		r := &rows[i]
		is := said{
			Origin: uint8(r.Origin), Source: r.Source, Gone: r.Gone, Wall: r.Stamp.Wall, Count: r.Stamp.Count, Node: r.Stamp.Node,
			Reason: r.Reason, Who: r.Who, Added: r.Added, Updated: r.Updated, Expires: r.Expires,
		}
		p.Patterns[i] = r.Pattern
		if i > 0 && is == last {
			p.Of[i] = p.Of[i-1]
			continue
		}
		n, there := at[is]
		if !there {
			n = uint32(len(p.Said))
			at[is], p.Said = n, append(p.Said, is)
		}
		p.Of[i], last = n, is
	}
	body, err := encoding.Marshal(&p)
	if err != nil {
		return nil, err
	}
	return pack(h, body)
}

// fit is how many of the first rows are in one message, one at least.
func fit(rows []storage.Row) (n int) {
	for size := 0; n < min(len(rows), pageRows); n++ {
		r := &rows[n]
		if size += len(r.Pattern) + len(r.Source) + len(r.Reason) + len(r.Who) + len(r.Stamp.Node) + 40; size > pageBytes && n > 0 {
			break
		}
	}
	return n
}

// rowsIn are the rows of a message, none of one without a body. What cannot be read is counted.
func (c *Cluster) rowsIn(body []byte) ([]storage.Row, error) {
	if len(body) == 0 {
		return nil, nil
	}
	rows, err := rowsOf(body)
	if err != nil {
		c.counts.garbled.Add(1)
	}
	return rows, err
}

func rowsOf(body []byte) ([]storage.Row, error) {
	var p page
	if err := decoding.Unmarshal(body, &p); err != nil || len(p.Of) != len(p.Patterns) {
		return nil, errGarbled
	}
	rows := make([]storage.Row, len(p.Of))
	for i, of := range p.Of {
		if int64(of) >= int64(len(p.Said)) {
			return nil, errGarbled
		}
		is := &p.Said[of]
		rows[i] = storage.Row{
			Pattern: p.Patterns[i], Origin: storage.Origin(is.Origin), Source: is.Source, Gone: is.Gone, Stamp: storage.Tick{Wall: is.Wall, Count: is.Count, Node: is.Node},
			Reason: is.Reason, Who: is.Who, Added: is.Added, Updated: is.Updated, Expires: is.Expires,
		}
	}
	return rows, nil
}
