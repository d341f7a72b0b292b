package dialplan

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// Manifest is the file, in the configuration's folder, that says what was installed.
const Manifest = "ringfence-installed.json"

// manifest is what it holds; S are the settings of a kind of switch. The sums tell a file as it was written from
// one that somebody has changed.
type manifest[S any] struct {
	Version  int               `json:"version"`
	Settings S                 `json:"settings"`
	Files    map[string]string `json:"files"`           // name → SHA-256
	Lines    map[string]string `json:"lines,omitempty"` // a file that is not ours → the text that was put at its end
}

// What became of a file.
const (
	Written   = "written"   // it was not there
	Updated   = "updated"   // it was there as an earlier install had written it
	Unchanged = "unchanged" // it is there as it should be
	Kept      = "kept"      // it has been changed since it was installed, and was left
	InTheWay  = "in the way"
	Removed   = "removed"
	Missing   = "missing" // it should be there (Examine)
)

// Change is what became of one file, or would.
type Change struct {
	File string `json:"file"` // from the configuration's folder
	Did  string `json:"did"`
	Note string `json:"note,omitempty"`
}

// recorded gives the settings of the last install, and whether there was one.
func recorded[S any](folder string) (s S, known bool, err error) {
	m, err := readManifest[S](folder)
	if err != nil || m == nil {
		return s, false, err
	}
	return m.Settings, true, nil
}

func readManifest[S any](folder string) (*manifest[S], error) {
	name := filepath.Join(folder, Manifest)
	text, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if errors.Is(err, fs.ErrPermission) {
		return nil, withoutRight(name, "read", err)
	}
	if err != nil {
		return nil, err
	}
	m := &manifest[S]{}
	if err := json.Unmarshal(text, m); err != nil || m.Version != 1 {
		return nil, fmt.Errorf("%s cannot be read: put it back from a backup, or remove it; then files that are there are taken for yours", name)
	}
	for _, names := range []map[string]string{m.Files, m.Lines} {
		for file := range names {
			if !filepath.IsLocal(filepath.FromSlash(file)) {
				return nil, fmt.Errorf("%s names the file %q, which is not in that folder: remove the line", name, file)
			}
		}
	}
	return m, nil
}

// wanted is what a configuration should have of ours.
type wanted struct {
	files []file
	stay  string            // a file that stays once it was written, though it is not asked for any more
	lines map[string]string // a file that is not ours → the line that it should end with
	model string            // new files get the owner and mode of this one [the folder's owner, and 0644]
}

// apply brings a folder to what is wanted. want learns what was written before.
func apply[S any](folder string, s S, dry bool, want func(was map[string]string) (wanted, error)) ([]Change, error) {
	m, err := readManifest[S](folder)
	if err != nil {
		return nil, err
	}
	if m == nil {
		m = &manifest[S]{}
	}
	w, err := want(maps.Clone(m.Files))
	if err != nil {
		return nil, err
	}
	next := &manifest[S]{Version: 1, Settings: s, Files: map[string]string{}, Lines: map[string]string{}}
	i := installer{folder: folder, was: m.Files, now: next.Files, wasLines: m.Lines, dry: dry, model: w.model}
	for _, f := range w.files {
		if err := i.put(f); err != nil {
			return i.changes, stopped(&i, next, err)
		}
	}
	// The file that a line includes is there by now, unless another is in its place.
	if slices.ContainsFunc(i.changes, func(c Change) bool { return c.Did == InTheWay }) {
		w.lines = nil
	}
	for _, name := range slices.Sorted(maps.Keys(w.lines)) {
		text, err := i.addLine(name, w.lines[name], m.Lines[name])
		if text != "" {
			next.Lines[name] = text
		}
		if err != nil {
			return i.changes, stopped(&i, next, err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(m.Lines)) {
		if _, wanted := w.lines[name]; wanted {
			continue
		}
		if err := i.cutLine(name, m.Lines[name]); err != nil {
			next.Lines[name] = m.Lines[name]
			return i.changes, stopped(&i, next, err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(m.Files)) {
		if _, wanted := next.Files[name]; wanted || i.settled(name) {
			continue
		}
		if name == w.stay {
			next.Files[name] = m.Files[name]
			continue
		}
		if err := i.remove(name, "not asked for any more", ""); err != nil {
			return i.changes, stopped(&i, next, err)
		}
	}
	return i.changes, record(&i, next)
}

// takeOut removes what apply wrote and nobody has changed since. kept says what is to be known of a file
// that somebody has changed.
func takeOut[S any](folder string, dry bool, kept string) ([]Change, error) {
	m, err := readManifest[S](folder)
	if err != nil {
		return nil, err
	}
	if m == nil {
		return nil, fmt.Errorf("nothing was installed into %s: there is no %s", folder, Manifest)
	}
	i := installer{folder: folder, was: m.Files, now: map[string]string{}, dry: dry}
	// What sends calls into the contexts goes before them, and a line before the file that it includes.
	for _, name := range slices.Sorted(maps.Keys(m.Lines)) {
		if err := i.cutLine(name, m.Lines[name]); err != nil {
			return i.changes, err
		}
	}
	names := slices.SortedFunc(maps.Keys(m.Files), func(a, b string) int { return strings.Compare(b, a) })
	slices.SortStableFunc(names, func(a, b string) int { return strings.Count(b, "/") - strings.Count(a, "/") })
	for _, name := range names {
		if err := i.remove(name, "", kept); err != nil {
			return i.changes, err
		}
	}
	if dry {
		return i.changes, nil
	}
	return i.changes, os.Remove(filepath.Join(folder, Manifest))
}

// Examine says how the files of an installed kit are now, whatever the switch: Unchanged, Kept or Missing.
func Examine(folder string) ([]Change, error) {
	m, err := readManifest[json.RawMessage](folder)
	if err != nil || m == nil {
		return nil, err
	}
	var out []Change
	for _, name := range slices.Sorted(maps.Keys(m.Files)) {
		sum, _, err := sumOf(filepath.Join(folder, filepath.FromSlash(name)))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			out = append(out, Change{File: name, Did: Missing})
		case err != nil:
			return out, err
		case sum != m.Files[name]:
			out = append(out, Change{File: name, Did: Kept, Note: "changed since it was installed"})
		default:
			out = append(out, Change{File: name, Did: Unchanged})
		}
	}
	return out, nil
}

// installer puts files into a configuration's folder and removes them.
type installer struct {
	folder   string
	model    string            // see wanted
	was, now map[string]string // sums as recorded, before and after
	wasLines map[string]string // as recorded before
	dry      bool
	changes  []Change
}

func (i *installer) say(file, did, note string) {
	i.changes = append(i.changes, Change{file, did, note})
}

// settled reports whether something was said about a file already.
func (i *installer) settled(file string) bool {
	return slices.ContainsFunc(i.changes, func(c Change) bool { return c.File == file })
}

func (i *installer) path(name string) string {
	return filepath.Join(i.folder, filepath.FromSlash(name))
}

// put writes one file, if it may.
func (i *installer) put(f file) error {
	name := i.path(f.name)
	there, as, err := sumOf(name)
	sum, did := hexSum(f.content), Updated
	switch {
	case errors.Is(err, fs.ErrNotExist):
		did = Written
		as = i.newFile(name)
		if f.mode != 0 {
			as.mode = f.mode
		}
	case err != nil:
		return err
	case there == sum:
		i.now[f.name] = sum
		i.say(f.name, Unchanged, "")
		return nil
	case there == i.was[f.name]:
		i.now[f.name] = there // until the new one is written
	case i.was[f.name] != "":
		i.now[f.name] = i.was[f.name]
		i.say(f.name, Kept, "changed since it was installed: left as it is; move it away to get the new one")
		return nil
	default:
		i.say(f.name, InTheWay, "did not come from here: left as it is; move it away and install again")
		return nil
	}
	return i.do(f.name, did, "", func() error {
		if err := i.makeFolder(path.Dir(f.name)); err != nil {
			return err
		}
		if err := replace(name, f.content, as); err != nil {
			return err
		}
		i.now[f.name] = sum
		return nil
	})
}

// do does something to a file, unless this is a dry run, and says so once it is done.
func (i *installer) do(name, did, note string, act func() error) error {
	if !i.dry {
		if err := act(); errors.Is(err, fs.ErrPermission) {
			return withoutRight(i.path(name), "written", err)
		} else if err != nil {
			return err
		}
	}
	i.say(name, did, note)
	return nil
}

// withoutRight says that a file cannot be read, or written, by who runs the program.
func withoutRight(name, done string, err error) error {
	return fmt.Errorf("%s cannot be %s by this user: run this as root, with sudo (%w)", name, done, err)
}

// stopped is why an installation stopped half-way. What was written until then goes into the manifest.
func stopped[S any](i *installer, m *manifest[S], err error) error {
	if !slices.ContainsFunc(i.changes, func(c Change) bool { return c.Did == Written || c.Did == Updated || c.Did == Removed }) {
		return err
	}
	for name, sum := range i.was { // files that it did not come to
		if _, known := m.Files[name]; !known && !i.settled(name) {
			m.Files[name] = sum
		}
	}
	for name, text := range i.wasLines {
		if _, known := m.Lines[name]; !known && !i.settled(name) {
			m.Lines[name] = text
		}
	}
	return errors.Join(err, record(i, m))
}

// remove takes one file away, if it is as it was written.
func (i *installer) remove(name, why, kept string) error {
	sum, _, err := sumOf(i.path(name))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		i.say(name, Removed, "was gone already")
		return nil
	case err != nil:
		return err
	case sum != i.was[name]:
		if kept == "" {
			kept = "it goes on working until you remove it"
		}
		i.say(name, Kept, "changed since it was installed: left as it is; "+kept)
		return nil
	}
	return i.do(name, Removed, why, func() error { return os.Remove(i.path(name)) })
}

// addLine puts a line at the end of a file that is not ours, unless it is there as it was put. It gives the text
// that is there now because of us, "" for none.
func (i *installer) addLine(name, line, was string) (string, error) {
	_, as, err := sumOf(i.path(name))
	if err != nil {
		return "", err
	}
	if as.mode == 0 {
		i.say(name, InTheWay, "is a link or no file, and was left: write the line `"+line+"` at the end of what it leads to, and install again")
		return "", nil
	}
	content, err := os.ReadFile(i.path(name))
	if err != nil {
		return "", err
	}
	if was != "" && bytes.Contains(content, []byte(was)) {
		i.say(name, Unchanged, "includes it")
		return was, nil
	}
	text := line + "\n"
	if len(content) > 0 && content[len(content)-1] != '\n' {
		text = "\n" + text
	}
	err = i.do(name, Updated, "one line at its end: "+line, func() error { return replace(i.path(name), append(content, text...), as) })
	if err != nil {
		return was, err
	}
	return text, nil
}

// cutLine takes out what addLine put.
func (i *installer) cutLine(name, text string) error {
	_, as, err := sumOf(i.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	content, err := os.ReadFile(i.path(name))
	if err != nil {
		return err
	}
	before, after, found := bytes.Cut(content, []byte(text))
	if !found && strings.HasPrefix(text, "\n") { // the line before it has gone
		text = text[1:]
		before, after, found = bytes.Cut(content, []byte(text))
	}
	if !found {
		i.say(name, Unchanged, "the line that was put there is gone already")
		return nil
	}
	if strings.HasPrefix(text, "\n") && len(after) > 0 {
		before = append(slices.Clip(before), '\n') // lines have come behind it
	}
	return i.do(name, Updated, "without the line: "+strings.TrimSpace(text), func() error { return replace(i.path(name), slices.Concat(before, after), as) })
}

// record writes the manifest, where it differs.
func record[S any](i *installer, m *manifest[S]) error {
	if i.dry {
		return nil
	}
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	text = append(text, '\n')
	name := filepath.Join(i.folder, Manifest)
	if old, err := os.ReadFile(name); err == nil && bytes.Equal(old, text) {
		return nil
	}
	return replace(name, text, i.newFile(name))
}

// makeFolder makes a folder with the owner of the one that it is in.
func (i *installer) makeFolder(name string) error {
	err := os.Mkdir(i.path(name), 0o755)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if o := ownerOf(i.folder); err == nil && o.known && os.Geteuid() == 0 {
		err = os.Lchown(i.path(name), o.uid, o.gid)
	}
	return err
}

// newFile are the attributes of a file that was not there: those of the model, or its folder's owner.
func (i *installer) newFile(name string) attributes {
	if i.model != "" {
		if _, as, err := sumOf(i.path(i.model)); err == nil && as.mode != 0 {
			as.known = as.known && os.Geteuid() == 0
			return as
		}
	}
	as := ownerOf(filepath.Dir(name))
	as.mode = 0o644
	as.known = as.known && os.Geteuid() == 0
	return as
}
