package cmd

import (
	"os"
	"regexp"
	"runtime/debug"
	"testing"
)

func TestVersion(t *testing.T) {
	for want, settings := range map[string][]debug.BuildSetting{
		Version:                     {{Key: "GOOS", Value: "linux"}},
		Version + " (7d66b6e1a2b3)": {{Key: "vcs.revision", Value: "7d66b6e1a2b34455"}, {Key: "vcs.modified", Value: "false"}},
		Version + " (7d66b6e1a2b3, with changes that are not committed)": {{Key: "vcs.revision", Value: "7d66b6e1a2b34455"}, {Key: "vcs.modified", Value: "true"}},
	} {
		if got := buildOf(settings).String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// The changelog's newest release is the version that the program says.
func TestChangelog(t *testing.T) {
	text, err := os.ReadFile("../CHANGELOG.md")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`(?m)^## \[(\d+\.\d+\.\d+)\] - \d{4}-\d{2}-\d{2}$`).FindSubmatch(text)
	if m == nil || string(m[1]) != Version {
		t.Errorf("the changelog's newest release is %q, want %q as in ## [%s] - 2026-11-28", m, Version, Version)
	}
}

// What `make build` writes into the program wins over what Go noted.
func TestVersionOfMake(t *testing.T) {
	t.Cleanup(func() { commit = "" })
	for written, want := range map[string]string{
		"7d66b6e1a2b3":       Version + " (7d66b6e1a2b3)",
		"7d66b6e1a2b3-dirty": Version + " (7d66b6e1a2b3, with changes that are not committed)",
	} {
		commit = written
		if got := thisBuild().String(); got != want {
			t.Errorf("%s: got %q, want %q", written, got, want)
		}
	}
}
