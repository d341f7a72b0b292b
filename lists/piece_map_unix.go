//go:build unix

package lists

import (
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// mappable says that mapFile maps files.
const mappable = true

// mapFile maps the beginning of a file and asks for it to be read at once. The file may be closed then.
func mapFile(f *os.File, size int) (*mapping, error) {
	b, err := unix.Mmap(int(f.Fd()), 0, size, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, os.NewSyscallError("mmap", err)
	}
	unix.Madvise(b, unix.MADV_WILLNEED) // it is only quicker with it
	m := &mapping{b}
	runtime.AddCleanup(m, func(b []byte) { unix.Munmap(b) }, b)
	return m, nil
}

// own gives a file that root made the owner of its folder.
func own(f *os.File, folder string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	info, err := os.Stat(folder)
	if err != nil {
		return err
	}
	if of, ok := info.Sys().(*syscall.Stat_t); ok {
		return f.Chown(int(of.Uid), int(of.Gid))
	}
	return nil
}
