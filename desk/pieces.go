package desk

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"path/filepath"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"ringfence/inforce"
	"ringfence/lists"
	"ringfence/storage"
)

// piecesFile is where the lists are kept as they are in memory, in the data folder: what is there fits the database or is not
// used, so that it can be deleted at any time.
const piecesFile = "lists.piece"

// How long after an edit the pieces are written: when no other came for so long, but not later than that after the first. After an
// import they are written soon.
const (
	piecesQuiet = 30 * time.Second
	piecesLate  = 10 * time.Minute
	piecesSoon  = time.Second

	// piecesRate bounds how much edits one by one have the disk write, in bytes a second: a file of 40 MB every ten minutes.
	piecesRate = 64 << 10
)

// pieces keeps the lists in a file, beside the database, to have them at once after a restart.
type pieces struct {
	edits  chan struct{} // lists were edited
	whole  chan struct{} // an import is done, or lists were read from the database as a whole
	broken chan struct{} // a mapped list cannot be read any more

	// doubt is set when the lists in memory may not be what is on disk: an edit failed in between, or not all could be read. Then no pieces
	// are written until a reload has read the lists anew.
	doubt atomic.Bool

	writing sync.Mutex           // held by who writes the file, for all below
	saved   map[string]lists.Fit // what is in the file, by list
	next    time.Time            // when edits may have it written again
	failing bool
}

func newPieces() *pieces {
	return &pieces{edits: make(chan struct{}, 1), whole: make(chan struct{}, 1), broken: make(chan struct{}, 1)}
}

// signal says something to who waits for it, and never waits.
func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// edited notes that an edit was made on disk and in memory, or failed.
func (p *pieces) edited(err error) {
	switch {
	case err == nil:
		signal(p.edits)
	case errors.Is(err, storage.ErrInvalid), errors.Is(err, storage.ErrBusy), errors.Is(err, storage.ErrNoChange), errors.Is(err, storage.ErrReadOnly):
		// nothing was changed
	default:
		p.doubt.Store(true)
	}
}

func (d *Desk) piecesPath() string { return filepath.Join(d.conf.Data, piecesFile) }

// fitOf says what a piece of a list must be of, but for its strays, to be what the database has of it.
func fitOf(r *inforce.Rules, l *storage.ListInfo) lists.Fit {
	return lists.Fit{List: l.Name, Stamp: l.Stamp, Reading: r.Policy.Plan().Reading()}
}

// mapPieces takes those lists from the file that fit the database, and gives their names.
func (d *Desk) mapPieces(r *inforce.Rules, infos []storage.ListInfo) map[string]bool {
	began := time.Now()
	fits := make(map[string]lists.Fit, len(infos))
	for i := range infos {
		if infos[i].Stamp != "" {
			fits[infos[i].Name] = fitOf(r, &infos[i])
		}
	}
	found, err := lists.OpenFile(d.piecesPath(), func(f lists.Fit) bool {
		f.Strays = 0
		return fits[f.List] == f && f.List != ""
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, lists.ErrVersion) {
		d.o.Log.Warn("lists cannot be had from their file and are read from the database; the file is written anew", "error", err)
	}
	mapped, strays := make(map[string]bool, len(found)), 0
	for _, p := range found {
		f := p.Fit()
		r.Lists.Adopt(f.List, p)
		r.Strays[f.List] = f.Strays
		strays += f.Strays
		mapped[f.List] = true
	}
	if strays > 0 {
		d.o.Log.Warn("list entries are not numbers of the policy's country; no call matches them until they are removed: `ringfence policy reload` has them named here", "entries", strays)
	}
	if len(mapped) > 0 {
		d.o.Log.Info("lists are there from their file", "lists", len(mapped), "took", time.Since(began).Round(time.Millisecond))
	}
	return mapped
}

// KeepPieces writes the lists to their file when they have changed, until ctx ends and once more then.
func (d *Desk) KeepPieces(ctx context.Context) {
	select {
	case <-d.listsRead:
	case <-ctx.Done():
		select {
		case <-d.listsRead: // stopped at once, with lists to write all the same
		default:
			return
		}
	}
	p := d.pieces
	timer := time.NewTimer(0)
	<-timer.C
	var latest time.Time // when they are to be written at the latest; zero: there is nothing to write
	for {
		select {
		case <-ctx.Done():
			if !latest.IsZero() || len(p.edits) > 0 || len(p.whole) > 0 {
				d.savePieces()
			}
			return
		case <-p.edits:
			var due time.Time
			due, latest = p.due(time.Now(), latest)
			timer.Reset(time.Until(due))
		case <-p.whole:
			latest = time.Now().Add(piecesSoon)
			timer.Reset(piecesSoon)
		case <-p.broken:
			d.readBroken(ctx)
		case <-timer.C:
			latest = time.Time{}
			if saved := d.savePieces(); saved != nil {
				d.usePieces(saved)
			} else if !p.doubt.Load() { // the disk may take it later
				latest = time.Now().Add(piecesLate)
				timer.Reset(piecesLate)
			}
		}
	}
}

// due is when the file is to be written for an edit at now, and at the latest if others follow; latest is what it was for the
// edits before, zero if there are none that are not written.
func (p *pieces) due(now, latest time.Time) (due, atLatest time.Time) {
	p.writing.Lock()
	defer p.writing.Unlock()
	later := func(t time.Time) time.Time {
		if t.Before(p.next) {
			return p.next
		}
		return t
	}
	if latest.IsZero() {
		latest = later(now.Add(piecesLate))
	}
	if due = later(now.Add(piecesQuiet)); due.After(latest) {
		due = latest
	}
	return due, latest
}

// savePieces writes the lists to their file, unless it has them so already, and gives what the file has then; nothing if it
// was not written.
func (d *Desk) savePieces() []lists.SavedPiece {
	p := d.pieces
	p.writing.Lock()
	defer p.writing.Unlock()
	save, err := d.piecesNow()
	if save == nil && err == nil {
		return nil
	}
	fits := make(map[string]lists.Fit, len(save))
	for _, s := range save {
		fits[s.List] = s.Fit
	}
	if err == nil && maps.Equal(fits, p.saved) {
		return save
	}
	began, file := time.Now(), d.piecesPath()
	if err == nil {
		err = lists.WriteFile(file, save)
	}
	if err != nil {
		p.saved = nil
		if !p.failing {
			d.o.Log.Warn("the lists cannot be written to the file that they are had from at once after a restart; until they can, a restart reads them from the database: see to the disk", "file", file, "error", err)
		}
		p.failing = true
		return nil
	}
	p.failing, p.saved = false, fits
	size := int64(0)
	for _, s := range save {
		size += s.Piece.Size()
	}
	p.next = began.Add(time.Duration(size/piecesRate) * time.Second)
	d.o.Log.Debug("lists are in their file", "lists", len(save), "took", time.Since(began).Round(time.Millisecond))
	return save
}

// piecesNow gives the lists as they are on disk and in memory at one moment; none if that may not be the same.
func (d *Desk) piecesNow() ([]lists.SavedPiece, error) {
	d.edit.Lock()
	defer d.edit.Unlock()
	if d.pieces.doubt.Load() || d.unread != nil { // not all of it is in memory
		return nil, nil
	}
	r := d.force.Rules()
	infos, err := d.db.Lists()
	save := make([]lists.SavedPiece, 0, len(infos))
	for i := range infos {
		f := fitOf(r, &infos[i])
		f.Strays = r.Strays[f.List]
		if p := r.Lists.Piece(f.List); p != nil && f.Stamp != "" {
			save = append(save, lists.SavedPiece{Fit: f, Piece: p})
		}
	}
	return save, err
}

// usePieces has the lists use what is in the file instead of the same in memory. A list that was edited since goes on as it is.
func (d *Desk) usePieces(saved []lists.SavedPiece) {
	inMemory := make(map[lists.Fit]*lists.Piece)
	for _, s := range saved {
		if s.Piece.Size() >= lists.MinMapped && !s.Piece.Mapped() {
			inMemory[s.Fit] = s.Piece
		}
	}
	if len(inMemory) == 0 {
		return
	}
	found, err := lists.OpenFile(d.piecesPath(), func(f lists.Fit) bool { return inMemory[f] != nil })
	if err != nil {
		d.o.Log.Warn("the lists that were written cannot be read again and stay in memory", "error", err)
	}
	r, freed := d.force.Rules(), 0
	for _, p := range found {
		if f := p.Fit(); p.Mapped() && r.Lists.Replace(f.List, inMemory[f], p) {
			freed += p.Len()
		}
	}
	clear(inMemory)
	clear(saved)
	if freed > manyEntries {
		debug.FreeOSMemory()
	}
}

// readBroken reads lists whose mapped file cannot be read any more from the database. Calls that a rule asks them for pass
// meanwhile.
func (d *Desk) readBroken(ctx context.Context) {
	d.pieces.writing.Lock()
	d.pieces.saved = nil // the file is not what it was
	d.pieces.writing.Unlock()
	d.edit.Lock()
	defer d.edit.Unlock()
	r := d.force.Rules()
	loaders := make(map[string]loader)
	for _, name := range r.Unread() {
		loaders[name] = load(r, name, false)
	}
	d.o.Log.Error("lists cannot be read from their file any more and are read from the database; calls that a rule asks them for pass until then: see to the disk", "lists", len(loaders), "file", d.piecesPath())
	if err := d.fill(ctx, r, loaders); err != nil && ctx.Err() == nil {
		d.o.Log.Error("lists cannot be read; calls that a rule asks them for pass: see to the disk, then `ringfence policy reload`", "error", err)
	}
}
