package desk

import "ringfence/console"

// Status fills in what the desk knows of how the daemon is.
func (d *Desk) Status(s *console.Status) (err error) {
	r := d.force.Rules()
	s.Node, s.Policy, s.Loaded, s.Mode, s.Pause = d.conf.Node, d.conf.Policy, r.Loaded, r.Policy.Mode().String(), d.pauseState()
	s.PolicyRefused = d.refused.Load()
	s.Lists.Unread = r.Unread()
	for _, name := range r.Lists.Names() {
		s.Lists.Entries += r.Lists.Len(name)
		s.Lists.WithoutText += r.Lists.LeftOut(name)
	}
	for _, own := range r.Lists.OwnNames() {
		entries, _ := r.Lists.OwnSize(own)
		s.Lists.Entries += entries
	}
	s.Count("lists.own_refused", d.ownRefused.Load())
	s.Count("lists.own_dropped", r.Lists.OwnDropped())
	s.Journal.Written, s.Journal.Dropped = d.o.Journal.Written(), d.o.Journal.Dropped()
	if err := d.o.Journal.Err(); err != nil {
		s.Journal.Error = err.Error()
	}
	s.Count("journal.missed", d.o.Journal.Missed()+d.missed.Load()) // by who follows it
	_, slow := d.Followed()
	s.Count("journal.too_slow", slow) // who followed it, and were let go of
	s.Count("journal.failures", d.o.Journal.Failures())
	s.Count("journal.trimmed", d.o.Journal.Trimmed())
	s.Count("journal.strays", d.o.Journal.Strays())
	d.detectorsStatus(s)
	s.Lines, _ = r.Lines.Len()
	if d.o.Cluster != nil {
		c := d.o.Cluster.Report()
		s.Cluster = &c
	}
	s.Customers = d.customersToday()
	s.Reports.Open, s.Reports.Decided, err = d.db.ReportCount()
	return err
}
