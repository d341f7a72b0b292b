package dialplan

import (
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
)

// Reader is a user who must be able to read a file. The zero value is any other user: neither owner nor in the group.
type Reader struct {
	Name   string
	UID    int
	Groups []int
}

// ReaderNamed looks a user up.
func ReaderNamed(name string) (Reader, error) {
	u, err := user.Lookup(name)
	if err != nil {
		return Reader{}, err
	}
	r := Reader{Name: name}
	r.UID, err = strconv.Atoi(u.Uid)
	groups, _ := u.GroupIds()
	for _, g := range append(groups, u.Gid) {
		if n, err := strconv.Atoi(g); err == nil {
			r.Groups = append(r.Groups, n)
		}
	}
	return r, err
}

// may reports whether the reader has a permission (4 to read, 1 to enter) on a file.
func (r Reader) may(info fs.FileInfo, permission fs.FileMode) bool {
	mode := info.Mode().Perm()
	as := attributesOf(info)
	switch {
	case r.Name == "":
		return mode&permission != 0
	case r.UID == 0:
		return true
	case as.known && as.uid == r.UID:
		return mode&(permission<<6) != 0
	case as.known && slices.Contains(r.Groups, as.gid):
		return mode&(permission<<3) != 0
	}
	return mode&permission != 0
}

// Closed names what keeps a reader from a file: the file itself, or the folder nearest to the root that they may not
// enter. "" if nothing does, as far as modes tell; what is not there keeps nobody.
func (r Reader) Closed(file string) (path string, mode fs.FileMode) {
	for dir := filepath.Dir(file); ; dir = filepath.Dir(dir) {
		if info, err := os.Stat(dir); err == nil && !r.may(info, 1) {
			path, mode = dir, info.Mode().Perm()
		}
		if dir == filepath.Dir(dir) {
			break
		}
	}
	if info, err := os.Stat(file); path == "" && err == nil && !r.may(info, 4) {
		path, mode = file, info.Mode().Perm()
	}
	return path, mode
}
