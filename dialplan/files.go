package dialplan

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// attributes are whose a file is, and its mode. Only root can give files away.
type attributes struct {
	mode     fs.FileMode // 0: no regular file
	known    bool        // the owner
	uid, gid int
}

// ownerOf gives the owner of a file or folder.
func ownerOf(name string) attributes {
	info, err := os.Stat(name)
	if err != nil {
		return attributes{}
	}
	return attributesOf(info)
}

func attributesOf(info fs.FileInfo) (as attributes) {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		as = attributes{known: true, uid: int(st.Uid), gid: int(st.Gid)}
	}
	if info.Mode().IsRegular() {
		as.mode = info.Mode().Perm()
	}
	return as
}

// sumOf is a regular file's SHA-256 and what it is like. A link or a folder has a sum that no file has.
func sumOf(name string) (string, attributes, error) {
	info, err := os.Lstat(name)
	if errors.Is(err, fs.ErrPermission) {
		err = withoutRight(name, "looked at", err)
	}
	if err != nil {
		return "", attributes{}, err
	}
	if !info.Mode().IsRegular() {
		return "no file", attributes{}, nil
	}
	text, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrPermission) {
		err = withoutRight(name, "read", err)
	}
	return hexSum(text), attributesOf(info), err
}

func hexSum(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// replace writes a file so that the switch never reads half of one, with the attributes given as far as they can be
// had. The name it has meanwhile is none that a folder of dialplans includes.
func replace(name string, content []byte, as attributes) (err error) {
	f, err := os.CreateTemp(filepath.Dir(name), ".ringfence-new-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	_, err = f.Write(content)
	if mine := ownerOf(f.Name()); as.known && err == nil && (mine.uid != as.uid || mine.gid != as.gid) {
		if err = f.Chown(as.uid, as.gid); err != nil {
			err = fmt.Errorf("%s cannot be given to the owner that it should have: run this as root (%w)", name, err)
		}
	}
	err = errors.Join(err, f.Chmod(as.mode))
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}
