package daemon

import (
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
		Alerts: d.alerts, Log: d.log, Now: d.clock,
	})
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
