package notice

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ringfence/policy"
	"ringfence/storage"
)

// TestSendmail holds what the program that delivers mail gets: its arguments and the message, from no shell.
func TestSendmail(t *testing.T) {
	folder := t.TempDir()
	program := filepath.Join(folder, "sendmail")
	script := "#!/bin/sh\nprintf '%s\\n' \"$@\" > " + folder + "/args\ncat > " + folder + "/mail\n"
	if err := os.WriteFile(program, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	n := New(nil, Options{Folder: folder, Sendmail: program, From: "ringfence@example.com", Policy: func() *policy.Policy { return nil }, Log: slog.New(slog.DiscardHandler), Now: time.Now})
	to, err := Parse("daily mailto:a.b@example.com")
	if err != nil {
		t.Fatal(err)
	}
	c := stoppedAt(time.Now(), storage.Caller{Raw: "x\r\nBcc: c@d", Kind: "invalid"}, "$(touch "+folder+"/owned)", "`touch "+folder+"/owned`")
	m, _ := messageOf("shop", &storage.Notice{Line: "shop~1"}, []storage.NoticeCall{c}, time.UTC)
	if err := n.send(t.Context(), &storage.Line{Name: "shop", Language: "en"}, to, m); err != nil {
		t.Fatal(err)
	}
	args, _ := os.ReadFile(filepath.Join(folder, "args"))
	if string(args) != "-i\n-f\nringfence@example.com\n--\na.b@example.com\n" {
		t.Errorf("its arguments are %q", args)
	}
	text, _ := os.ReadFile(filepath.Join(folder, "mail"))
	if !strings.Contains(string(text), "To: a.b@example.com\n") || strings.Contains(string(text), "\nBcc:") || !strings.Contains(string(text), "since the last digest") {
		t.Errorf("it got %s", text)
	}
	if _, err := os.Stat(filepath.Join(folder, "owned")); err == nil {
		t.Error("a shell read the caller's name")
	}

	n.mails.from = ""
	if err := n.send(t.Context(), &storage.Line{Name: "shop"}, to, m); err != nil {
		t.Fatal(err)
	}
	if args, _ := os.ReadFile(filepath.Join(folder, "args")); string(args) != "-i\n--\na.b@example.com\n" {
		t.Errorf("without from its arguments are %q", args)
	}

	if err := os.WriteFile(program, []byte("#!/bin/sh\nprintf 'no \\033[2J\\nroom' >&2\nexit 75\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	err = n.send(t.Context(), &storage.Line{Name: "shop"}, to, m)
	if err == nil || !strings.Contains(err.Error(), "exit status 75") || !strings.Contains(err.Error(), "room") || strings.ContainsAny(err.Error(), "\x1b\n") {
		t.Errorf("it failed, and the error is %q", err)
	}
	n.mails.program = filepath.Join(folder, "none")
	if err = n.send(t.Context(), &storage.Line{Name: "shop"}, to, m); err == nil || !strings.Contains(err.Error(), "[notify]") {
		t.Errorf("there is no program, and the error is %v", err)
	}
}

// TestWebhook holds a webhook's request against the signature as docs/notice.md has it checked, and what becomes of its answers.
func TestWebhook(t *testing.T) {
	var body, signature string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		if r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s with %v", r.Method, r.Header)
		}
		body, signature = string(text), r.Header.Get("Ringfence-Signature")
	}))
	defer server.Close()
	folder, now := t.TempDir(), time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)
	h := newHooks(folder, true, func() time.Time { return now })
	u, _ := url.Parse(server.URL + "/hook?secret=s3cret")
	m, _ := messageOf("shop", &storage.Notice{Line: "shop~1"}, []storage.NoticeCall{
		stoppedAt(now, storage.Caller{Raw: "13800138000", E164: "+8613800138000", Kind: "mobile"}, "see evil.com", "listed"),
		stoppedAt(now, storage.Caller{Raw: "13900139000", E164: "+8613900139000", Kind: "mobile", Withheld: true}, "13900139000", "+8613900139000"),
	}, time.UTC)
	if err := h.post(t.Context(), u, "one", m); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(folder, "notice.key")
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("the secret: %v, %v", info, err)
	}
	installation, _ := os.ReadFile(file)
	mac := func(key, text string) string {
		h := hmac.New(sha256.New, []byte(key))
		h.Write([]byte(text))
		return hex.EncodeToString(h.Sum(nil))
	}
	secret := mac(strings.TrimSpace(string(installation)), "one")
	if want := "t=1793610000,v1=" + mac(secret, "1793610000."+body); signature != want {
		t.Errorf("the signature is %s, want %s", signature, want)
	}
	if other := mac(mac(strings.TrimSpace(string(installation)), "two"), "1793610000."+body); strings.HasSuffix(signature, other) {
		t.Error("another customer's secret signs the same")
	}
	var got struct {
		Version, Stopped, More int
		Line                   string
		Calls                  []struct {
			Caller, Name, Called, Rule string
			Withheld                   bool
		}
	}
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatal(err)
	}
	if got.Version != 1 || got.Line != "shop" || got.Stopped != 2 || len(got.Calls) != 2 || got.Calls[0].Caller != "+8613800138000" || got.Calls[0].Name != "see evil. com" || !got.Calls[1].Withheld ||
		strings.Contains(body, "1390013") {
		t.Errorf("got %s", body)
	}
}

// TestWebhookAnswers holds that no redirect is followed, that an address is asked only if it may be, and that errors name none.
func TestWebhookAnswers(t *testing.T) {
	var status, asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(int(status.Load()))
		fmt.Fprint(w, strings.Repeat("x", 1<<20)) // of which little is read
	}))
	defer server.Close()
	h := newHooks(t.TempDir(), true, time.Now)
	u, _ := url.Parse(server.URL + "/hook?secret=s3cret")
	m, _ := messageOf("shop", &storage.Notice{Line: "shop~1"}, []storage.NoticeCall{stoppedAt(time.Now(), storage.Caller{Raw: "x"}, "", "")}, time.UTC)
	for code, want := range map[int]string{302: "is not followed", 307: "is not followed", 404: "answers 404", 500: "answers 500", 200: ""} {
		status.Store(int64(code))
		asked.Store(0)
		err := h.post(t.Context(), u, "one", m)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%d: %v", code, err)
		}
		if n := asked.Load(); n != 1 {
			t.Errorf("%d: it was asked %d times", code, n)
		}
	}
	h.private = false
	asked.Store(0)
	secure, _ := url.Parse(strings.Replace(server.URL, "http:", "https:", 1) + "/s3cret")
	for _, u := range []*url.URL{u, secure} {
		if err := h.post(t.Context(), u, "one", m); err == nil || !strings.Contains(err.Error(), "webhook_private") || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v", u, err)
		}
	}
	if asked.Load() != 0 {
		t.Error("a private address was asked that may not be")
	}
	stopped, cancel := context.WithCancel(t.Context())
	cancel()
	h.private = true
	if err := h.post(stopped, u, "one", m); err == nil {
		t.Error("it was sent after the daemon stopped")
	}
}

// TestSecret holds that a damaged secret is told of, and not replaced.
func TestSecret(t *testing.T) {
	folder := t.TempDir()
	first, err := openSecret(folder)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := openSecret(folder); err != nil || again != first {
		t.Errorf("the second time: %v", err)
	}
	if err := os.WriteFile(filepath.Join(folder, keyFile), []byte("short\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openSecret(folder); err == nil || !strings.Contains(err.Error(), "is damaged") {
		t.Errorf("got %v", err)
	}
}
