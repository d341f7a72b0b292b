package bridge

import "sync"

// Held is a call that hears an announcement or a prompt and so takes up room on its trunk. Whoever gave it room may
// take it back: a call that is dismissed hears no more, and ends as its verdict says of a caller who does not pass, or
// goes on where the verdict lets it. The zero value is ready.
type Held struct {
	mu        sync.Mutex
	dismissed bool
	passed    bool
	interrupt func()
}

// Dismiss takes the room back. It does not wait; a switch that cannot break off what it plays ends the call behind it, and
// FreeSWITCH waits for keys to the end of their time, once the prompt is broken off (switch_ivr_collect_digits_count).
func (h *Held) Dismiss() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.dismissed {
		return
	}
	h.dismissed = true
	if h.interrupt != nil {
		go h.interrupt()
	}
}

// Passed reports whether the caller has keyed in what they were asked for.
func (h *Held) Passed() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.passed
}

// Dismissed reports whether the room was taken back.
func (h *Held) Dismissed() bool {
	if h == nil {
		return false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.dismissed
}

// Pass notes that the caller has keyed in what they were asked for. Other keys are no sign of anything: a dialler presses
// some as well.
func (h *Held) Pass() {
	if h == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.passed = true
}

// bind says how what is played now is broken off; nil where it cannot be.
func (h *Held) bind(interrupt func()) {
	if h == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.interrupt = interrupt
}
