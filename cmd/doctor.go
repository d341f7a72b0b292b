package cmd

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"

	"ringfence/doctor"
)

type doctorCmd struct {
	Conf         string `placeholder:"DIR" help:"FreeSWITCH's configuration, to look at its files as well."`
	EventSocket  string `placeholder:"ADDR" help:"The switch's event socket (the first [[attach]] of the daemon's file)."`
	PasswordFile string `placeholder:"FILE" help:"Holds its password (that of the [[attach]])."`
	Context      string `default:"public" placeholder:"NAME" help:"Where calls come in from outside (public)."`
}

// contextName is what a context may be called to be named here: it becomes part of a command to the switch.
var contextName = regexp.MustCompile(`^[A-Za-z0-9_.@-]{1,64}$`)

func (c *doctorCmd) Run(a *app) error {
	if !contextName.MatchString(c.Context) {
		return usageError{fmt.Sprintf("--context: %q is no name of a context", c.Context)}
	}
	return a.examine(func(say func(doctor.Check)) bool {
		return doctor.Run(a.ctx, doctor.Options{Config: a.config, Conf: c.Conf, EventSocket: c.EventSocket, PasswordFile: c.PasswordFile, Context: c.Context}, say)
	})
}

// examine prints what a doctor says, a line each.
func (a *app) examine(run func(say func(doctor.Check)) (sound bool)) error {
	var failed error
	sound := run(func(k doctor.Check) {
		text := oneLine(k.What)
		if k.Todo != "" {
			text += "  — " + oneLine(k.Todo)
		}
		if err := a.print(k, "%s", a.prose(fmt.Sprintf("%-5s ", k.Status), text)); err != nil {
			failed = err
		}
	})
	if failed != nil {
		return failed
	}
	if !sound {
		return errSilent
	}
	return nil
}

// oneLine keeps a text on its line: nothing in it can move a terminal's cursor.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)
}
