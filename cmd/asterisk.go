package cmd

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"ringfence/conf"
	"ringfence/dialplan"
	"ringfence/doctor"
)

type asteriskCmd struct {
	Install   asteriskInstallCmd   `cmd:"" help:"Write the subroutine that hands calls to the daemon into an Asterisk configuration."`
	Uninstall asteriskUninstallCmd `cmd:"" help:"Take it out again."`
	Doctor    asteriskDoctorCmd    `cmd:"" help:"Check the whole chain on a live system, and say what to fix."`
}

// asteriskConf is where Asterisk's configuration is.
type asteriskConf struct {
	Conf string `placeholder:"DIR" help:"Asterisk's configuration: the folder that extensions.conf is in (/etc/asterisk)."`
}

const standardConf = "/etc/asterisk"

func (c *asteriskConf) folder() (string, error) {
	if c.Conf != "" {
		return c.Conf, nil
	}
	if _, err := os.Stat(filepath.Join(standardConf, "extensions.conf")); err != nil {
		return "", usageError{"where is Asterisk's configuration? There is no " + standardConf + "/extensions.conf: name the folder with --conf"}
	}
	return standardConf, nil
}

type asteriskInstallCmd struct {
	asteriskConf
	DryRun       bool   `help:"Say what would be done, and do nothing."`
	AGI          string `name:"agi" placeholder:"ADDR" help:"Where the daemon listens, as Asterisk reaches it (its [agi] listen)."`
	Star         string `placeholder:"CODE" help:"What staff dial to report their last caller, or none (*57)."`
	Release      string `placeholder:"CODE" help:"What staff dial to let the caller through who was last stopped, or none (*58)."`
	LearnDialled *bool  `negatable:"" help:"The dialplan shall show the daemon what is dialled: only where no [[attach]] learns it."`
	Emergency    string `placeholder:"N,N" help:"Calls to these numbers never pass through the daemon (those of the policy's country)."`
	FreePBX      *bool  `name:"freepbx" negatable:"" help:"FreePBX writes extensions.conf (found out by itself)."`
}

func (c *asteriskInstallCmd) Run(a *app) error {
	folder, err := c.folder()
	if err != nil {
		return err
	}
	s, known, err := dialplan.RecordedAsterisk(folder)
	if err != nil {
		return err
	}
	settings, loadErr := conf.LoadForCommand(a.config)
	if !known {
		s = dialplan.Asterisk{AGI: dialplan.DefaultAGI, Star: dialplan.DefaultStar, Release: dialplan.DefaultRelease, FreePBX: dialplan.IsFreePBX(folder)}
		if loadErr == nil && settings.AGI != nil {
			s.AGI = settings.AGI.Listen
		}
	}
	c.choose(&s)
	emergency, err := emergencyOf(s.Emergency, settings, loadErr)
	if err != nil {
		return err
	}
	if err := s.Check(emergency); err != nil {
		return usageError{err.Error()}
	}
	changes, err := dialplan.InstallAsterisk(folder, s, emergency, c.DryRun)
	if err := a.printChanges(changes, c.DryRun); err != nil {
		return err
	}
	if err != nil {
		return err
	}
	if err := a.printNotes(append(needsAGI(settings, s), dialplan.LookAsterisk(folder, s, soundsOf(settings))...)); err != nil {
		return err
	}
	if !a.json && a.installed(emergency, changes, c.DryRun) {
		fmt.Fprintf(a.out, "next: asterisk -rx \"dialplan reload\", then ringfence asterisk doctor%s\n", c.again())
	}
	if blocked(changes) {
		return errors.New("what is in the way keeps the subroutine from its work")
	}
	return nil
}

// again is the flag that another command needs to find the same configuration.
func (c *asteriskConf) again() string {
	if c.Conf == "" {
		return ""
	}
	return " --conf " + c.Conf
}

// choose lets flags win over what was remembered.
func (c *asteriskInstallCmd) choose(s *dialplan.Asterisk) {
	if c.AGI != "" {
		s.AGI = c.AGI
	}
	chooseCodes(c.Star, c.Release, &s.Star, &s.Release)
	for from, to := range map[*bool]*bool{c.LearnDialled: &s.LearnDialled, c.FreePBX: &s.FreePBX} {
		if from != nil {
			*to = *from
		}
	}
	chooseNumbers(c.Emergency, &s.Emergency)
}

// needsAGI notes that the daemon does not listen for Asterisk.
func needsAGI(settings *conf.Daemon, s dialplan.Asterisk) []dialplan.Note {
	if settings == nil || settings.AGI != nil {
		return nil
	}
	return []dialplan.Note{{Level: dialplan.Must, Text: doctor.WithoutAGI(settings.File, s.AGI)}}
}

// soundsOf is the folder of the announcements, "" if it is not known.
func soundsOf(settings *conf.Daemon) string {
	if settings == nil {
		return ""
	}
	return settings.SoundFolder()
}

type asteriskUninstallCmd struct {
	asteriskConf
	DryRun bool `help:"Say what would be done, and do nothing."`
}

func (c *asteriskUninstallCmd) Run(a *app) error {
	folder, err := c.folder()
	if err != nil {
		return err
	}
	changes, notes, err := dialplan.UninstallAsterisk(folder, c.DryRun)
	if err := a.printChanges(changes, c.DryRun); err != nil {
		return err
	}
	if err != nil {
		return err
	}
	if err := a.printNotes(notes); err != nil {
		return err
	}
	switch {
	case a.json:
	case c.DryRun:
		fmt.Fprintln(a.out, "nothing was removed: this was a dry run")
	case len(notes) > 0:
		fmt.Fprintln(a.out, "next: what is to do, and only then asterisk -rx \"dialplan reload\"")
	default:
		fmt.Fprintln(a.out, "next: asterisk -rx \"dialplan reload\"")
	}
	return nil
}

type asteriskDoctorCmd struct {
	asteriskConf
	Asterisk string `default:"asterisk" placeholder:"PROGRAM" help:"The asterisk whose command line is used (-rx), as on PATH or with its path (asterisk)."`
}

func (c *asteriskDoctorCmd) Run(a *app) error {
	return a.examine(func(say func(doctor.Check)) bool {
		return doctor.RunAsterisk(a.ctx, doctor.AsteriskOptions{Config: a.config, Conf: c.Conf, Program: c.Asterisk}, say)
	})
}
