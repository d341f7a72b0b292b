package lists

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// MinMapped is how large a piece of a file must be to stay mapped, in bytes; smaller ones are read into memory.
const MinMapped = 1 << 20

// mapping is a file in memory, as long as one of its pieces is used.
type mapping struct{ b []byte }

// SavedPiece is a piece to be written to a file, and what it is of.
type SavedPiece struct {
	Fit
	Piece *Piece
}

// WriteFile writes pieces to a file, one after the other, in the place of what the file has. It is written under another name
// and put in place when all of it is on disk, so that a crash or a full disk leaves the file as it was, and what was mapped from
// it stays as it is. There is one writer at a time. What root writes takes the owner of the folder.
func WriteFile(file string, pieces []SavedPiece) (err error) {
	temp := file + ".new"
	if err := os.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) { // left by a crash
		return err
	}
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o640)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(temp)
		}
	}()
	err = own(f, filepath.Dir(file))
	for i := 0; i < len(pieces) && err == nil; i++ {
		err = pieces[i].Piece.Write(f, pieces[i].Fit)
	}
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Rename(temp, file); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(file))
}

func syncFolder(folder string) error {
	f, err := os.Open(folder)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// OpenFile maps the file that WriteFile wrote and gives those of its pieces that are wanted, having read all of these and found
// their checksums right. The error says what is wrong with the file; what comes with it can be used all the same. It is
// fs.ErrNotExist if there is no file. Where files cannot be mapped it is read into memory.
//
// The pieces stay as they are, also when the file is replaced.
func OpenFile(file string, wanted func(Fit) bool) (pieces []*Piece, err error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a file: move it away", file)
	case info.Size() > maxPiece || info.Size() != int64(int(info.Size())):
		return nil, fmt.Errorf("%s has %d bytes: %w", file, info.Size(), ErrNoPiece)
	case info.Size() == 0:
		return nil, nil
	}
	m, err := mapFile(f, int(info.Size()))
	if err != nil {
		return nil, fmt.Errorf("%s cannot be read: %w", file, err)
	}
	defer runtime.KeepAlive(m)
	var faults []error
	if err := guarded(func() { pieces, faults = m.pieces(wanted) }); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	for i, fault := range faults {
		faults[i] = fmt.Errorf("%s: %w", file, fault)
	}
	return pieces, errors.Join(faults...)
}

// pieces opens those that are wanted.
func (m *mapping) pieces(wanted func(Fit) bool) (pieces []*Piece, faults []error) {
	for b := m.b; len(b) > 0; {
		h, err := readHeader(b)
		if err == nil && h.size > uint64(len(b)) {
			err = fmt.Errorf("%w: it is cut short", ErrDamaged)
		}
		if err != nil {
			return pieces, append(faults, err) // where the next one begins is not known
		}
		if wanted(h.fit) {
			mine, isMapped := b[:h.size], mappable
			if h.size < MinMapped {
				mine, isMapped = bytes.Clone(mine), false
			}
			p, err := Open(mine)
			switch {
			case err != nil:
				faults = append(faults, fmt.Errorf("the list %s: %w", h.fit.List, err))
			case isMapped:
				p.mapped = m
				p.texts = text(strings.Clone(string(p.texts))) // what look-ups give must not depend on the file
				fallthrough
			default:
				pieces = append(pieces, p)
			}
		}
		b = b[h.size:]
	}
	return pieces, faults
}
