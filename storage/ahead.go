package storage

import "iter"

const (
	aheadPage  = 1000 // things that are handed over at a time
	aheadPages = 4    // such, at most, that are made and not taken
)

// Ahead is a sequence that is made beside who takes it, up to some thousand things ahead, so that reading and writing many rows takes two processors. When
// it ends, by itself or because nobody takes more, nothing of seq runs any more.
func Ahead[T any](seq iter.Seq2[T, error]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		type page struct {
			all []T
			err error // behind them
		}
		made, free, stop := make(chan page, aheadPages-2), make(chan []T, aheadPages), make(chan struct{})
		for range aheadPages {
			free <- make([]T, 0, aheadPage)
		}
		go func() {
			defer close(made)
			next := page{all: <-free}
			give := func() bool {
				select {
				case made <- next:
				case <-stop:
					return false
				}
				select {
				case all := <-free:
					next = page{all: all}
					return true
				case <-stop:
					return false
				}
			}
			for t, err := range seq {
				if next.err = err; err == nil {
					next.all = append(next.all, t)
				}
				if (err != nil || len(next.all) == aheadPage) && !give() {
					return
				}
			}
			if len(next.all) > 0 {
				give()
			}
		}()
		defer func() {
			close(stop)
			for range made { // until nothing is made any more
			}
		}()
		for p := range made {
			for _, t := range p.all {
				if !yield(t, nil) {
					return
				}
			}
			if p.err != nil {
				var none T
				if !yield(none, p.err) {
					return
				}
			}
			clear(p.all) // what it points to is not kept
			free <- p.all[:0]
		}
	}
}
