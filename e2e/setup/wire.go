package setup

import (
	"io"
	"net"
	"sync"
	"testing"
)

// Wire is a network between one daemon and a server, which can break.
type Wire struct {
	Address string // where the daemon connects instead

	to string
	ln net.Listener

	mu      sync.Mutex
	cut     bool
	mended  chan struct{} // nil: bytes pass; else it is closed when they do again
	between map[net.Conn]bool
	ended   chan struct{}
	work    sync.WaitGroup
}

// NewWire makes one to an address, whole.
func NewWire(t testing.TB, to string) *Wire {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &Wire{Address: ln.Addr().String(), to: to, ln: ln, between: make(map[net.Conn]bool), ended: make(chan struct{})}
	w.work.Go(w.accept)
	t.Cleanup(func() {
		close(w.ended)
		ln.Close()
		w.Cut()
		w.work.Wait()
	})
	return w
}

// Cut breaks all connections, and those that are made, as a router that says so.
func (w *Wire) Cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = true
	for c := range w.between {
		c.Close()
	}
}

// Hold lets nothing pass, and says nothing: as a cable that was pulled. What was sent meanwhile comes when it is mended, unless somebody gave up.
func (w *Wire) Hold() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.mended == nil {
		w.mended = make(chan struct{})
	}
}

// Mend makes it whole.
func (w *Wire) Mend() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = false
	if w.mended != nil {
		close(w.mended)
		w.mended = nil
	}
}

// pass waits until bytes may pass; false when there is no need any more.
func (w *Wire) pass() bool {
	w.mu.Lock()
	mended := w.mended
	w.mu.Unlock()
	if mended == nil {
		return true
	}
	select {
	case <-mended:
		return true
	case <-w.ended:
		return false
	}
}

func (w *Wire) accept() {
	for {
		c, err := w.ln.Accept()
		if err != nil {
			return
		}
		w.work.Go(func() { w.join(c) })
	}
}

// keep notes a connection, to be closed by Cut; false if it is cut already.
func (w *Wire) keep(c net.Conn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.cut {
		w.between[c] = true
	}
	return !w.cut
}

func (w *Wire) drop(c net.Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.between, c)
	c.Close()
}

func (w *Wire) join(near net.Conn) {
	defer w.drop(near)
	if !w.keep(near) || !w.pass() {
		return
	}
	far, err := net.Dial("tcp", w.to)
	if err != nil {
		return
	}
	defer w.drop(far)
	if !w.keep(far) {
		return
	}
	var both sync.WaitGroup
	both.Go(func() { w.copy(far, near) })
	both.Go(func() { w.copy(near, far) })
	both.Wait()
}

// copy carries bytes one way, until either side ends.
func (w *Wire) copy(to, from net.Conn) {
	defer to.Close()
	defer from.Close()
	b := make([]byte, 32<<10)
	for {
		n, err := from.Read(b)
		if n > 0 {
			if !w.pass() {
				return
			}
			if _, err := to.Write(b[:n]); err != nil {
				return
			}
		}
		if err != nil && (err == io.EOF || n == 0) {
			return
		}
	}
}
