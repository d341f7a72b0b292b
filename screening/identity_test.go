package screening

import (
	"testing"

	"ringfence/bridge"
)

// What was called is known, whatever of it the switch leaves out.
func TestCalleeOf(t *testing.T) {
	for _, c := range []struct {
		facts bridge.Facts
		want  string
	}{
		{bridge.Facts{Line: "1", Callee: "2", ReqUser: "3", PlainTo: "4"}, "1"},
		{bridge.Facts{Callee: "2", ReqUser: "3", PlainTo: "4"}, "2"},
		{bridge.Facts{ReqUser: "3", PlainTo: "4"}, "3"},
		{bridge.Facts{PlainTo: "05925550100"}, "05925550100"},
	} {
		if got := calleeOf(&c.facts); got != c.want || !named(&c.facts) {
			t.Errorf("%+v is a call to %q, want %q", c.facts, got, c.want)
		}
	}
}

// Who calls is read by the headers that the trunk may say it with, in their order; and the handset shows that
// number, whatever the switch would show.
//
// long: because it is one table, of headers and who calls by them
func TestIdentity(t *testing.T) {
	d, _ := screenerOf(t, `
country = "CN"
[trunks.carrier]
match = ["gateway:carrier"]
identity = ["pai", "rpid", "from"]
[trunks.remote]
match = ["gateway:remote"]
identity = ["rpid"]
[trunks.plain]
match = ["gateway:plain"]
[[rule]]
name = "forged"
when = { attestation = "failed" }
action = "tag"
label = "forged?"
[[rule]]
name = "signed"
when = { attestation = ["A", "B", "C"] }
action = "allow"
`)
	// As the switch reads a call with all three headers: P-Asserted-Identity wins.
	all := bridge.Facts{
		Number: "+8613912345678", Name: "Paid", IDSource: "pid", Asserted: "+8613912345678",
		RemoteID: `"Rpid Name" <sip:+4930123456@c.example>;party=calling`, FromUser: "13800138000", FromName: "F",
	}
	remote := all
	remote.Asserted, remote.IDSource, remote.Number, remote.Name = "", "rpid", "+4930123456", "Rpid Name"
	same := all
	same.FromUser = "13912345678"
	hidden := bridge.Facts{Number: "+8613912345678", Name: "Real", IDSource: "pid", Asserted: "+8613912345678", Withheld: true, FromUser: "anonymous", FromName: "Anonymous"}
	from := bridge.Facts{Number: "13800138000", Name: "F", FromUser: "13800138000", FromName: "F"}
	verified := from
	verified.Verstat = "TN-Validation-Passed-C"
	claimed := bridge.Facts{Number: "13800138000;verstat=TN-Validation-Failed", Name: "F", FromUser: "13800138000;verstat=TN-Validation-Failed"}
	preferred := all // his P-Preferred-Identity is what the switch takes
	preferred.Preferred, preferred.Number, preferred.Name = "<sip:110@x>", "110", "Police"
	preferredAlone := preferred
	preferredAlone.Asserted, preferredAlone.RemoteID = "", ""
	verbatim := all
	verbatim.Asserted = `"Paid" <sip:+8613912345678@carrier.example>`
	withHost := all
	withHost.Asserted = "+8613912345678@carrier.example"
	smuggled := preferred // a user part that reads as a header once its %XX are undone
	smuggled.Asserted = "1<sip:110@evil>"
	quoted := all
	quoted.RemoteID = `"x<sip:110@evil>" <sip:13700137000@carrier>`
	undone := all
	undone.RemoteID = `"x" <sip:110@evil> "" <sip:13700137000@carrier>`
	unread := bridge.Facts{Number: "13900139000", Name: "N", Unreadable: true}
	forwarded := from
	forwarded.Diversion = `"D" <sip:+8610666@127.0.0.1>;reason=user-busy`
	if v := d.Screen(&forwarded); v.Note.(*considered).id.diverted != "+8610666" || !v.Note.(*considered).call.Diverted {
		t.Errorf("diverted by %q", v.Note.(*considered).id.diverted)
	}
	for name, c := range map[string]struct {
		facts                 bridge.Facts
		gateway               string
		e164, name, rule      string
		otherFrom             string
		showNumber, showsName string // "" leaves what the switch shows
	}{
		"asserted, trusted":                {all, "carrier", "+8613912345678", "Paid", "default", "13800138000", "", ""},
		"asserted, the same in From":       {same, "carrier", "+8613912345678", "Paid", "default", "", "", ""},
		"asserted, but not to be":          {all, "plain", "+8613800138000", "F", "default", "", "13800138000", "F"},
		"asserted, from anywhere":          {all, "", "+8613800138000", "F", "default", "", "13800138000", "F"},
		"remote party, trusted":            {remote, "carrier", "+4930123456", "Rpid Name", "default", "13800138000", "", ""},
		"remote party under an asserted":   {all, "remote", "+4930123456", "Rpid Name", "default", "13800138000", "+4930123456", "Rpid Name"},
		"none of the trunk's headers":      {from, "remote", "", "", "default", "", "anonymous", "anonymous"},
		"withheld, asserted, trusted":      {hidden, "carrier", "+8613912345678", "Real", "default", "anonymous", "", ""},
		"withheld, asserted by anyone":     {hidden, "plain", "", "Anonymous", "default", "", "anonymous", "anonymous"},
		"From alone":                       {from, "carrier", "+8613800138000", "F", "default", "", "", ""},
		"preferred beside an asserted":     {preferred, "carrier", "+8613912345678", "", "default", "13800138000", "+8613912345678", "+8613912345678"},
		"preferred alone":                  {preferredAlone, "carrier", "+8613800138000", "F", "default", "", "13800138000", "F"},
		"preferred, from anywhere":         {preferredAlone, "", "+8613800138000", "F", "default", "", "13800138000", "F"},
		"asserted, the whole header":       {verbatim, "carrier", "+8613912345678", "Paid", "default", "13800138000", "", ""},
		"asserted, with its host":          {withHost, "carrier", "+8613912345678", "Paid", "default", "13800138000", "", ""},
		"asserted, with more in it":        {smuggled, "carrier", "", "", "default", "13800138000", "1 sip:110@evil", "1 sip:110@evil"},
		"remote party, a name in brackets": {quoted, "remote", "+8613700137000", "x<sip:110@evil>", "default", "13800138000", "13700137000", "x sip:110@evil"},
		"remote party that cannot be read": {undone, "remote", "", "", "default", "13800138000", "x sip:110@evil sip:13700137000@carrier", "x sip:110@evil sip:13700137000@carrier"},
		"From that cannot be read":         {unread, "", "", "N", "default", "", "13900139000 (From cannot be read)", "N"},
		"a signature, by our switch":       {verified, "", "+8613800138000", "F", "signed", "", "", ""},
		"a carrier's verdict":              {claimed, "carrier", "+8613800138000", "F", "forged", "", "", "forged? F"},
		"a verdict that anyone wrote":      {claimed, "", "+8613800138000", "F", "default", "", "", ""},
	} {
		f := c.facts
		f.Gateway = c.gateway
		v := d.Screen(&f)
		got := v.Note.(*considered)
		if got.call.Caller.E164 != c.e164 || got.call.Name != c.name || v.Rule != c.rule || got.id.from != c.otherFrom {
			t.Errorf("%s: %q, %q by %s, From says %q", name, got.call.Caller.E164, got.call.Name, v.Rule, got.id.from)
		}
		if v.ShowNumber != c.showNumber || v.ShowName != c.showsName {
			t.Errorf("%s: the handset shows %q %q, want %q %q", name, v.ShowNumber, v.ShowName, c.showNumber, c.showsName)
		}
	}
}

func TestAttestation(t *testing.T) {
	for verstat, want := range map[string]string{
		"": "none", "No-TN-Validation": "none", "nonsense": "none", "TN-Validation-Passed": "A", "tn-validation-passed-a": "A", "TN-Validation-Passed-B": "B",
		"TN-Validation-Passed-C": "C", "TN-Validation-Passed-X": "none", "TN-Validation-Failed": "failed", "TN-Validation-Failed-A": "failed",
	} {
		if got := attestationOf(verstat); got != want {
			t.Errorf("%q is %s, want %s", verstat, got, want)
		}
	}
	for text, want := range map[string]string{
		"": "", "+1;verstat=TN-Validation-Passed": "tn-validation-passed", "<sip:+1;VerStat=A;x=y@h>": "a", "+1;verstat=": "",
	} {
		if got := verstatOf(text); got != want {
			t.Errorf("%q has verstat %q, want %q", text, got, want)
		}
	}
}
