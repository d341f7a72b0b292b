package screening

import (
	"cmp"
	"net/url"
	"strings"

	"ringfence/bridge"
	"ringfence/number"
)

// forwarded reports whether a call says that it was meant for another number first, and for which: by a Diversion header (RFC
// 5806), by History-Info (RFC 7044), or by what Asterisk knows of either, or from another net. Anybody can write these. by is ""
// where the call does not say who forwarded it.
func forwarded(f *bridge.Facts, plan *number.Plan) (by string, yes bool) {
	_, by, _, _ = bridge.NameAddr(f.Diversion)
	first, history := forwardedHistory(f.History, plan)
	if yes = f.Diversion != "" || f.Redirected != "" || history; yes {
		by = cmp.Or(by, f.Redirected, first)
	}
	return by, yes
}

// Bounds of what is read of History-Info.
const (
	maxHistory        = 4096 // bytes
	maxHistoryEntries = 16
)

// serviceTranslation is the cause of a number that stands for another one, as a freephone number does (RFC 8119): nobody has
// forwarded that call.
const serviceTranslation = "380"

// forwardedHistory reads History-Info. Switches write it for calls as well that nobody forwarded: what counts is a cause or a
// reason for a change of the called number (RFC 4458), the mark that it belongs to somebody else (mp), or two different numbers.
func forwardedHistory(history string, plan *number.Plan) (first string, yes bool) {
	history = history[:min(len(history), maxHistory)]
	if history == "" {
		return "", false
	}
	users := historyUsers(history)
	if len(users) > 0 {
		first = users[0]
	}
	text := strings.ToLower(history)
	if plain, err := url.PathUnescape(text); err == nil { // a reason stands within the address
		text = plain
	}
	translated := false
	for rest := text; ; {
		_, behind, found := strings.Cut(rest, "cause=")
		if !found {
			break
		}
		if !strings.HasPrefix(behind, serviceTranslation) {
			return first, true
		}
		translated, rest = true, behind
	}
	if strings.Contains(text, ";mp=") || strings.Contains(text, "reason=") && !translated {
		return first, true
	}
	if translated {
		return first, false
	}
	target := ""
	for _, user := range users {
		n := plan.Parse(user)
		switch {
		case n.E164 == "":
		case target == "":
			target = n.E164
		case n.E164 != target:
			return first, true
		}
	}
	return first, false
}

// historyUsers are the users of its addresses, the first target first.
func historyUsers(history string) (users []string) {
	for len(users) < maxHistoryEntries {
		_, behind, found := strings.Cut(history, "<")
		if !found {
			return users
		}
		uri, rest, _ := strings.Cut(behind, ">")
		uri, _, _ = strings.Cut(uri, "?") // the reason, in which FreeSWITCH has undone %XX
		if _, user, _, ok := bridge.NameAddr("<" + uri + ">"); ok {
			user, _, _ = strings.Cut(user, ";")
			users = append(users, user)
		}
		history = rest
	}
	return users
}
