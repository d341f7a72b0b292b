package kit

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"ringfence/conf"
)

// Manifest is the file, in the configuration's folder, that says what was installed.
const Manifest = "ringfence-installed.json"

// manifest is what it holds. The sums tell a file as it was written from one that somebody has changed.
type manifest struct {
	Version  int               `json:"version"`
	Settings Settings          `json:"settings"`
	Files    map[string]string `json:"files"` // name → SHA-256
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

// Recorded gives the settings of the last install, and whether there was one.
func Recorded(folder string) (Settings, bool, error) {
	m, err := readManifest(folder)
	if err != nil || m == nil {
		return Settings{}, false, err
	}
	return m.Settings, true, nil
}

func readManifest(folder string) (*manifest, error) {
	name := filepath.Join(folder, Manifest)
	text, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	m := &manifest{}
	if err := json.Unmarshal(text, m); err != nil || m.Version != 1 {
		return nil, fmt.Errorf("%s cannot be read: put it back from a backup, or remove it; then files that are there are taken for yours", name)
	}
	for file := range m.Files {
		if !filepath.IsLocal(filepath.FromSlash(file)) {
			return nil, fmt.Errorf("%s names the file %q, which is not in that folder: remove the line", name, file)
		}
	}
	return m, nil
}

// Install writes the kit into a FreeSWITCH configuration and says what became of each file. A file that was
// changed since it was installed, or that did not come from here, is left as it is. With dry nothing is
// written. Files that the settings no longer ask for go, if they are unchanged.
func Install(folder string, s Settings, e Emergency, dry bool) ([]Change, error) {
	if err := checkFolder(folder, &s); err != nil {
		return nil, err
	}
	want, err := s.files(e)
	if err != nil {
		return nil, err
	}
	m, err := readManifest(folder)
	if err != nil {
		return nil, err
	}
	if m == nil {
		m = &manifest{Files: map[string]string{}}
	}
	was := maps.Clone(m.Files)
	next := &manifest{Version: 1, Settings: s, Files: map[string]string{}}
	i := installer{folder: folder, was: was, now: next.Files, dry: dry}
	if socket, err := eventSocketFile(folder, was); err != nil {
		return nil, err
	} else if socket != nil {
		want = append(want, *socket)
	}
	if s.FusionPBX && !dry {
		if err := i.makeFolder(fusionFolder); err != nil {
			return nil, err
		}
	}
	for _, f := range want {
		if err := i.put(f); err != nil {
			return i.changes, errors.Join(err, i.record(next))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(was)) {
		if _, wanted := next.Files[name]; wanted || i.settled(name) {
			continue
		}
		if name == eventSocket {
			next.Files[name] = was[name]
			continue
		}
		if err := i.remove(name, "not asked for any more"); err != nil {
			return i.changes, errors.Join(err, i.record(next))
		}
	}
	return i.changes, i.record(next)
}

// Uninstall removes what Install wrote and nobody has changed since, and names what it leaves.
func Uninstall(folder string, dry bool) ([]Change, error) {
	m, err := readManifest(folder)
	if err != nil {
		return nil, err
	}
	if m == nil {
		return nil, fmt.Errorf("nothing was installed into %s: there is no %s", folder, Manifest)
	}
	i := installer{folder: folder, was: m.Files, now: map[string]string{}, dry: dry}
	// What sends calls into the contexts goes before them.
	names := slices.SortedFunc(maps.Keys(m.Files), func(a, b string) int { return strings.Compare(b, a) })
	slices.SortStableFunc(names, func(a, b string) int { return strings.Count(b, "/") - strings.Count(a, "/") })
	for _, name := range names {
		if err := i.remove(name, ""); err != nil {
			return i.changes, err
		}
	}
	if dry {
		return i.changes, nil
	}
	if m.Settings.FusionPBX {
		os.Remove(filepath.Join(folder, fusionFolder)) // it stays while something is in it
	}
	return i.changes, os.Remove(filepath.Join(folder, Manifest))
}

// Examine says how the files of an installed kit are now: Unchanged, Kept or Missing.
func Examine(folder string) ([]Change, error) {
	m, err := readManifest(folder)
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
	was, now map[string]string // sums as recorded, before and after
	dry      bool
	changes  []Change
}

func (i *installer) say(file, did, note string) {
	i.changes = append(i.changes, Change{file, did, note})
}

// settled says whether something was said about a file already.
func (i *installer) settled(file string) bool {
	return slices.ContainsFunc(i.changes, func(c Change) bool { return c.File == file })
}

func (i *installer) path(name string) string {
	return filepath.Join(i.folder, filepath.FromSlash(name))
}

// put writes one file, if it may.
func (i *installer) put(f file) error {
	name := i.path(f.name)
	there, mode, err := sumOf(name)
	sum := hexSum(f.content)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		i.say(f.name, Written, "")
		mode = 0o644
		if f.secret { // as readable as the rest of the configuration: how the switch reads that is not known here
			if info, err := os.Stat(i.path("freeswitch.xml")); err == nil {
				mode = info.Mode().Perm() &^ 0o111
			}
		}
	case err != nil:
		return err
	case there == sum:
		i.now[f.name] = sum
		i.say(f.name, Unchanged, "")
		return nil
	case there == i.was[f.name]:
		i.say(f.name, Updated, "")
	case i.was[f.name] != "":
		i.now[f.name] = i.was[f.name]
		i.say(f.name, Kept, "changed since it was installed: left as it is; move it away to get the new one")
		return nil
	default:
		i.say(f.name, InTheWay, "did not come from here: left as it is; move it away and install again")
		return nil
	}
	i.now[f.name] = sum
	if i.dry {
		return nil
	}
	return replace(name, f.content, mode)
}

// remove takes one file away, if it is as it was written.
func (i *installer) remove(name, why string) error {
	sum, _, err := sumOf(i.path(name))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		i.say(name, Removed, "was gone already")
		return nil
	case err != nil:
		return err
	case sum != i.was[name]:
		i.say(name, Kept, "changed since it was installed: left as it is; it goes on working until you remove it")
		return nil
	}
	i.say(name, Removed, why)
	if i.dry {
		return nil
	}
	return os.Remove(i.path(name))
}

// record writes the manifest, where it differs.
func (i *installer) record(m *manifest) error {
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
	return replace(name, text, 0o644)
}

// makeFolder makes a folder with the owner of the one that it is in.
func (i *installer) makeFolder(name string) error {
	err := os.Mkdir(i.path(name), 0o755)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if uid, gid, ok := ownerOf(i.folder); err == nil && ok {
		err = os.Lchown(i.path(name), uid, gid)
	}
	return err
}

// checkFolder says why a folder is no configuration that the kit can be installed into.
func checkFolder(folder string, s *Settings) error {
	if _, err := os.Stat(filepath.Join(folder, "freeswitch.xml")); err != nil {
		return fmt.Errorf("%s is not FreeSWITCH's configuration: name the folder that freeswitch.xml is in, such as /etc/freeswitch (%w)", folder, err)
	}
	if s.FusionPBX {
		return nil
	}
	if fusionHandler(folder) {
		return fmt.Errorf("this switch takes its dialplan from FusionPBX's database, so files in %s would change nothing: install with --fusionpbx, and follow docs/fusionpbx.md", filepath.Join(folder, "dialplan"))
	}
	need := []string{"dialplan/public"}
	if s.Star != "" || s.LearnDialled {
		need = append(need, "dialplan/default")
	}
	for _, name := range need {
		if info, err := os.Stat(filepath.Join(folder, filepath.FromSlash(name))); err != nil || !info.IsDir() {
			context := filepath.Base(name)
			return fmt.Errorf("there is no folder %s in %s: make it and include it in the context %s (<X-PRE-PROCESS cmd=\"include\" data=\"%s/*.xml\"/>)%s",
				name, folder, context, context, map[string]string{"default": ", or install with --star none"}[context])
		}
	}
	return nil
}

// eventSocket is the event socket's own configuration.
const eventSocket = "autoload_configs/event_socket.conf.xml"

// eventSocketFile is what to write where the switch has none: the sample with a password of its own. One that
// is there is never touched, be it ours.
func eventSocketFile(folder string, was map[string]string) (*file, error) {
	if _, err := os.Lstat(filepath.Join(folder, eventSocket)); !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if info, err := os.Stat(filepath.Join(folder, "autoload_configs")); err != nil || !info.IsDir() || was[eventSocket] != "" {
		return nil, nil // another layout, or the administrator has removed it
	}
	text, err := fs.ReadFile(conf.FreeSWITCH, "freeswitch/"+eventSocket)
	if err != nil {
		return nil, err
	}
	text = bytes.Replace(text, []byte("put-a-password-of-your-own-here"), []byte(rand.Text()), 1)
	return &file{name: eventSocket, content: text, secret: true}, nil
}

// sumOf is a regular file's SHA-256 and mode. A link or a folder has a sum that no file has.
func sumOf(name string) (string, fs.FileMode, error) {
	info, err := os.Lstat(name)
	if err != nil {
		return "", 0, err
	}
	if !info.Mode().IsRegular() {
		return "no file", 0, nil
	}
	text, err := os.ReadFile(name)
	return hexSum(text), info.Mode().Perm(), err
}

func hexSum(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// replace writes a file so that the switch never reads half of one, and gives it the folder's owner if it can.
// The name it has meanwhile is none that a folder of dialplans includes.
func replace(name string, content []byte, mode fs.FileMode) (err error) {
	folder := filepath.Dir(name)
	f, err := os.CreateTemp(folder, ".ringfence-new-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	_, err = f.Write(content)
	err = errors.Join(err, f.Chmod(mode))
	if uid, gid, ok := ownerOf(folder); ok && err == nil {
		err = f.Chown(uid, gid)
	}
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}

// ownerOf gives a folder's owner to root, who alone can give files away.
func ownerOf(folder string) (uid, gid int, ok bool) {
	if os.Geteuid() != 0 {
		return 0, 0, false
	}
	info, err := os.Stat(folder)
	if err != nil {
		return 0, 0, false
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, 0, false
	}
	return int(st.Uid), int(st.Gid), true
}
