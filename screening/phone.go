package screening

import (
	"slices"
	"strings"

	"ringfence/attach"
	"ringfence/bridge"
	"ringfence/inforce"
	"ringfence/number"
	"ringfence/policy"
	"ringfence/traffic"
)

// A phone of the house is its account and whose that is: of two tenants of a provider each may have a 101, and each may write the other's
// number for its own. So where there are several, nothing counts that a phone says of itself, and what others say only for its own tenant's
// lines. Where there is one, all of it counts.

// phone is a phone of ours, by the texts that may tell which numbers it has.
type phone struct {
	account  string   // whose password was shown; of Asterisk the endpoint; "" if nobody's
	realm    string   // whose account that is, traffic.Endpoint on Asterisk
	context  string   // of Asterisk
	assigned []string // what the dialplan says for it: the administrator's word
	set      []string // what the switch's directory has its account show; asked for where there are several tenants
	shown    []string // what the dialplan showed for it outside
	claimed  []string // what it says of itself
	wrote    []string // what else it wrote, which counts for nothing
}

// several reports whether there may be several tenants: phones were seen of several, or the lines of the database are of several customers.
func (sc *Screener) several(r *inforce.Rules) bool {
	return sc.memory.Realms.Several() || r.Lines != nil && r.Lines.SeveralCustomers()
}

// seeRealm notes whose phone calls, or rings.
func (sc *Screener) seeRealm(realm string) {
	before := sc.memory.Realms.Several()
	sc.memory.Realms.See(realm, sc.o.Now())
	if !before && sc.memory.Realms.Several() {
		sc.o.Log.Info("phones of a second realm were seen: from now on phones of one name are told apart by it, and count as several tenants", "realm", number.Inert(realm))
	}
}

// seeEndpoint notes in which context one of Asterisk's phones has its extension.
func (sc *Screener) seeEndpoint(p *policy.Policy, e *attach.CallEnd) {
	if e.Endpoint == "" || e.Home == "" || !sc.isPhone(p, e.Endpoint, e.Home) {
		return
	}
	extension, _ := extensionIn(p, e.Endpoint)
	before := sc.memory.Realms.Several()
	sc.memory.Realms.SeeAt(extension, e.Endpoint, e.Home, sc.o.Now())
	if !before && sc.memory.Realms.Several() {
		sc.o.Log.Info("two endpoints of Asterisk have one extension in two contexts: from now on these count as several tenants", "endpoint", number.Inert(e.Endpoint), "context", number.Inert(e.Home))
	}
}

// realmOf is whose account it is that FreeSWITCH had show its password. The realm may be the switch's address; then the account's domain says
// more, which the dialplan may have changed to that of who was called.
func realmOf(account, realm, domain string) string {
	if account != "" && domain != "" && traffic.IsLoose(realm) {
		return domain
	}
	return realm
}

// extensionIn is the extension that an endpoint is named by, as a key, and whose it is by the rest of the name: 101, 101-acme, acme_101. Of a
// name without one both are "".
//
// A number is read out of 101-acme too, the same as out of 101-globex: hence isPlain.
func extensionIn(p *policy.Policy, endpoint string) (extension, of string) {
	const between = "-_."
	try := func(part string) bool {
		n := p.Call(policy.Facts{Callee: part}).Callee
		if !n.Kinds.Has(number.Internal) {
			return false
		}
		extension = traffic.NumberKey(&n)
		return true
	}
	if i := strings.IndexAny(endpoint, between); i > 0 && isPlain(endpoint[:i]) && try(endpoint[:i]) {
		return extension, endpoint[i+1:]
	}
	if i := strings.LastIndexAny(endpoint, between); i > 0 && isPlain(endpoint[i+1:]) && try(endpoint[i+1:]) {
		return extension, endpoint[:i]
	}
	switch {
	case !try(endpoint):
		return "", ""
	case isPlain(endpoint):
		return extension, ""
	}
	return extension, endpoint // sip8001
}

// isPlain reports whether a text is a number and nothing besides.
func isPlain(text string) bool { return strings.Trim(text, "+0123456789*#") == "" }

// isPhone: an endpoint of Asterisk is a phone of the house. Asterisk does not say who showed a password, so it counts
// what the administrator has written, and a caller cannot: the endpoint is of a trunk with internal = true, or of
// none and named by an internal number, alone or with the tenant's name; the calls that come in by the context of such a one are not screened.
func (sc *Screener) isPhone(p *policy.Policy, endpoint, context string) bool {
	if endpoint == "" {
		return false
	}
	if trunk := p.Trunk(policy.TrunkFacts{Endpoint: endpoint}); trunk.Known {
		return trunk.Internal
	}
	extension, of := extensionIn(p, endpoint)
	return extension != "" && (of == "" || context != "" && !sc.memory.Contexts.Has(context))
}

// customerOf is the customer whose phone it is, where customers of the database are named as the tenants are: by the realm, the rest of the
// endpoint's name or the context. It is the realm, or "" on Asterisk, where they are not.
func customerOf(r *inforce.Rules, by *phone) string {
	if by.realm != traffic.Endpoint {
		if r.Lines != nil && r.Lines.HasCustomer(by.realm) {
			return by.realm // as the customer is written
		}
		return traffic.RealmName(by.realm)
	}
	_, of := extensionIn(r.Policy, by.account)
	for _, name := range []string{of, by.context} {
		if name != "" && r.Lines != nil && r.Lines.HasCustomer(name) {
			return name
		}
	}
	return ""
}

// ofCustomer reports whether a number is on a line of the phone's own customer, so that nobody else is touched by it, whoever wrote it.
func ofCustomer(r *inforce.Rules, n *number.Number, customer string) bool {
	line, ok := r.Policy.LineCalled(n)
	return ok && customer != "" && strings.EqualFold(line.Customer, customer)
}

// mayHave reports whether a number may be of a customer's phone: it is on no line of another one, where customers are named as tenants are.
func (sc *Screener) mayHave(r *inforce.Rules, n *number.Number, customer string) bool {
	line, ok := r.Policy.LineCalled(n)
	if !ok || customer == "" || ofCustomer(r, n, customer) {
		return true
	}
	return !sc.memory.Realms.Has(line.Customer) && (r.Lines == nil || !r.Lines.HasCustomer(customer))
}

// numbersOf are the numbers that a phone has as far as can be told, the surest first, each with the text that names it. An extension is none
// where each tenant may have it.
func (sc *Screener) numbersOf(r *inforce.Rules, by *phone) (numbers []number.Number, texts []string) {
	tenants, strict := sc.memory.Realms.Several(), sc.several(r)
	customer := customerOf(r, by)
	add := func(of []string, will func(n *number.Number) bool) {
		for _, text := range of {
			if text == "" || len(text) > traffic.MaxKey || slices.Contains(texts, text) {
				continue
			}
			n := r.Policy.Call(policy.Facts{Callee: strings.TrimSpace(text)}).Callee
			if n.E164 == "" && tenants || will != nil && !will(&n) {
				continue
			}
			numbers, texts = append(numbers, n), append(texts, text)
		}
	}
	own := func(n *number.Number) bool { return !strict || sc.mayHave(r, n, customer) }
	add(by.assigned, nil)
	add([]string{by.account}, func(n *number.Number) bool { return own(n) && (!strict || isPlain(by.account)) })
	if !strict {
		add(by.shown, nil)
		add(by.claimed, nil)
		return numbers, texts
	}
	add(by.set, own)
	var claims []string
	for _, text := range slices.Concat(by.claimed, by.wrote) {
		if _, user, _, ok := bridge.NameAddr(text); ok {
			text = user
		}
		text, _, _ = strings.Cut(text, ";")
		n := r.Policy.Call(policy.Facts{Callee: text}).Callee
		claims = append(claims, traffic.NumberKey(&n))
	}
	add(by.shown, func(n *number.Number) bool {
		return ofCustomer(r, n, customer) || n.E164 != "" && !slices.Contains(claims, n.E164) && own(n) // else it may be the phone's own word that was passed on
	})
	add(by.claimed, func(n *number.Number) bool { return ofCustomer(r, n, customer) })
	return numbers, texts
}

// phoneOf is the phone that a star code, or what the dialplan tells of a call, comes from.
func (sc *Screener) phoneOf(f *bridge.Facts) phone {
	by := phone{account: f.AuthUser, realm: realmOf(f.AuthUser, f.AuthRealm, f.Domain), context: f.Context, assigned: []string{f.Line}, set: []string{f.Outbound}, claimed: []string{f.Number, f.FromUser}}
	if f.Channel != "" {
		by.realm = traffic.Endpoint
		return by
	}
	sc.seeRealm(by.realm)
	return by
}

// callsAnother reports whether a phone calls a line of another customer: it is nobody's colleague there, and what it writes for its number
// could be an extension of that customer's. What the directory has it show is who calls.
func (sc *Screener) callsAnother(r *inforce.Rules, f *bridge.Facts) bool {
	if !sc.several(r) {
		return false
	}
	callee := r.Policy.Call(policy.Facts{Callee: calleeOf(f)}).Callee
	by := phone{account: f.AuthUser, realm: realmOf(f.AuthUser, f.AuthRealm, f.Domain), context: f.Context}
	if f.Channel != "" {
		by.account, by.realm = f.Endpoint, traffic.Endpoint
	}
	return !sc.mayHave(r, &callee, customerOf(r, &by))
}

// inside reports whether a star code comes from a phone of the house: nobody from outside may fill the review queue, or a list.
func (sc *Screener) inside(f *bridge.Facts) bool {
	t := sc.force.Rules().Policy.Trunk(trunkFactsOf(f))
	if f.Endpoint != "" && t.Known { // Asterisk does not say who has authenticated: the policy knows this one for a trunk
		return t.Internal
	}
	return t.Internal || f.Authorized && f.AuthUser != ""
}
