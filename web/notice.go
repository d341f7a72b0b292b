package web

import (
	"errors"
	"net/http"

	"ringfence/access"
	"ringfence/console"
)

// NoticeView is what the page "notice" shows: one call that was stopped, to whom its line belongs.
type NoticeView struct {
	Gone bool // the link does not work any more
	Call *console.Record
	Done *console.Corrected // its caller is let through from now on
	Said string
}

// byLink puts who comes by a notice's link into the request's context; nil if the link does not work any more.
func (s *Server) byLink(r *http.Request) (*http.Request, *console.Who) {
	who, err := s.o.Book.NoticeOf(r.URL.Path, addressIn(r))
	if err != nil {
		return r, nil
	}
	return r.WithContext(console.WithWho(r.Context(), who)), who
}

// noticed gives the call that a link is of, and the request as of who has it. nil: why not was shown.
func (s *Server) noticed(w http.ResponseWriter, r *http.Request) (*http.Request, *console.Record) {
	r, who := s.byLink(r)
	if who == nil {
		s.o.Pages.Show(w, r, http.StatusGone, "notice", NoticeView{Gone: true})
		return r, nil
	}
	call, err := s.o.Desk.Call(r.Context(), who.Call)
	if err != nil {
		s.failedNotice(w, r, err)
		return r, nil
	}
	return r, &call.Record
}

// noticePage shows the call. To look at it lets nobody through: programs that look at links in mail do.
func (s *Server) noticePage(w http.ResponseWriter, r *http.Request) {
	if r, call := s.noticed(w, r); call != nil {
		s.o.Pages.Show(w, r, http.StatusOK, "notice", NoticeView{Call: call})
	}
}

// noticeAct lets the caller through.
func (s *Server) noticeAct(w http.ResponseWriter, r *http.Request) {
	r, call := s.noticed(w, r)
	if call == nil {
		return
	}
	done, err := s.o.Desk.Correct(r.Context(), console.WhoOf(r.Context()).Call)
	if err != nil {
		s.failedNotice(w, r, err)
		return
	}
	s.o.Pages.Show(w, r, http.StatusOK, "notice", NoticeView{Call: call, Done: done})
}

func (s *Server) failedNotice(w http.ResponseWriter, r *http.Request, err error) {
	switch {
	case errors.Is(err, access.ErrLink), errors.Is(err, console.ErrNotFound): // used meanwhile, or the record is gone
		s.o.Pages.Show(w, r, http.StatusGone, "notice", NoticeView{Gone: true})
	case errors.Is(err, console.ErrBad), errors.Is(err, console.ErrConflict):
		s.o.Pages.Show(w, r, http.StatusConflict, "notice", NoticeView{Said: err.Error()})
	default:
		s.o.Pages.Fail(w, r, err)
	}
}
