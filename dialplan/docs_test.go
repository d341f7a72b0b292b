package dialplan

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// The pages name every file that is installed, and FusionPBX's files say about themselves what the page says.
func TestDocs(t *testing.T) {
	page := func(name string) string {
		text, err := os.ReadFile("../docs/" + name)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	own, fusion := page("freeswitch.md"), page("fusionpbx.md")
	header := regexp.MustCompile(`Context ([a-z-]+), Order (\d{3}), Domain (\w+), Continue (\w+)\. -->`)
	for _, s := range all("127.0.0.1:8084") {
		files, err := s.files(china)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			short := strings.TrimPrefix(f.name, fusionFolder+"/")
			if !s.FusionPBX {
				if !strings.Contains(own, "| `"+f.name+"` |") {
					t.Errorf("freeswitch.md does not name %s", f.name)
				}
				continue
			}
			m := header.FindStringSubmatch(string(f.content))
			if m == nil {
				t.Errorf("%s does not say where it goes", f.name)
				continue
			}
			row := "| `" + short + "` | `" + m[1] + "` | " + m[2] + " | " + strings.ToUpper(m[4][:1]) + m[4][1:] + " | " + m[3] + " |"
			if !strings.Contains(fusion, row) {
				t.Errorf("fusionpbx.md has no row %s", row)
			}
			if want := `continue="true"`; strings.Contains(string(f.content), want) != (m[4] == "true") {
				t.Errorf("%s says Continue %s", f.name, m[4])
			}
		}
	}
}

// Asterisk's page names what is written there and what is needed.
func TestAsteriskDocs(t *testing.T) {
	text, err := os.ReadFile("../docs/asterisk.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(text)
	for _, name := range []string{asteriskFile, Manifest} {
		if !strings.Contains(page, "| `"+name+"` |") {
			t.Errorf("it does not name %s", name)
		}
	}
	for _, m := range append(AsteriskModules[1:len(AsteriskModules):len(AsteriskModules)], AsteriskTestModules...) { // without pbx_config
		if !strings.Contains(page, "`"+m.Name+"`") {
			t.Errorf("it does not name the module %s", m.Name)
		}
	}
	if !strings.Contains(page, "`"+asteriskInclude+"`") {
		t.Errorf("it does not say how to include it by hand")
	}
}
