package daemon

import (
	"time"

	"ringfence/conf"
	"ringfence/console"
	"ringfence/notice"
	"ringfence/policy"
)

// openNotices makes what tells the customers of lines which calls were stopped. The database is open; there is no policy yet.
func (d *Daemon) openNotices(c *conf.Daemon) {
	d.notices = notice.New(d.db, notice.Options{
		Folder: c.Data, Node: c.Node, Sendmail: c.Notify.Sendmail, From: c.Notify.From, Private: c.Notify.WebhookPrivate, StarCode: c.Notify.StarCode,
		Policy: func() *policy.Policy {
			if r := d.force.Rules(); r != nil {
				return r.Policy
			}
			return nil
		},
		Link: d.noticeLink, Alerts: d.alerts, Log: d.log, Now: d.clock,
	})
}

// noticeFor is how long the link of a notice works.
const noticeFor = 7 * 24 * time.Hour

// noticeLink is where the customer of a line can let the caller of a stopped call through; "" without an address that browsers know.
func (d *Daemon) noticeLink(call, line string) string {
	if d.conf.Console == nil || d.conf.Console.URL == "" {
		return ""
	}
	path := d.book.NoticeLink(call, line, d.now().Add(noticeFor))
	if path == "" {
		return ""
	}
	return d.conf.Console.Address() + path
}

func (d *Daemon) countNotices(s *console.Status) {
	waiting, givenUp := d.notices.Waiting()
	s.Count("notices.sent", d.notices.Sent.Load())
	s.Count("notices.failed", d.notices.Failed.Load())
	s.Count("notices.given_up", d.notices.GivenUp.Load())
	s.Count("notices.calls_dropped", d.notices.Dropped.Load())
	s.Count("notices.waiting", uint64(waiting))
	s.Count("notices.dead", uint64(givenUp))
}
