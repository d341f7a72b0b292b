package dialplan

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// withoutRights does something as a user to whom the folders do not belong.
func withoutRights(t *testing.T, folders []string, act func()) {
	t.Helper()
	if os.Geteuid() == 0 {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		unix.SetfsuidRetUid(65534)
		defer unix.SetfsuidRetUid(0)
	}
	for _, folder := range folders {
		defer os.Chmod(folder, 0o755)
		if err := os.Chmod(folder, 0o555); err != nil && os.Geteuid() != 0 {
			t.Fatal(err)
		}
	}
	act()
}

// What cannot be written is not said to be, and the next run, with the rights, does it.
func TestWithoutRights(t *testing.T) {
	for name, c := range map[string]struct {
		folder    string
		install   func(folder, star string) ([]Change, error)
		uninstall func(folder string) ([]Change, error)
		within    []string // folders that are written to
	}{
		"FreeSWITCH": {
			vanilla(t, nil),
			func(folder, star string) ([]Change, error) {
				return Install(folder, Settings{Screen: usual.Screen, Star: star}, china, false)
			},
			func(folder string) ([]Change, error) { return Uninstall(folder, false) },
			[]string{"", "dialplan", "dialplan/public", "dialplan/default"},
		},
		"Asterisk": {
			plainAsterisk(t, nil),
			func(folder, star string) ([]Change, error) {
				return InstallAsterisk(folder, Asterisk{AGI: DefaultAGI, Star: star}, china, false)
			},
			func(folder string) ([]Change, error) {
				changes, _, err := UninstallAsterisk(folder, false)
				return changes, err
			},
			[]string{""},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var folders []string
			for _, f := range c.within {
				folders = append(folders, filepath.Join(c.folder, f))
			}
			refused := func(act func() ([]Change, error)) {
				t.Helper()
				before := tree(t, c.folder)
				withoutRights(t, folders, func() {
					changes, err := act()
					if !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "run this as root, with sudo") || strings.Contains(err.Error(), "\n") {
						t.Errorf("it said %v", err)
					}
					for _, c := range changes {
						if c.Did != Unchanged {
							t.Errorf("%s %s, it says", c.Did, c.File)
						}
					}
				})
				if !maps.Equal(tree(t, c.folder), before) {
					t.Error("something was changed")
				}
			}
			if err := os.Chmod(filepath.Dir(c.folder), 0o755); err != nil {
				t.Fatal(err)
			}
			empty := tree(t, c.folder)
			refused(func() ([]Change, error) { return c.install(c.folder, "*57") })
			if _, err := c.install(c.folder, "*57"); err != nil {
				t.Fatal(err)
			}
			refused(func() ([]Change, error) { return c.install(c.folder, "*58") })
			unread(t, c.folder, func() { // a file that cannot even be read
				withoutRights(t, nil, func() {
					if _, err := c.install(c.folder, "*58"); !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "run this as root, with sudo") {
						t.Errorf("it said %v", err)
					}
				})
			})
			changes, err := c.install(c.folder, "*58")
			if err != nil || !strings.Contains(lineEach(changes), Updated) || strings.Contains(lineEach(changes), Kept) {
				t.Errorf("with the rights: %s, %v", lineEach(changes), err)
			}
			refused(func() ([]Change, error) { return c.uninstall(c.folder) })
			if _, err := c.uninstall(c.folder); err != nil {
				t.Fatal(err)
			}
			if !maps.Equal(tree(t, c.folder), empty) {
				t.Error("not all was taken out")
			}
		})
	}
}

// unread does something while nobody but root can read what has been written to a folder.
func unread(t *testing.T, folder string, act func()) {
	t.Helper()
	modes := make(map[string]fs.FileMode)
	err := filepath.WalkDir(folder, func(name string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		modes[name] = info.Mode()
		return os.Chmod(name, 0)
	})
	if err != nil {
		t.Fatal(err)
	}
	act()
	for name, mode := range modes {
		if err := os.Chmod(name, mode); err != nil {
			t.Fatal(err)
		}
	}
}
