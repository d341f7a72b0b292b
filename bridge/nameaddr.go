package bridge

import (
	"net/url"
	"strings"
)

// NameAddr takes apart what a SIP header says of a person: `"Name" <sip:user@host>;…` or `sip:user@host;…` (RFC 3261,
// name-addr and addr-spec; tel: has no host). The user keeps its parameters, with %XX undone. ok is false where there is
// no user to be had, or more than one: a switch undoes %XX of its own and of the caller's alike, so that a name may bring
// quotes and brackets with it, and what stands behind them could be read as the address.
func NameAddr(s string) (name, user, host string, ok bool) {
	s = strings.TrimSpace(s)
	uri := s
	if strings.HasPrefix(s, `"`) { // the name may hold anything, a < too
		end := 1
		for end < len(s) && s[end] != '"' {
			if s[end] == '\\' {
				end++
			}
			end++
		}
		if end >= len(s) {
			return "", "", "", false
		}
		name, uri = strings.ReplaceAll(s[1:end], `\`, ""), s[end+1:]
	}
	before, inside, bracketed := strings.Cut(uri, "<")
	if bracketed {
		if name == "" {
			name = strings.TrimSpace(before)
		} else if strings.TrimSpace(before) != "" {
			return "", "", "", false
		}
		var behind string
		uri, behind, _ = strings.Cut(inside, ">")
		if strings.ContainsAny(behind, `<>`) {
			return "", "", "", false
		}
	} else {
		uri, _, _ = strings.Cut(uri, ";")
	}
	scheme, uri, ok := strings.Cut(strings.TrimSpace(uri), ":")
	switch scheme = strings.ToLower(scheme); {
	case !ok || scheme != "sip" && scheme != "sips" && scheme != "tel" || strings.ContainsAny(uri, `<"`):
		return name, "", "", false
	case scheme == "tel":
		user = uri
	default:
		at := strings.LastIndexByte(uri, '@')
		if at < 0 {
			return name, "", uri, false
		}
		user, host = uri[:at], uri[at+1:]
		user, _, _ = strings.Cut(user, ":") // a password
	}
	host, _, _ = strings.Cut(host, ";")
	if plain, err := url.PathUnescape(user); err == nil {
		user = plain
	}
	return name, user, host, user != ""
}
