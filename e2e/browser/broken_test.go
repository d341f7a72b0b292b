package browser

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"time"

	"ringfence/access"
	"ringfence/conf"
	"ringfence/console"
	"ringfence/pages"
	"ringfence/storage"
	"ringfence/web"
)

// broken is a desk whose disk is gone: neither the journal nor lists, marks and lines can be read from it.
type broken struct{ console.Desk }

var errDisk = errors.New("the database /var/lib/ringfence/ringfence.db cannot be read: input/output error")

func (d broken) Status(ctx context.Context) (*console.Status, error) {
	s, err := d.Desk.Status(ctx)
	if err == nil {
		s.Journal.Error, s.Journal.Dropped, s.Lists.Unread = errDisk.Error(), 17, []string{"allowlist", "blacklist"}
	}
	return s, err
}

func (broken) Search(context.Context, console.SearchQuery) (*console.SearchPage, error) {
	return nil, errDisk
}

func (broken) Call(context.Context, string) (*console.CallDetail, error) { return nil, errDisk }

func (broken) Activity(context.Context, console.ActivityQuery) (*console.Activity, error) {
	return nil, errDisk
}

func (broken) Ranges(context.Context, console.RangeQuery) (*console.RangeReport, error) {
	return nil, errDisk
}

func (broken) Lists(context.Context) ([]console.ListSummary, error) { return nil, errDisk }

func (broken) Entries(context.Context, string, func(console.ListEntry) error) error { return errDisk }

func (broken) Reports(context.Context, console.ReportsQuery, func(console.Report) error) error {
	return errDisk
}

func (broken) Lines(context.Context, console.LineQuery, func(console.Line) error) error {
	return errDisk
}

// brokenStates are the pages of a daemon whose disk is gone: its console, on a port of its own and with an administrator of its own.
func (h *house) brokenStates() []state {
	h.t.Helper()
	log := slog.New(slog.DiscardHandler)
	must := func(err error) {
		h.t.Helper()
		if err != nil {
			h.t.Fatal(err)
		}
	}
	db, err := storage.Open(filepath.Join(h.t.TempDir(), "users.db"), storage.Options{})
	must(err)
	h.t.Cleanup(func() { db.Close() })
	book, err := access.Open(access.Options{DB: db, Log: log})
	must(err)
	desk := access.Guard(broken{h.d.Desk()}, book)
	shown, err := pages.New(pages.Options{Desk: desk, Log: log})
	must(err)
	server, err := web.New(web.Options{Conf: &conf.Console{Listen: "127.0.0.1:0"}, Node: "broken", Desk: desk, Book: book, Pages: shown, Log: log, Now: time.Now})
	must(err)
	must(server.Listen(h.t.Context()))
	go server.Serve()
	h.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		server.Shutdown(ctx)
	})
	link, err := book.FirstLink()
	must(err)
	tab := NewTab(h.t, h.browser)
	tab.Language("en")
	tab.welcome(server.Address() + link)
	var all []state
	for _, path := range []string{"/", "/calls", "/lists", "/health"} {
		name := cmp.Or(strings.TrimPrefix(path, "/"), "now")
		all = append(all, state{name: "broken-" + name, path: server.Address() + path, by: tab, home: server.Address()})
	}
	return all
}
