package cluster

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"ringfence/storage"
)

// What may be asked of a node.
const (
	askLeaves = "leaves" // the sums of a list's leaves
	askRows   = "rows"   // the rows of some leaves of a list
	askFacts  = "facts"  // what calls have taught it since a time
	askCalls  = "calls"  // what its journal has
)

const (
	pieceWait  = time.Minute      // for a piece of an answer, or the word that it came: a list of ten millions is read and summed meanwhile
	pieceLook  = time.Second      // how often it is looked meanwhile whether it can come at all
	piecesGone = 4                // pieces of an answer that are on their way at a time
	answerMost = 10 * time.Minute // for a whole answer
)

// A question that was lost, with the connection of this node or of the one that is asked, is asked again soon.
var (
	errLostQuestion = errors.New("the server was lost before it had answered")
	errNoQuestions  = errors.New("it takes no questions")
)

// question is what a node asks of another.
type question struct {
	What   string `json:"what"`
	List   string `json:"list"`
	Leaves []byte `json:"leaves,omitempty"` // a bit a leaf
	Query  []byte `json:"query,omitempty"`  // for calls
	Since  int64  `json:"since,omitempty"`  // milliseconds since 1970
}

// ask asks a node, and calls yield for each piece of the answer.
func (c *Cluster) ask(ctx context.Context, node string, q question, yield func(h head, body []byte) error) error {
	text, err := json.Marshal(q)
	if err != nil {
		return err
	}
	nc := c.nc()
	connected := nc.Stats().Reconnects
	inbox := nc.NewInbox()
	sub, err := nc.SubscribeSync(inbox)
	if err != nil {
		return err
	}
	defer sub.Unsubscribe()
	if err := nc.PublishRequest(c.subject("ask", node)+"."+c.o.Node, inbox, text); err != nil {
		return err
	}
	for part := 0; ; part++ {
		m, err := c.nextPiece(ctx, node, sub, connected)
		if err != nil {
			return err
		}
		h, body, err := unpack(m.Data)
		switch {
		case err != nil:
			c.counts.garbled.Add(1)
			return err
		case h.Error != "":
			return fmt.Errorf("it answers: %.200q", h.Error)
		case h.Part != part:
			return fmt.Errorf("a piece of its answer is missing: %d came for %d", h.Part, part)
		case !c.isInbox(m.Reply, node):
			c.counts.garbled.Add(1)
			return errGarbled
		}
		if err := yield(h, body); err != nil {
			return err
		}
		if err := m.Respond(nil); err != nil {
			return err
		}
		if h.Last {
			return nil
		}
	}
}

// nextPiece waits for a piece of a node's answer, or for the word that one came from whoever asked, whose node is not known. connected is how often the
// connection had been made anew when that was asked for: with the connection what was on its way is lost.
func (c *Cluster) nextPiece(ctx context.Context, node string, sub *nats.Subscription, connected uint64) (*nats.Msg, error) {
	for range int(pieceWait / pieceLook) {
		waiting, cancel := context.WithTimeout(ctx, pieceLook)
		m, err := sub.NextMsgWithContext(waiting)
		cancel()
		switch {
		case errors.Is(err, nats.ErrNoResponders):
			return nil, errNoQuestions
		case err == nil || ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded):
			return m, err
		}
		if !c.nc().IsConnected() || c.nc().Stats().Reconnects != connected {
			return nil, errLostQuestion
		}
		if node != "" && !slices.Contains(c.live(), node) {
			break
		}
	}
	return nil, errors.New("it does not answer")
}

// answer answers a question of another node, some at a time. Whose it is the subject says, and the answer goes to that node: who asks in another's name or has
// the answer sent elsewhere, where it would be this node's word, gets none.
func (c *Cluster) answer(m *nats.Msg) {
	node, ok := c.sender(m.Subject)
	if !ok || !c.isInbox(m.Reply, node) || len(m.Data) > 64<<10 {
		c.counts.garbled.Add(1)
		return
	}
	var q question
	if err := json.Unmarshal(m.Data, &q); err != nil {
		c.counts.garbled.Add(1)
		c.refuse(m, errGarbled.Error())
		return
	}
	places := c.asked
	if q.What == askCalls {
		places = c.looked
	}
	leave, ok := places.enter(node)
	if !ok {
		c.counts.full.Add(1)
		c.refuse(m, "it answers others already: ask again later")
		return
	}
	go func() {
		defer leave()
		if err := c.answerTo(m, &q); err != nil {
			c.refuse(m, err.Error())
		}
	}()
}

// isInbox reports whether a subject is one to which answers to a node go.
func (c *Cluster) isInbox(subject, node string) bool {
	return strings.HasPrefix(subject, c.subject("inbox", node)+".")
}

// places are for questions that are answered at a time. One node has some of them only: it may ask, and never say that the answer came.
type places struct {
	mu         sync.Mutex
	most, each int
	taken      map[string]int // by node
	all        int
}

func newPlaces(most, each int) *places {
	return &places{most: most, each: each, taken: make(map[string]int)}
}

// enter takes a place, which leave gives back; ok is false if there is none.
func (p *places) enter(node string) (leave func(), ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.all >= p.most || p.taken[node] >= p.each {
		return nil, false
	}
	p.all++
	p.taken[node]++
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.all--
		if p.taken[node]--; p.taken[node] == 0 {
			delete(p.taken, node)
		}
	}, true
}

func (c *Cluster) refuse(m *nats.Msg, why string) {
	if b, err := pack(&head{Error: why}, nil); err == nil {
		m.Respond(b)
	}
}

func (c *Cluster) answerTo(m *nats.Msg, q *question) error {
	if c.isStale() && q.What != askCalls {
		return errors.New("it was away for too long, and takes all lists anew first")
	}
	a := &pieces{c: c, to: m.Reply, ends: time.Now().Add(answerMost), h: head{Numbers: c.o.Numbers(), List: q.List}}
	defer a.close()
	switch q.What {
	case askLeaves:
		s, err := c.sum(q.List, true)
		if err != nil {
			return err
		}
		b := make([]byte, 0, 8*storage.LeafCount)
		for _, leaf := range s.leaves {
			b = binary.BigEndian.AppendUint64(b, leaf)
		}
		a.h.Last = true
		return a.send(b)
	case askRows:
		if len(q.Leaves) != storage.LeafCount/8 {
			return errGarbled
		}
		var page []storage.Row
		err := c.o.Store.ListRows(q.List, wanting(q.Leaves), func(rows []storage.Row) error {
			page = append(page, rows...)
			for n := fit(page); n < len(page); n = fit(page) {
				if err := a.sendRows(page[:n]); err != nil {
					return err
				}
				page = slices.Delete(page, 0, n)
			}
			return nil
		})
		if err != nil && !errors.Is(err, storage.ErrNoList) {
			return err
		}
		a.h.Last = true
		return a.sendRows(page)
	}
	switch q.What {
	case askFacts:
		return c.answerFacts(a, time.UnixMilli(max(q.Since, 0)))
	case askCalls:
		return c.answerCalls(a, q.Query)
	}
	return errors.New("it does not know the question")
}

// pieces is an answer, of which a piece is sent when all but a few of those before have come.
type pieces struct {
	c    *Cluster
	to   string
	h    head
	ends time.Time
	came *nats.Subscription // what says that a piece came
	gone int                // pieces that did not yet

	connected uint64 // see nextPiece
}

func (a *pieces) close() {
	if a.came != nil {
		a.came.Unsubscribe()
	}
}

func (a *pieces) sendRows(rows []storage.Row) error {
	if len(rows) == 0 {
		return a.send(nil)
	}
	b, err := packRows(&a.h, rows)
	if err != nil {
		return err
	}
	return a.publish(b)
}

func (a *pieces) send(body []byte) error {
	b, err := pack(&a.h, body)
	if err != nil {
		return err
	}
	return a.publish(b)
}

func (a *pieces) publish(b []byte) (err error) {
	if time.Now().After(a.ends) {
		return errors.New("the answer took too long")
	}
	if a.came == nil {
		a.connected = a.c.nc().Stats().Reconnects
		if a.came, err = a.c.nc().SubscribeSync(a.c.nc().NewInbox()); err != nil {
			return err
		}
	}
	if err := a.c.nc().PublishRequest(a.to, a.came.Subject, b); err != nil {
		return err
	}
	a.h.Part++
	for a.gone++; a.gone >= piecesGone || a.h.Last && a.gone > 0; a.gone-- {
		if _, err := a.c.nextPiece(context.Background(), "", a.came, a.connected); err != nil {
			return err
		}
	}
	return nil
}
