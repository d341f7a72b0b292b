package doctor

import (
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"ringfence/conf"
)

// The doctor looks for all that the shipped dialplan and the bridge use: what is missing ends calls.
func TestNeededIsAll(t *testing.T) {
	needs := func(kind, name, where string) {
		for _, n := range neededOf {
			if n.kind == kind && slices.Contains(n.names, name) {
				return
			}
		}
		t.Errorf("%s uses the %s %s, which the doctor does not look for", where, kind, name)
	}
	found := 0
	look := func(files fs.FS, suffix, kind string, which *regexp.Regexp, but ...string) {
		err := fs.WalkDir(files, ".", func(file string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(file, suffix) || strings.HasSuffix(file, "_test.go") {
				return err
			}
			text, err := fs.ReadFile(files, file)
			for _, m := range which.FindAllSubmatch(text, -1) {
				if found++; !slices.Contains(but, string(m[1])) {
					needs(kind, string(m[1]), file)
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	// A mailbox is the administrator's, as the shipped file says.
	look(conf.FreeSWITCH, ".xml", "application", regexp.MustCompile(`application="(\w+)"`), "voicemail", "sleep")
	shipped := found
	bridge := os.DirFS("../eslbridge")
	look(bridge, ".go", "application", regexp.MustCompile(`execute\("(\w+)"`))
	executed := found
	look(bridge, ".go", "api", regexp.MustCompile(`"(?:api )?(uuid_\w+) `))
	if shipped < 50 || executed-shipped < 5 || found-executed < 4 {
		t.Errorf("found %d applications in the dialplan, %d in the bridge, and %d commands: is this where they are?", shipped, executed-shipped, found-executed)
	}
}
