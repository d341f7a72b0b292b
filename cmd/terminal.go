package cmd

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"ringfence/terminal"
)

// prose is a label and what is said under it, for a person: on a terminal it is broken into lines of a page, the further ones
// beside the label; elsewhere, where a program may read it, it stays one line.
func (a *app) prose(label, text string) string {
	if !terminal.Is(a.out) {
		return label + text
	}
	return label + terminal.Wrap(text, terminal.Page, terminal.Columns(label), terminal.Columns(label))
}

// program is how this program is called from where the person is: as it was found on PATH, else by its path.
func program() string {
	self, err := os.Executable()
	if err != nil {
		return "ringfence"
	}
	if found, err := exec.LookPath(filepath.Base(self)); err == nil && sameFile(found, self) {
		return filepath.Base(self)
	}
	here, err := os.Getwd()
	if err != nil {
		return self
	}
	if near, err := filepath.Rel(here, self); err == nil && !strings.HasPrefix(near, "..") {
		return "./" + near
	}
	return self
}

func sameFile(a, b string) bool {
	x, err := os.Stat(a)
	y, err2 := os.Stat(b)
	return err == nil && err2 == nil && os.SameFile(x, y)
}
