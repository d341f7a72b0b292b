package desk

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"ringfence/conf"
	"ringfence/console"
	"ringfence/number"
	"ringfence/policy"
	"ringfence/storage"
	"ringfence/tomlfile"

	"golang.org/x/sys/unix"
)

// A policy that is changed from here goes the way that a person's editor and `policy reload` would go: the file is written, then read.
// So the file is the one truth of what the policy is, whoever changes it.

// etagOf tells texts apart: the begin of their SHA-256.
func etagOf(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:16])
}

// versionOf is how a text of a policy is called, for people: less of the same.
func versionOf(text []byte) string { return etagOf(text)[:12] }

// maxNote is how many characters the note on a policy may have.
const maxNote = 200

// Policy gives the text of the policy file, and whether it may be changed from here.
func (d *Desk) Policy(context.Context) (*console.PolicyText, error) {
	text, err := conf.ReadFile(d.conf.Policy)
	if err != nil {
		return nil, fmt.Errorf("the policy cannot be read: %w", err)
	}
	r := d.force.Rules()
	out := &console.PolicyText{
		File: d.conf.Policy, Text: strings.ToValidUTF8(string(text), "\uFFFD"), ETag: etagOf(text), Version: r.Version, Loaded: r.Loaded,
		InForce: versionOf(text) == r.Version, ReadOnly: d.policyReadOnly(),
	}
	if !out.InForce {
		_, faults := policy.Load(d.conf.Policy, text)
		out.Faults = faultsOf(faults)
	}
	return out, nil
}

func faultsOf(faults []policy.Fault) []console.Fault {
	out := []console.Fault{}
	for _, f := range faults {
		out = append(out, console.Fault{Text: f.String(), Warning: f.Warning})
	}
	return out
}

// policyReadOnly says why the policy file cannot be written by this program; "" if it can. It is replaced as a whole, so the folder counts.
func (d *Desk) policyReadOnly() string {
	file, err := filepath.EvalSymlinks(d.conf.Policy)
	if errors.Is(err, fs.ErrNotExist) {
		file, err = d.conf.Policy, nil
	}
	if err == nil {
		err = unix.Access(filepath.Dir(file), unix.W_OK)
	}
	if err == nil {
		return d.policyOfOthers()
	}
	inData := filepath.Join(d.conf.Data, "policy.toml")
	return fmt.Sprintf("this program may not write to the folder of %s (%v). Edit the file there, then: ringfence policy reload. Or move it to %s, and say so in %s: policy = %q",
		d.conf.Policy, err, inData, d.conf.File, inData)
}

// policyOfOthers says that the policy of all nodes is another's; "" if this node may change it.
func (d *Desk) policyOfOthers() string {
	c := d.conf.Cluster
	if c == nil || !c.SharePolicy || slices.Contains(c.PolicyFrom, d.conf.Node) {
		return ""
	}
	return fmt.Sprintf("the policy of all nodes of the cluster is changed on %s (share_policy and policy_from in %s): change it there", strings.Join(c.PolicyFrom, " or "), d.conf.File)
}

// PolicyInForce is the text that calls are decided by, and its version; "" and no error where it was not kept.
func (d *Desk) PolicyInForce() (text, version string, err error) {
	version = d.force.Rules().Version
	b, err := d.db.PolicyText(version)
	return string(b), version, err
}

// TakePolicy puts the policy of another node of the cluster in force. With a fault in it nothing changes, and the error names the first.
func (d *Desk) TakePolicy(ctx context.Context, text, node string) error {
	now, err := conf.ReadFile(d.conf.Policy)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("the policy cannot be read: %w", err)
	}
	ctx = console.WithBy(ctx, console.By{Who: node, From: "cluster"})
	put, err := d.PutPolicy(ctx, console.PolicyEdit{Text: text, ETag: etagOf(now), Note: "from the node " + node, Shared: true})
	switch {
	case err != nil:
		return err
	case put.Loaded:
		return nil
	}
	for _, f := range put.Faults {
		if !f.Warning {
			return fmt.Errorf("the policy of %s has a fault here: %s", node, f.Text)
		}
	}
	return fmt.Errorf("the policy of %s was not put in force", node)
}

// CheckPolicy says what is wrong with a text, or probably not meant. Nothing changes.
func (d *Desk) CheckPolicy(_ context.Context, text string) (*console.ReloadReport, error) {
	p, faults, err := d.loadText(text)
	if err != nil {
		return nil, err
	}
	report := &console.ReloadReport{File: d.conf.Policy, Faults: faultsOf(faults)}
	if p != nil {
		report.Rules = len(p.Rules())
		report.Faults = append(report.Faults, faultsOf(d.checkAgainst(p, d.force.Rules().Sounds))...)
	}
	return report, nil
}

// loadText reads a text that somebody sent as the policy file is read.
func (d *Desk) loadText(text string) (*policy.Policy, []policy.Fault, error) {
	if len(text) > tomlfile.MaxFile {
		return nil, nil, console.Bad(fmt.Sprintf("the policy has %d bytes: at most %d are read", len(text), tomlfile.MaxFile))
	}
	p, faults := policy.Load(d.conf.Policy, []byte(text))
	return p, faults, nil
}

// PutPolicy writes a text to the policy file and puts it in force. What comes back says Loaded where that is done; else nothing has changed.
func (d *Desk) PutPolicy(ctx context.Context, edit console.PolicyEdit) (*console.PolicyPut, error) {
	if note := edit.Note; utf8.RuneCountInString(note) > maxNote || number.InertUpTo(note, maxNote) != strings.TrimSpace(note) {
		return nil, console.Bad(fmt.Sprintf("the note is one line of at most %d characters, without < > $ \\ %% \" { } and the backtick", maxNote))
	}
	d.edit.Lock()
	defer d.edit.Unlock()
	before, err := conf.ReadFile(d.conf.Policy)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("the policy cannot be read: %w", err)
	}
	if edit.ETag != etagOf(before) {
		return nil, console.Conflict("the policy was changed since you began to edit it: open it again, and make your change in what it is now")
	}
	if why := d.policyReadOnly(); why != "" && !(edit.Shared && why == d.policyOfOthers()) {
		return nil, console.Conflict(why)
	}
	p, faults, err := d.loadText(edit.Text)
	if err != nil {
		return nil, err
	}
	if p == nil {
		return &console.PolicyPut{ReloadReport: console.ReloadReport{File: d.conf.Policy, Faults: faultsOf(faults)}, ETag: edit.ETag}, nil
	}
	if err := d.writePolicy([]byte(edit.Text)); err != nil {
		return nil, fmt.Errorf("the policy cannot be written, and stays as it was: %w", err)
	}
	report, err := d.reload(ctx, strings.TrimSpace(edit.Note))
	if err != nil { // not the text's fault: a disk, a list that cannot be read
		return nil, errors.Join(fmt.Errorf("the policy was not put in force, and the file is as it was before: %w", err), d.writePolicy(before))
	}
	return &console.PolicyPut{ReloadReport: *report, ETag: etagOf([]byte(edit.Text)), Version: d.force.Rules().Version}, nil
}

// writePolicy replaces the policy file, also where it is a link, and leaves its mode and, if it may, its owner.
func (d *Desk) writePolicy(text []byte) error {
	file, err := filepath.EvalSymlinks(d.conf.Policy)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	} else if err != nil {
		file = d.conf.Policy
	}
	mode := os.FileMode(0o644)
	if info, err := os.Stat(file); err == nil {
		mode = info.Mode().Perm()
	}
	return storage.ReplaceFile(file, mode, text)
}

// keepVersion keeps a policy that is in force now. A disk that does not take it is logged: the policy counts. d.edit is held.
func (d *Desk) keepVersion(ctx context.Context, text []byte, rules int, note string) {
	if d.o.Journal == nil { // a command that found no daemon puts nothing in force
		return
	}
	by := console.ByOf(ctx)
	v := storage.PolicyVersion{Text: versionOf(text), Time: d.o.Now(), Who: by.Who, From: by.From, Note: note, Rules: rules}
	if err := d.db.AddPolicy(v, text); err != nil {
		d.o.Log.Error("the policy is in force, but cannot be kept among those that were", "error", err)
	}
}

// PolicyVersions calls yield for each policy that was in force, the newest first.
func (d *Desk) PolicyVersions(ctx context.Context, yield func(console.PolicyVersion) error) error {
	first, now := true, d.force.Rules().Version
	return d.db.Policies(func(v storage.PolicyVersion) error {
		out := versionShown(&v)
		out.InForce = first && v.Text == now && d.o.Journal != nil
		first = false
		if err := ctx.Err(); err != nil {
			return err
		}
		return yield(out)
	})
}

func versionShown(v *storage.PolicyVersion) console.PolicyVersion {
	return console.PolicyVersion{ID: v.Text, Time: v.Time, Who: v.Who, From: v.From, Note: v.Note, Rules: v.Rules, Bytes: v.Bytes}
}

var errFound = errors.New("found")

// PolicyVersion gives a policy that was in force, with its text.
func (d *Desk) PolicyVersion(ctx context.Context, id string) (*console.PolicyVersionText, error) {
	var out console.PolicyVersionText
	err := d.PolicyVersions(ctx, func(v console.PolicyVersion) error {
		if v.ID != id {
			return nil
		}
		out.PolicyVersion = v
		return errFound
	})
	switch {
	case err == nil:
		return nil, console.NotFound(fmt.Sprintf("no policy %.20q was in force here, or it is kept no more: ringfence policy history has those that are", id))
	case !errors.Is(err, errFound):
		return nil, err
	}
	text, err := d.db.PolicyText(id)
	if err != nil {
		return nil, err
	}
	if text == nil || versionOf(text) != id {
		return nil, console.NotFound(fmt.Sprintf("the text of policy %.20q is not kept any more", id))
	}
	out.Text = string(text)
	return &out, nil
}
