package conf

import (
	"net/url"
	"strings"
)

// Reject is what refusals say besides their SIP code, so that a caller who is refused by mistake knows where to turn.
type Reject struct {
	Redress   string // URL of a signed jCard, for the Call-Info of 608 (RFC 8688); "" for none
	Analytics string // "url=…", "tel=…" or "email=…" for the Reason header of 603, which then reads "Network Blocked" (ATIS-1000099); "" for none
}

// readReject reads [reject].
func readReject(s *section) Reject {
	r := Reject{Redress: s.text("redress", "")}
	if r.Redress != "" && !plainWeb(r.Redress) {
		s.fault("redress", "%q is no web address: write where the signed jCard of RFC 8688 lies, as in \"https://example.com/redress.jws\"", r.Redress)
	}
	analytics := s.text("analytics", "")
	switch digits := strings.TrimPrefix(analytics, "+"); {
	case analytics == "":
	case plainWeb(analytics):
		r.Analytics = "url=" + analytics
	case strings.Trim(digits, "0123456789") == "" && len(digits) > 2:
		r.Analytics = "tel=" + analytics
	case strings.Count(analytics, "@") == 1 && plain(analytics) && !strings.Contains(analytics, "/"):
		r.Analytics = "email=" + analytics
	default:
		s.fault("analytics", "%q is no address to turn to: write a web address, a telephone number or a mail address, as in \"https://example.com/blocked\"", analytics)
	}
	return r
}

// plain reports whether a text can stand in a SIP header as it is.
func plain(s string) bool {
	return strings.Trim(s, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ:/?#@&=+._~%-") == ""
}

func plainWeb(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && plain(s)
}
