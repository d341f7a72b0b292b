package traffic

import (
	"strings"

	"ringfence/number"
	"ringfence/policy"
)

// MaxKey bounds the number or the account of a phone of ours, and what a caller can make up for one, in bytes.
const MaxKey = 64

// pair is a line or a called number, and a caller.
type pair struct{ line, number string }

// Cut bounds what a caller can make up for a key.
func Cut(key string) string { return key[:min(len(key), MaxKey)] }

// NumberKey is one text for a number in whatever spelling, also for an extension or an account's name.
func NumberKey(n *number.Number) string {
	switch {
	case n.E164 != "":
		return n.E164
	case n.National() != "":
		return n.National()
	}
	return n.Raw
}

// CalleeKey is a called number as a key. Lines have no space in their names.
func CalleeKey(callee *number.Number) string { return "number " + Cut(NumberKey(callee)) }

// StoppedLineKey is under what the last call is kept that was stopped on its way to a line, by the line's key.
func StoppedLineKey(line string) string { return "line " + line }

// PassKey is under what it is kept that somebody passed on a call: the key of the line, or the number where it belongs to none.
func PassKey(p *policy.Policy, callee *number.Number) string {
	line, _ := p.LineCalled(callee)
	return PassKeyOf(line.Key, callee)
}

// PassKeyOf is PassKey where the line's key is known, "" for a number of no line.
func PassKeyOf(line string, callee *number.Number) string {
	if line != "" {
		return line
	}
	return CalleeKey(callee)
}

// OwnKey is a called number of a line as a key, by the line's: what is kept under it does not go along when the number comes to another line.
// Of a number of no line it is the CalleeKey.
func OwnKey(line string, callee *number.Number) string {
	if line != "" {
		return line + " " + CalleeKey(callee)
	}
	return CalleeKey(callee)
}

// PhoneKey is under what it is kept that a phone dialled an emergency number, "" for a text that is too long to be one's.
func PhoneKey(n *number.Number, realm string) string {
	key := NumberKey(n)
	switch {
	case key == "" || len(key) > MaxKey:
		return ""
	case n.E164 == "" && realm != "":
		return "number " + key + "@" + RealmName(realm)
	}
	return "number " + key
}

// IsPhone reports whether a PhoneKey is of a phone with this number.
func IsPhone(key, e164 string) bool {
	phone, _, _ := cutRealm(key)
	return e164 != "" && phone == "number "+e164
}

// cutRealm takes a PhoneKey apart.
func cutRealm(key string) (phone, realm string, ok bool) { return strings.Cut(key, "@") }
