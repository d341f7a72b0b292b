// Package sip reads SIP messages as far as a test must understand them, and writes texts as callers may.
package sip

import (
	"bytes"
	"strings"
)

// Message is a SIP message (RFC 3261), as far as a test must understand it: headers are not folded, and each is on a
// line of its own.
type Message struct {
	Start   string // the request line or the status line
	Headers [][2]string
	Body    string
}

// Parse reads a datagram. What is not SIP gives false.
func Parse(b []byte) (Message, bool) {
	head, body, _ := bytes.Cut(b, []byte("\r\n\r\n"))
	lines := strings.Split(string(head), "\r\n")
	if len(lines) < 2 || !strings.Contains(lines[0], "SIP/2.0") {
		return Message{}, false
	}
	m := Message{Start: lines[0], Body: string(body)}
	for _, l := range lines[1:] {
		if name, value, ok := strings.Cut(l, ":"); ok {
			m.Headers = append(m.Headers, [2]string{strings.TrimSpace(name), strings.TrimSpace(value)})
		}
	}
	return m, true
}

// Get is the first header of a name, "" if there is none.
func (m Message) Get(name string) string {
	for _, h := range m.Headers {
		if strings.EqualFold(h[0], name) {
			return h[1]
		}
	}
	return ""
}

// Method is that of a request, "" of a response.
func (m Message) Method() string {
	if m.Status() != "" {
		return ""
	}
	method, _, _ := strings.Cut(m.Start, " ")
	return method
}

// Status is the code and phrase of a response, "" of a request.
func (m Message) Status() string {
	s, ok := strings.CutPrefix(m.Start, "SIP/2.0 ")
	if !ok {
		return ""
	}
	return s
}

// To is the user part of a request's URI: the number that is called.
func (m Message) To() string {
	fields := strings.Fields(m.Start)
	if len(fields) < 2 {
		return ""
	}
	user, _, _ := strings.Cut(strings.TrimPrefix(fields[1], "sip:"), "@")
	return user
}

// FromName is the caller's name, as a phone would show it, "" if there is none.
func (m Message) FromName() string {
	from := m.Get("From")
	if rest, ok := strings.CutPrefix(from, `"`); ok {
		name, _, _ := strings.Cut(rest, `"`)
		return name
	}
	name, _, _ := strings.Cut(from, "<")
	return strings.TrimSpace(name)
}

// FromNumber is the user part of the caller's address.
func (m Message) FromNumber() string {
	_, rest, _ := strings.Cut(m.Get("From"), "sip:")
	user, _, ok := strings.Cut(rest, "@")
	if !ok {
		return ""
	}
	return user
}
