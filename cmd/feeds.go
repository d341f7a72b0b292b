package cmd

import (
	"fmt"

	"ringfence/console"
)

type feedsCmd struct {
	Ls     feedsLsCmd     `cmd:"" help:"Say how each feed is."`
	Fetch  feedsFetchCmd  `cmd:"" help:"Fetch a feed now."`
	Accept feedsAcceptCmd `cmd:"" help:"Make what is held for review count."`
}

type feedsLsCmd struct{}

func (c *feedsLsCmd) Run(a *app) error {
	d, err := a.desk(true)
	if err != nil {
		return err
	}
	defer d.close()
	all, err := d.Feeds(a.ctx)
	if err != nil {
		return err
	}
	for i := range all {
		if err := a.print(all[i], "%s", feedLine(&all[i])); err != nil {
			return err
		}
	}
	if len(all) == 0 && !a.json {
		fmt.Fprintln(a.err, "the daemon's file has no [[feed]]")
	}
	return nil
}

type feedsFetchCmd struct {
	List string `arg:"" help:"The feed's list."`
}

func (c *feedsFetchCmd) Run(a *app) error {
	return a.feed(func(d console.Desk) (*console.FeedStatus, error) { return d.FetchFeed(a.ctx, c.List) })
}

type feedsAcceptCmd struct {
	List string `arg:"" help:"The feed's list."`
}

func (c *feedsAcceptCmd) Run(a *app) error {
	return a.feed(func(d console.Desk) (*console.FeedStatus, error) { return d.AcceptFeed(a.ctx, c.List) })
}

// feed does something to a feed and says how it is then. One that is held is not done.
func (a *app) feed(do func(console.Desk) (*console.FeedStatus, error)) error {
	d, err := a.desk(false)
	if err != nil {
		return err
	}
	defer d.close()
	s, err := do(d)
	if err != nil {
		return err
	}
	if err := a.print(s, "%s", feedLine(s)); err != nil {
		return err
	}
	if s.Held != "" {
		return errSilent
	}
	return nil
}

// feedLine is a feed as a person reads it.
func feedLine(s *console.FeedStatus) string {
	text := fmt.Sprintf("%-20s %d entries, fetched %s, every %s, from %s", s.List, s.Entries, when(s.Fetched), s.Every, shown(s.Source))
	if s.Refused > 0 {
		text += fmt.Sprintf("; %d lines of it are no entries", s.Refused)
	}
	if s.Held != "" {
		text += fmt.Sprintf("\n  %s: look at it, then `ringfence feeds accept %s`", shown(s.Held), s.List)
	}
	if s.Error != "" {
		text += fmt.Sprintf("\n  the last try, %s, failed: %s", when(s.Checked), shown(s.Error))
	}
	return text
}
