package console

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"
)

// ErrNotRunning says that no daemon listens on the socket: the file is missing or nobody answers it.
// Then, and only then, commands may work on the files themselves.
var ErrNotRunning = errors.New("the daemon is not running")

// Client is the Desk of a daemon on the other side of a unix socket.
type Client struct {
	http *http.Client
}

// Dial looks for a daemon on a unix socket. ErrNotRunning if there is none; a socket that may not be used
// is another error.
func Dial(ctx context.Context, socket string) (*Client, error) {
	dialer := net.Dialer{Timeout: 2 * time.Second}
	conn, err := dialer.DialContext(ctx, "unix", socket)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return nil, ErrNotRunning
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("the daemon's socket %s may not be used by this user: run the command as root or as a member of the socket's group", socket)
	case err != nil:
		return nil, fmt.Errorf("the daemon's socket %s does not answer: %w", socket, err)
	}
	first := make(chan net.Conn, 1)
	first <- conn
	return &Client{http: &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			select {
			case c := <-first:
				return c, nil
			default:
				return dialer.DialContext(ctx, "unix", socket)
			}
		},
	}}}, nil
}

// Close lets go of the connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// requestTime bounds a request that is not a stream. Reloading a large policy and adding many entries
// are the longest.
const requestTime = 60 * time.Second

func (c *Client) do(ctx context.Context, method, path string, in any) (*http.Response, error) {
	if in == nil {
		return c.send(ctx, method, path, "", nil)
	}
	var body bytes.Buffer
	enc := json.NewEncoder(&body)
	enc.SetEscapeHTML(false) // a policy to try shall not grow beyond what the daemon reads
	if err := enc.Encode(in); err != nil {
		return nil, err
	}
	return c.send(ctx, method, path, "application/json", &body)
}

// send does one request with a body of a type. An answer that is an error comes back as one.
func (c *Client) send(ctx context.Context, method, path, contentType string, body io.Reader) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://ringfence/api/v1/"+path, body)
	if err != nil {
		return nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", contentType)
	}
	if ByOf(ctx).From == FromCommandLine {
		req.Header.Set(headerFrom, FromCommandLine)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err
		}
		return nil, fmt.Errorf("the daemon did not answer: %w", err)
	}
	if resp.StatusCode/100 != 2 {
		defer resp.Body.Close()
		b, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
		return nil, readError(resp.StatusCode, b)
	}
	return resp, nil
}

// call does one request and decodes its answer into a T.
func call[T any](ctx context.Context, c *Client, method, path string, in any) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	var out T
	resp, err := c.do(ctx, method, path, in)
	if err != nil {
		return out, err
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&out); err != nil {
		return out, fmt.Errorf("the daemon's answer cannot be read: %w", err)
	}
	return out, nil
}

// upload sends a file, which is the caller's to close and as long as it is, and decodes the answer into a T.
func upload[T any](ctx context.Context, c *Client, path string, file io.Reader) (*T, error) {
	resp, err := c.send(ctx, "POST", path, "application/octet-stream", io.NopCloser(file))
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var out T
	if err := json.NewDecoder(resp.Body).Decode(&out); err != nil {
		return nil, fmt.Errorf("the daemon's answer cannot be read: %w", err)
	}
	return &out, nil
}

// lines reads an answer of one JSON object a line.
func lines[T any](ctx context.Context, c *Client, path string, yield func(T) error) error {
	resp, err := c.do(ctx, "GET", path, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	dec := json.NewDecoder(resp.Body)
	for {
		var raw json.RawMessage
		if err := dec.Decode(&raw); err == io.EOF {
			return nil
		} else if err != nil {
			return fmt.Errorf("the daemon's answer broke off: %w", err)
		}
		if bytes.HasPrefix(raw, []byte(`{"error":{`)) {
			return readError(http.StatusInternalServerError, raw)
		}
		var v T
		if err := json.Unmarshal(raw, &v); err != nil {
			return fmt.Errorf("the daemon's answer cannot be read: %w", err)
		}
		if err := yield(v); err != nil {
			return err
		}
	}
}

func (c *Client) Check(ctx context.Context, q CheckQuery) (*CheckReport, error) {
	return call[*CheckReport](ctx, c, "POST", "check", q)
}

func (c *Client) Lists(ctx context.Context) ([]ListSummary, error) {
	return call[[]ListSummary](ctx, c, "GET", "lists", nil)
}

func (c *Client) ListsOf(ctx context.Context, line string) ([]ListSummary, error) {
	return call[[]ListSummary](ctx, c, "GET", "lists?"+url.Values{"line": {line}}.Encode(), nil)
}

func entriesPath(list string) string { return "lists/" + url.PathEscape(list) + "/entries" }

func (c *Client) Entries(ctx context.Context, list string, yield func(ListEntry) error) error {
	return lines(ctx, c, entriesPath(list), yield)
}

func (c *Client) AddEntries(ctx context.Context, list string, add []NewEntry, keepGood bool) ([]Edit, error) {
	path := entriesPath(list)
	if keepGood {
		path += "?keep=good"
	}
	return call[[]Edit](ctx, c, "POST", path, add)
}

func (c *Client) RemoveEntries(ctx context.Context, list string, patterns []string, all bool) ([]Edit, error) {
	path := entriesPath(list)
	if all {
		path += "?all=true"
	}
	return call[[]Edit](ctx, c, "DELETE", path, patterns)
}

func (c *Client) Journal(ctx context.Context, q Query, yield func(Record) error) error {
	return lines(ctx, c, "calls?"+q.values().Encode(), yield)
}

func (c *Client) DeleteRecords(ctx context.Context, q Query) (*Deleted, error) {
	return call[*Deleted](ctx, c, "DELETE", "calls?"+url.Values{"caller": {q.Caller}, "callee": {q.Callee}}.Encode(), nil)
}

func (c *Client) Follow(ctx context.Context, joined func(), yield func(Record) error) error {
	resp, err := c.do(ctx, "GET", "calls/stream", nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	sc := bufio.NewScanner(resp.Body)
	sc.Buffer(nil, 1<<20)
	failed := false
	for sc.Scan() {
		switch sc.Text() {
		case "event: error":
			failed = true
			continue
		case ": following":
			if joined != nil {
				joined()
			}
			continue
		}
		data, ok := strings.CutPrefix(sc.Text(), "data: ")
		if text := ""; ok && failed && json.Unmarshal([]byte(data), &text) == nil {
			return errors.New(text)
		}
		if !ok {
			continue
		}
		var r Record
		if err := json.Unmarshal([]byte(data), &r); err != nil {
			return fmt.Errorf("the daemon's answer cannot be read: %w", err)
		}
		if err := yield(r); err != nil {
			return err
		}
	}
	if ctx.Err() != nil {
		return nil
	}
	if err := sc.Err(); err != nil {
		return fmt.Errorf("the daemon went away: %w", err)
	}
	return errors.New("the daemon went away")
}

func (c *Client) Reload(ctx context.Context) (*ReloadReport, error) {
	return call[*ReloadReport](ctx, c, "POST", "policy/reload", nil)
}

func (c *Client) Pause(ctx context.Context, d time.Duration) (*PauseState, error) {
	return call[*PauseState](ctx, c, "POST", "pause", pauseQuery{d.Seconds()})
}

func (c *Client) Resume(ctx context.Context) (*PauseState, error) {
	return call[*PauseState](ctx, c, "DELETE", "pause", nil)
}

func (c *Client) Status(ctx context.Context) (*Status, error) {
	return call[*Status](ctx, c, "GET", "status", nil)
}
