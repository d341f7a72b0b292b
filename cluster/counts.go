package cluster

import (
	"context"
	"encoding/json"
	"time"

	"github.com/fxamacker/cbor/v2"
	"github.com/klauspost/compress/s2"
	"github.com/nats-io/nats.go"

	"ringfence/detect"
)

const (
	countEvery = 250 * time.Millisecond
	// sharesMost and thingsMost are how many shares, and things of theirs, are in one message.
	sharesMost, thingsMost = 256, 8192
	maxNews                = 1024 // that wait to be told; what finds no room is told with what stands
	newsMost               = 64   // a message
	standingEvery          = 10 * time.Second
)

// counted is what a node has counted, on the wire.
type counted struct {
	_      struct{} `cbor:",toarray"`
	Epoch  uint64   // of the run of its program
	At     int64    // its clock, in milliseconds since 1970
	Shares []share
}

// share is a detect.Share on the wire.
type share struct {
	_        struct{} `cbor:",toarray"`
	Detector string
	Form     uint64
	Trunk    string
	Key      string
	Sub      uint32
	Counts   []uint32
	Things   []detect.Thing
	Digits   []uint16
	Tens     []detect.Ten
	Held     bool
	Since    int64
}

// told is what a node's detectors tell of breakers, on the wire.
type told struct {
	News []detect.News `json:"news"`
}

var decodingCounts, errDecodingCounts = cbor.DecOptions{MaxArrayElements: 1 << 15, MaxNestedLevels: 6, IndefLength: cbor.IndefLengthForbidden, TagsMd: cbor.TagsForbidden}.DecMode()

// News has other nodes told of a breaker, at once; it is what detectors tell.
func (c *Cluster) News(n detect.News) {
	select {
	case c.news <- n:
	default:
		c.counts.full.Add(1)
	}
}

// tellCounts tells what detectors count, four times a second, and what becomes of breakers, at once.
func (c *Cluster) tellCounts(ctx context.Context) {
	count, stand := time.NewTicker(countEvery), time.NewTicker(standingEvery)
	defer count.Stop()
	defer stand.Stop()
	var shares []detect.Share
	begun := false // what an earlier run of the program has said is void: others are told so by a word that says nothing
	for {
		if !begun && c.nc().IsConnected() {
			begun = true
			c.publishCounted(&counted{Epoch: uint64(c.epoch()), At: c.o.Now().UnixMilli()})
		}
		select {
		case <-ctx.Done():
			return
		case n := <-c.news:
			all := []detect.News{n}
			for len(c.news) > 0 && len(all) < newsMost {
				all = append(all, <-c.news)
			}
			c.publishNews(all)
			continue
		case <-stand.C:
			c.tellStanding()
			continue
		case <-c.came: // a node that knows nothing
			if set := c.o.Detectors(); set != nil {
				set.TellAll()
			}
			c.tellStanding()
			continue
		case <-count.C:
		}
		set := c.o.Detectors()
		if nodes := len(c.live()); nodes > 0 && set != nil && c.nc().IsConnected() {
			shares = set.Tell(c.o.Now(), nodes+1, shares[:0])
			c.publishShares(shares)
		}
	}
}

func (c *Cluster) tellStanding() {
	set := c.o.Detectors()
	if set == nil || len(c.live()) == 0 {
		return
	}
	for all := set.Standing(c.o.Now()); len(all) > 0; {
		n := min(len(all), newsMost)
		c.publishNews(all[:n])
		all = all[n:]
	}
}

func (c *Cluster) publishNews(all []detect.News) {
	text, err := json.Marshal(told{all})
	if err == nil && c.nc().IsConnected() { // who is away hears of it when they are back
		err = c.nc().Publish(c.subject("trip", c.o.Node), text)
	}
	c.lost(err)
}

func (c *Cluster) publishShares(shares []detect.Share) {
	m := counted{Epoch: uint64(c.epoch()), At: c.o.Now().UnixMilli()}
	things := 0
	flush := func() {
		if len(m.Shares) == 0 {
			return
		}
		c.publishCounted(&m)
		m.Shares, things = m.Shares[:0], 0
	}
	for i := range shares {
		s := &shares[i]
		m.Shares = append(m.Shares, share{
			Detector: s.Detector, Form: s.Form, Trunk: s.Trunk, Key: s.Key, Sub: s.Sub, Counts: trimmed(s.Counts[:]), Things: s.Things,
			Digits: trimmed(s.Digits[:]), Tens: s.Tens, Held: s.Held, Since: s.Since,
		})
		if things += len(s.Things) + len(s.Tens); len(m.Shares) == sharesMost || things >= thingsMost {
			flush()
		}
	}
	flush()
}

func (c *Cluster) publishCounted(m *counted) {
	b, err := encoding.Marshal(m)
	if err == nil {
		err = c.nc().Publish(c.subject("count", c.o.Node), s2.Encode(nil, b))
	}
	c.lost(err)
}

// trimmed leaves out the zeros at the end.
func trimmed[T uint16 | uint32](all []T) []T {
	for len(all) > 0 && all[len(all)-1] == 0 {
		all = all[:len(all)-1]
	}
	return all
}

// hearCounts takes what another node has counted.
func (c *Cluster) hearCounts(m *nats.Msg) {
	node, ok := c.sender(m.Subject)
	set := c.o.Detectors()
	if ok && (node == c.o.Node || !c.isKnown(node)) || set == nil { // one that is not known yet says it again
		return
	}
	if !ok {
		c.counts.garbled.Add(1)
		return
	}
	var in counted
	n, err := s2.DecodedLen(m.Data)
	if err != nil || n > maxPlain {
		c.counts.garbled.Add(1)
		return
	}
	b, err := s2.Decode(nil, m.Data)
	if err != nil || decodingCounts.Unmarshal(b, &in) != nil || len(in.Shares) > sharesMost {
		c.counts.garbled.Add(1)
		return
	}
	shares := make([]detect.Share, len(in.Shares))
	for i := range in.Shares {
		s := &in.Shares[i]
		shares[i] = detect.Share{Detector: s.Detector, Form: s.Form, Trunk: s.Trunk, Key: s.Key, Sub: s.Sub, Things: s.Things, Tens: s.Tens, Held: s.Held, Since: s.Since}
		if len(s.Counts) > len(shares[i].Counts) || len(s.Digits) > len(shares[i].Digits) {
			c.counts.garbled.Add(1)
			return
		}
		copy(shares[i].Counts[:], s.Counts)
		copy(shares[i].Digits[:], s.Digits)
	}
	set.Heard(node, in.Epoch, time.UnixMilli(in.At), c.o.Now(), shares)
}

// hearNews takes what another node's breakers did.
func (c *Cluster) hearNews(m *nats.Msg) {
	node, ok := c.sender(m.Subject)
	set := c.o.Detectors()
	if ok && (node == c.o.Node || !c.isKnown(node)) || set == nil {
		return
	}
	var in told
	if !ok || len(m.Data) > maxMessage || json.Unmarshal(m.Data, &in) != nil || len(in.News) > newsMost {
		c.counts.garbled.Add(1)
		return
	}
	now := c.o.Now()
	for _, n := range in.News {
		set.Follow(n, node, now)
	}
}
