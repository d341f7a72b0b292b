package conf

import (
	"path/filepath"
	"regexp"
	"time"
)

// Notify is who is told that something is wrong, and from when on calls that pass unscreened are.
type Notify struct {
	Command       string        // a program with an absolute path; "" for nobody
	Remind        time.Duration // how often it is told again that something is still wrong; 0 for never
	FailOpenCalls int           // calls that pass unscreened within a minute, 1 or more
	FailOpenShare float64       // of all calls of that minute, 0 to 1; both must be reached

	// Of the notices to the customers of lines.
	Sendmail       string // a program with an absolute path that is called as sendmail is
	From           string // whose mail it is; "" leaves it to that program
	WebhookPrivate bool   // webhooks may go to this machine and to private networks
	StarCode       string // by which phones let a caller through; "" for none
}

// mailFrom is an address that cannot be taken for an option, a second address or a header.
var mailFrom = regexp.MustCompile(`^[A-Za-z0-9_+][A-Za-z0-9_+.-]*@[A-Za-z0-9][A-Za-z0-9.-]*$`)

// starCode is what a phone can dial.
var starCode = regexp.MustCompile(`^[*#0-9]{1,8}$`)

// readNotify reads [notify].
func readNotify(s *section) Notify {
	n := Notify{Command: s.text("command", ""), FailOpenCalls: s.number("fail_open_calls", 5, 1, 1_000_000)}
	if n.Command != "" && !filepath.IsAbs(n.Command) {
		s.fault("command", "%q has no absolute path: write \"/usr/local/bin/page-me\", a program without arguments of its own", n.Command)
	}
	remind, share := s.text("remind", "24h"), s.text("fail_open_share", "1%")
	var err error
	if n.Remind, err = parseSpan(remind); err != nil || n.Remind < time.Minute && n.Remind != 0 {
		s.fault("remind", "%q is not a time of at least 1m: write \"24h\", or \"0s\" for no reminders", remind)
	}
	if n.FailOpenShare, err = parseShare(share); err != nil || n.FailOpenShare > 1 {
		s.fault("fail_open_share", "%q is no share of the calls: write \"1%%\", from \"0%%\" for any share up to \"100%%\"", share)
	}
	readCustomersNotices(s, &n)
	return n
}

func readCustomersNotices(s *section, n *Notify) {
	n.Sendmail, n.From = s.text("sendmail", "/usr/sbin/sendmail"), s.text("from", "")
	n.WebhookPrivate, n.StarCode = s.yes("webhook_private"), s.text("star_code", "*58")
	if !filepath.IsAbs(n.Sendmail) {
		s.fault("sendmail", "%q has no absolute path: write \"/usr/sbin/sendmail\", a program without arguments of its own", n.Sendmail)
	}
	if n.From != "" && (len(n.From) > 254 || !mailFrom.MatchString(n.From)) {
		s.fault("from", "%q is no e-mail address: write \"ringfence@example.com\"", n.From)
	}
	if n.StarCode != "" && !starCode.MatchString(n.StarCode) {
		s.fault("star_code", "%q cannot be dialled: write \"*58\", the code of your dialplan, or \"\" for none", n.StarCode)
	}
}
