package replay

import "time"

// queue gives what was put into it by its time; of the same time, what was put first.
type queue[T any] struct {
	of   []queued[T] // a heap
	puts uint64
}

type queued[T any] struct {
	at   int64 // nanoseconds since 1970
	n    uint64
	what T
}

func (a *queued[T]) before(b *queued[T]) bool { return a.at < b.at || a.at == b.at && a.n < b.n }

func (q *queue[T]) put(at time.Time, what T) {
	q.of = append(q.of, queued[T]{at.UnixNano(), q.puts, what})
	q.puts++
	for i := len(q.of) - 1; i > 0; {
		up := (i - 1) / 2
		if !q.of[i].before(&q.of[up]) {
			break
		}
		q.of[i], q.of[up] = q.of[up], q.of[i]
		i = up
	}
}

// first is the time of what comes next, if there is anything.
func (q *queue[T]) first() (at int64, ok bool) {
	if len(q.of) == 0 {
		return 0, false
	}
	return q.of[0].at, true
}

// take takes out what comes next. There must be something.
func (q *queue[T]) take() (what T) {
	last := len(q.of) - 1
	what = q.of[0].what
	q.of[0] = q.of[last]
	q.of[last].what = *new(T) // no longer held on to
	q.of = q.of[:last]
	for i := 0; ; {
		down := 2*i + 1
		if down >= last {
			break
		}
		if right := down + 1; right < last && q.of[right].before(&q.of[down]) {
			down = right
		}
		if !q.of[down].before(&q.of[i]) {
			break
		}
		q.of[i], q.of[down] = q.of[down], q.of[i]
		i = down
	}
	return what
}
