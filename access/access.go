// Package access is who may use the console and the API, and what each may see and do there: users with their passwords and
// passkeys, tokens of scripts, sessions, one-time links, and the bounds on tries to sign in.
//
// Guard is the one place that enforces it: a console.Desk that asks console.WhoOf for each request, so that no page, stream,
// export or API can show what is not theirs. It also writes down who changed what.
package access

import (
	"log/slog"
	"time"

	"ringfence/storage"
)

// Book is who may use the console. It may be used by many goroutines at once.
type Book struct {
	o Options
}

// Options say what a Book works with.
type Options struct {
	DB  *storage.DB
	Log *slog.Logger
	Now func() time.Time
}

// Open reads who may use the console.
func Open(o Options) (*Book, error) { return &Book{o: o}, nil }
