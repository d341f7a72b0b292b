package daemon

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ringfence/bridge"
	"ringfence/console"
)

// A private journal has no number and no name of a caller in it, and yet answers for a number in any spelling. Its
// key is not in a backup.
//
// long: because one journal is written, read, copied and deleted from
func TestPrivateJournal(t *testing.T) {
	c := installation(t, `
country = "CN"
[trunks.carrier]
match = ["gateway:carrier"]
identity = ["pai", "from"]
[[rule]]
name = "listed"
when = { list = ["blacklist"] }
action = "reject"
[[rule]]
name = "by name"
when = { caller_name = "Wang" }
action = "tag"
label = "W"
[[rule]]
name = "two numbers"
when = { identity_differs = true }
action = "reject"
[[rule]]
name = "sales"
when = { caller = ["95211613", "+4930*"] }
action = "reject"
`)
	c.Journal.Private = true
	daemon := start(t, c)
	d := in(daemon)
	if _, err := d.AddEntries(t.Context(), "blacklist", []console.NewEntry{{Number: "13800138000", Reason: "rude"}}, false); err != nil {
		t.Fatal(err)
	}
	for _, f := range []bridge.Facts{
		{Number: "008613800138000", FromUser: "008613800138000", Name: "Zhang San"},
		{Number: "95211613", FromUser: "95211613", Name: "Li Wei"},
		{Number: "13900139000", FromUser: "13900139000", Name: "Wang Wu"},
		{Number: "+4930123456", FromUser: "+4930123456"},
		{Number: "junk${x}", FromUser: "junk${x}"},
		{Number: "anonymous", FromUser: "anonymous"},
		{Number: "13700137000", Asserted: "13700137000", IDSource: "pid", FromUser: "13600136000", Gateway: "carrier", Diversion: "<sip:13500135000@x>"},
	} {
		f.Callee = "05925550100"
		v := d.Screen(&f)
		d.Record(&f, &v, bridge.Result{})
	}
	all := func(q console.Query) (out []console.Record) {
		t.Helper()
		if err := d.Journal(t.Context(), q, func(r console.Record) error { out = append(out, r); return nil }); err != nil {
			t.Fatal(err)
		}
		return out
	}
	records := all(console.Query{})
	if len(records) != 7 {
		t.Fatalf("%d records", len(records))
	}
	text, err := json.Marshal(records)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"13800138000", "95211613", "13900139000", "4930123456", "13700137000", "13600136000", "13500135000", "Zhang", "Li Wei", "Wang Wu", "junk"} {
		if bytes.Contains(text, []byte(secret)) {
			t.Errorf("the journal has %q: %s", secret, text)
		}
	}
	if r := records[6]; r.Rule != "two numbers" || strings.Count(r.Reason, "hmac:") != 2 {
		t.Errorf("of two numbers: %s: %s", r.Rule, r.Reason)
	}
	first := records[0]
	if !strings.HasPrefix(first.Caller.E164, "hmac:+86-1380:") || first.Caller.Kind != "mobile" || first.Rule != "listed" || first.List != "blacklist" ||
		!strings.Contains(first.Reason, first.Caller.E164) || !strings.Contains(first.Reason, "rude") || first.Callee != "05925550100" {
		t.Errorf("%+v", first)
	}
	if e := records[3].Caller.E164; !strings.HasPrefix(e, "hmac:+49-3012:") {
		t.Errorf("the foreign caller is %q", e)
	}
	if r := records[5]; r.Caller.Raw != "anonymous" {
		t.Errorf("the withheld caller is %+v", r.Caller)
	}
	for _, spelling := range []string{"13800138000", "+8613800138000", "0086 138 0013 8000", first.Caller.E164} {
		if got := all(console.Query{Caller: spelling}); len(got) != 1 || got[0].ID != first.ID {
			t.Errorf("%s: %d records", spelling, len(got))
		}
	}
	if report, err := d.Check(t.Context(), console.CheckQuery{Caller: "13800138000"}); err != nil || report.Caller.Journal != first.Caller.E164 {
		t.Errorf("check does not say how the journal names the caller: %+v, %v", report, err)
	}

	var backup bytes.Buffer
	if err := d.Backup(t.Context(), &backup); err != nil {
		t.Fatal(err)
	}
	key, err := os.ReadFile(filepath.Join(c.Data, "journal-key"))
	if err != nil || bytes.Contains(backup.Bytes(), bytes.TrimSpace(key)) {
		t.Errorf("the key is in the backup, or nowhere: %v", err)
	}
	if info, err := os.Stat(filepath.Join(c.Data, "journal-key")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key's file: %v, %v", info.Mode(), err)
	}
	deleted, err := d.DeleteRecords(t.Context(), console.Query{Caller: "13800138000"})
	if err != nil || deleted.Records != 1 || len(all(console.Query{})) != 6 {
		t.Errorf("%+v, %v", deleted, err)
	}
	halt(t, daemon)
	daemon.teardown = nil
	again := in(start(t, c)) // the key outlives the daemon
	report, err := again.Check(t.Context(), console.CheckQuery{Caller: "95211613"})
	if err != nil || report.Caller.Journal != records[1].Caller.E164 {
		t.Errorf("another token after a restart: %+v, %v", report, err)
	}
}
