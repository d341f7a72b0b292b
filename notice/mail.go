package notice

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"mime/quotedprintable"
	"slices"
	"strings"
	"time"

	"ringfence/alert"
	"ringfence/number"
)

// mailTimeout is how long the program may take.
const mailTimeout = 30 * time.Second

// mailer gives mail to the program of this machine that delivers it.
type mailer struct {
	program string // with an absolute path, called as sendmail is
	from    string // "" leaves it to the program
	host    string // in the id of a message
}

// args are those of the program. No text of a caller is among them, and an address is none that could be an option (parseAddress).
func (m *mailer) args(to string) []string {
	args := []string{"-i"}
	if m.from != "" {
		args = append(args, "-f", m.from)
	}
	return append(args, "--", to)
}

// mail is a whole message for a program that takes lines as this machine writes them.
func (m *mailer) mail(to, subject, text, id string, at time.Time) ([]byte, error) {
	var b bytes.Buffer
	header := func(name, value string) { fmt.Fprintf(&b, "%s: %s\n", name, value) }
	if m.from != "" {
		header("From", m.from)
	}
	header("To", to)
	header("Subject", encoded(number.InertUpTo(subject, 150)))
	header("Date", at.Format(time.RFC1123Z))
	header("Message-ID", "<"+id+"@"+m.host+">")
	header("Auto-Submitted", "auto-generated") // nobody's holiday answers it
	header("MIME-Version", "1.0")
	header("Content-Type", "text/plain; charset=utf-8")
	header("Content-Transfer-Encoding", "quoted-printable")
	b.WriteByte('\n')
	var body bytes.Buffer
	w := quotedprintable.NewWriter(&body)
	if _, err := w.Write([]byte(text)); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	b.Write(bytes.ReplaceAll(body.Bytes(), []byte("\r\n"), []byte("\n")))
	return b.Bytes(), nil
}

// encoded is a text as a header has it, by RFC 2047: a line is at most 76 characters where there are others than those of ASCII.
func encoded(text string) string {
	if !strings.ContainsFunc(text, func(r rune) bool { return r > 0x7e }) && !strings.Contains(text, "=?") {
		return text
	}
	var words []string
	for runes := range slices.Chunk([]rune(text), 9) { // of 4 bytes at most
		words = append(words, "=?utf-8?b?"+base64.StdEncoding.EncodeToString([]byte(string(runes)))+"?=")
	}
	return strings.Join(words, "\n ")
}

// send has a message delivered. That it was taken is all that is known when it returns nil.
func (m *mailer) send(ctx context.Context, to string, mail []byte) error {
	out, err := alert.Run(ctx, mailTimeout, bytes.NewReader(mail), nil, m.program, m.args(to)...)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, alert.ErrLate):
		return fmt.Errorf("%s was not done after %v", m.program, mailTimeout)
	case out != "":
		return fmt.Errorf("%s: %w; it printed %s", m.program, err, quote(out))
	}
	return fmt.Errorf("mail cannot be given to %s, the sendmail of [notify] in ringfence.toml: %w", m.program, err)
}
