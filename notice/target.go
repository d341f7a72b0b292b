package notice

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"ringfence/number"
)

// Target is where a line's notices go, and how often.
type Target struct {
	Daily   bool     // a digest a day, else at most one an hour
	Address string   // an e-mail address, or ""
	Hook    *url.URL // a webhook, or nil
}

const (
	maxAddress = 254 // characters, RFC 5321
	maxHook    = 500 // bytes
)

// Parse reads a line's `notify`: an e-mail address (mailto: before it is allowed) or the https:// address of a webhook, with "hourly" or "daily"
// and a space before it; hourly is the default. http:// is for this machine and private networks alone. The zero Target is of an empty text. The
// error says what to write instead.
func Parse(text string) (Target, error) {
	var t Target
	where := strings.TrimSpace(text)
	if where == "" {
		return t, nil
	}
	if word, rest, two := strings.Cut(where, " "); two {
		switch word {
		case "hourly":
		case "daily":
			t.Daily = true
		default:
			return Target{}, fmt.Errorf("notify: %s is not how often: write hourly or daily, a space, and an e-mail address or a webhook", quote(word))
		}
		where = strings.TrimSpace(rest)
	}
	scheme, _, _ := strings.Cut(where, "://")
	var err error
	if scheme = strings.ToLower(scheme); scheme == "https" || scheme == "http" {
		t.Hook, err = parseHook(where)
	} else {
		t.Address, err = parseAddress(where)
	}
	if err != nil {
		return Target{}, err
	}
	return t, nil
}

// quote is a text of somebody else in a message.
func quote(text string) string { return strconv.Quote(number.InertUpTo(text, 60)) }

// parseAddress takes the plain addresses that people have, and none that a program could take for an option or for two.
func parseAddress(text string) (string, error) {
	if rest, ok := strings.CutPrefix(text, "mailto:"); ok {
		text = rest
	}
	local, domain, ok := strings.Cut(text, "@")
	bad := !ok || len(text) > maxAddress || len(local) > 64 || strings.Contains(local, "..")
	bad = bad || !only(local, "._+-") || strings.HasPrefix(local, "-") || strings.HasPrefix(local, ".") || strings.HasSuffix(local, ".")
	if bad || !hostName(domain) {
		return "", fmt.Errorf("notify: %s is neither an e-mail address nor a webhook: write somebody@example.com (letters, digits and . _ + - before the @) or https://example.com/path", quote(text))
	}
	return text, nil
}

// hostName reports whether a text is the name of a host.
func hostName(text string) bool {
	if text == "" || len(text) > 253 {
		return false
	}
	for label := range strings.SplitSeq(text, ".") {
		if len(label) > 63 || !only(label, "-") || strings.HasPrefix(label, "-") || strings.HasSuffix(label, "-") {
			return false
		}
	}
	return true
}

// only reports whether a text has ASCII letters, digits and some other characters alone, and at least one.
func only(text, others string) bool {
	for i := range len(text) {
		c := text[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte(others, c) >= 0) {
			return false
		}
	}
	return text != ""
}

func parseHook(text string) (*url.URL, error) {
	bad := func(why string) (*url.URL, error) {
		return nil, fmt.Errorf("notify: the webhook %s %s: write https://example.com/path", quote(text), why)
	}
	if len(text) > maxHook {
		return bad(fmt.Sprintf("has more than %d bytes", maxHook))
	}
	for i := range len(text) {
		if text[i] <= ' ' || text[i] >= 0x7f || text[i] == '\\' {
			return bad("has characters that no address has")
		}
	}
	u, err := url.Parse(text)
	if err != nil {
		return bad("is no address")
	}
	host := u.Hostname()
	ip, ipErr := netip.ParseAddr(host)
	switch {
	case u.User != nil:
		return bad("has a name or a password before the @")
	case u.Fragment != "" || strings.HasSuffix(text, "#"):
		return bad("has a # in it")
	case ipErr != nil && !hostName(host):
		return bad("names no host")
	case ipErr == nil && never(ip):
		return bad("goes to an address that is no server's")
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return bad("has no port between 1 and 65535")
		}
	}
	if u.Scheme == "http" && host != "localhost" && (ipErr != nil || !near(ip)) {
		return nil, errors.New("notify: http:// tells everybody on the way who was stopped: write https://, or the numeric address of this machine or of a private network")
	}
	return u, nil
}

// Networks that netip does not name.
var (
	metadata = []netip.Addr{netip.MustParseAddr("100.100.100.200"), netip.MustParseAddr("fd00:ec2::254"), netip.MustParseAddr("192.0.0.192")}
	shared   = netip.MustParsePrefix("100.64.0.0/10")
	// Of these nobody has a server, or they hide another address.
	neverNets = []netip.Prefix{
		netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("192.0.0.0/24"), netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("240.0.0.0/4"),
		netip.MustParsePrefix("64:ff9b::/96"), netip.MustParsePrefix("64:ff9b:1::/48"), netip.MustParsePrefix("2001::/32"), netip.MustParsePrefix("2002::/16"),
		netip.MustParsePrefix("fec0::/10"), netip.MustParsePrefix("::/96"),
	}
)

// near reports whether an address is of this machine or of a private network.
func near(ip netip.Addr) bool {
	ip = ip.Unmap()
	return ip.IsLoopback() || ip.IsPrivate() || shared.Contains(ip)
}

// never reports whether a webhook must not go to an address, whatever is allowed: link-local ones, where clouds tell machines their secrets,
// many at once, and those that stand for another.
func never(ip netip.Addr) bool {
	if ip = ip.Unmap(); !ip.IsValid() || ip.Zone() != "" || ip.IsUnspecified() || ip.IsMulticast() || ip.IsLinkLocalUnicast() {
		return true
	}
	for _, m := range metadata {
		if m == ip {
			return true
		}
	}
	if ip.IsLoopback() {
		return false
	}
	for _, p := range neverNets {
		if p.Contains(ip) {
			return true
		}
	}
	return false
}
