package cmd

import (
	"fmt"
	"runtime/debug"
	"strings"
)

// Version is what `ringfence version` says, and the newest section of CHANGELOG.md (a test holds them together).
const Version = "0.2.0"

// commit is set by `make build`, as in 7d66b6e1a2b3 or 7d66b6e1a2b3-dirty. A plain `go build` leaves it empty: Go then
// notes the commit by itself where it can.
var commit string

// build is the program that runs: its version, and the commit it was built from where Go knows it.
type build struct {
	Version  string `json:"version"`
	Commit   string `json:"commit,omitempty"`
	Modified bool   `json:"modified,omitempty"` // there were changes that no commit has
}

func thisBuild() build {
	if commit != "" {
		name, modified := strings.CutSuffix(commit, "-dirty")
		return build{Version: Version, Commit: name, Modified: modified}
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return build{Version: Version}
	}
	return buildOf(info.Settings)
}

func buildOf(settings []debug.BuildSetting) build {
	b := build{Version: Version}
	for _, s := range settings {
		switch s.Key {
		case "vcs.revision":
			b.Commit = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	return b
}

// String is the version with the commit, as in `0.2.0 (7d66b6e1a2b3)`.
func (b build) String() string {
	switch {
	case b.Commit == "":
		return b.Version
	case b.Modified:
		return fmt.Sprintf("%s (%.12s, with changes that are not committed)", b.Version, b.Commit)
	}
	return fmt.Sprintf("%s (%.12s)", b.Version, b.Commit)
}

type versionCmd struct{}

func (versionCmd) Run(a *app) error {
	b := thisBuild()
	return a.print(b, "ringfence %s", b)
}
