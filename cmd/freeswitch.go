package cmd

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"ringfence/conf"
	"ringfence/dialplan"
	"ringfence/policy"
)

type freeswitchCmd struct {
	Install   freeswitchInstallCmd   `cmd:"" help:"Write the dialplan that hands calls to the daemon into a FreeSWITCH configuration."`
	Uninstall freeswitchUninstallCmd `cmd:"" help:"Take it out again."`
	Doctor    doctorCmd              `cmd:"" help:"Check the whole chain on a live system, and say what to fix."`
}

type freeswitchInstallCmd struct {
	Conf         string `required:"" placeholder:"DIR" help:"FreeSWITCH's configuration: the folder that freeswitch.xml is in."`
	DryRun       bool   `help:"Say what would be done, and do nothing."`
	Screen       string `placeholder:"ADDR" help:"Where the daemon listens, as the switch reaches it (its [screen] listen)."`
	Sync         *bool  `negatable:"" help:"Without async: calls are set up a little faster, but a hung daemon is bounded by its watchdog alone."`
	Star         string `placeholder:"CODE" help:"What staff dial to report their last caller, or none (*57)."`
	Release      string `placeholder:"CODE" help:"What staff dial to let the caller through who was last stopped, or none (*58)."`
	LearnDialled *bool  `negatable:"" help:"Show the daemon what is dialled: only where no [[attach]] learns it."`
	Emergency    string `placeholder:"N,N" help:"Calls to these numbers never pass through the daemon (those of the policy's country)."`
	FusionPBX    *bool  `name:"fusionpbx" negatable:"" help:"Write files to copy into FusionPBX's dialplan manager; see docs/fusionpbx.md."`
}

func (c *freeswitchInstallCmd) Run(a *app) error {
	s, known, err := dialplan.Recorded(c.Conf)
	if err != nil {
		return err
	}
	settings, loadErr := conf.LoadForCommand(a.config)
	if !known {
		s = dialplan.Settings{Screen: "127.0.0.1:8084", Star: dialplan.DefaultStar, Release: dialplan.DefaultRelease}
		if loadErr == nil {
			s.Screen = settings.Screen.Listen
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
	changes, err := dialplan.Install(c.Conf, s, emergency, c.DryRun)
	if err := a.printChanges(changes, c.DryRun); err != nil {
		return err
	}
	if err != nil {
		return err
	}
	if err := a.printNotes(dialplan.Look(c.Conf, s)); err != nil {
		return err
	}
	if !a.json {
		c.next(a, s, emergency, changes)
	}
	if blocked(changes) {
		return errors.New("what is in the way keeps the kit from its work")
	}
	return nil
}

// choose lets flags win over what was remembered.
func (c *freeswitchInstallCmd) choose(s *dialplan.Settings) {
	if c.Screen != "" {
		s.Screen = c.Screen
	}
	chooseCodes(c.Star, c.Release, &s.Star, &s.Release)
	for from, to := range map[*bool]*bool{c.Sync: &s.Sync, c.LearnDialled: &s.LearnDialled, c.FusionPBX: &s.FusionPBX} {
		if from != nil {
			*to = *from
		}
	}
	chooseNumbers(c.Emergency, &s.Emergency)
}

// chooseNumbers reads N,N.
func chooseNumbers(flag string, to *[]string) {
	if flag == "" {
		return
	}
	*to = nil
	for n := range strings.SplitSeq(flag, ",") {
		*to = append(*to, strings.TrimSpace(n))
	}
}

// chooseCodes reads the star codes. Who chooses for reports what the other one has by itself gets no other one.
func chooseCodes(star, release string, toStar, toRelease *string) {
	chooseStar(star, toStar)
	chooseStar(release, toRelease)
	if release == "" && *toStar == *toRelease {
		*toRelease = ""
	}
}

// chooseStar reads a star code or none.
func chooseStar(flag string, to *string) {
	switch flag {
	case "":
	case "none":
		*to = ""
	default:
		*to = flag
	}
}

// emergencyOf gives the numbers that were named, else those of the policy's country, and how they stand in a
// call there. Without the daemon's file (loadErr) they must be named.
func emergencyOf(named []string, settings *conf.Daemon, loadErr error) (dialplan.Emergency, error) {
	e := dialplan.Emergency{Numbers: named}
	switch {
	case settings == nil && len(named) > 0:
		return e, nil
	case settings == nil:
		return e, fmt.Errorf("which emergency numbers must never pass through the daemon? Name them, as in --emergency 110,119,120, or the daemon's file, whose policy says the country (%w)", loadErr)
	}
	text, err := conf.ReadFile(settings.Policy)
	if errors.Is(err, fs.ErrNotExist) && len(named) > 0 {
		return e, nil
	}
	if err != nil {
		return e, fmt.Errorf("the policy, whose country says the emergency numbers, cannot be read: %w", err)
	}
	p, _ := policy.Load(settings.Policy, text)
	if p == nil {
		if len(named) > 0 {
			return e, nil
		}
		return e, fmt.Errorf("the policy %s, whose country says the emergency numbers, has faults: see `ringfence policy check %[1]s`", settings.Policy)
	}
	if len(named) == 0 {
		e.Numbers = p.Plan().EmergencyNumbers()
	}
	e.Expression = p.Plan().EmergencyExpression(e.Numbers)
	return e, nil
}

// next says what there is left to do.
func (c *freeswitchInstallCmd) next(a *app, s dialplan.Settings, e dialplan.Emergency, changes []dialplan.Change) {
	switch {
	case !a.installed(e, changes, c.DryRun):
	case s.FusionPBX:
		fmt.Fprintf(a.out, "next: copy the files of %s into the dialplan manager, as docs/fusionpbx.md says\n", filepath.Join(c.Conf, "ringfence-fusionpbx"))
	default:
		fmt.Fprintf(a.out, "next: fs_cli -x reloadxml, then ringfence freeswitch doctor --conf %s\n", c.Conf)
	}
}

// installed says what was done, and whether there is something to be loaded by the switch.
func (a *app) installed(e dialplan.Emergency, changes []dialplan.Change, dry bool) bool {
	fmt.Fprintf(a.out, "emergency numbers, never shown to the daemon: %s\n", strings.Join(e.Numbers, " "))
	switch {
	case did(changes) && dry:
		fmt.Fprintln(a.out, "nothing was written: this was a dry run")
	case did(changes):
		return true
	case !blocked(changes):
		fmt.Fprintln(a.out, "nothing to do: it is installed")
	}
	return false
}

type freeswitchUninstallCmd struct {
	Conf   string `required:"" placeholder:"DIR" help:"FreeSWITCH's configuration: the folder that freeswitch.xml is in."`
	DryRun bool   `help:"Say what would be done, and do nothing."`
}

func (c *freeswitchUninstallCmd) Run(a *app) error {
	changes, err := dialplan.Uninstall(c.Conf, c.DryRun)
	if err := a.printChanges(changes, c.DryRun); err != nil {
		return err
	}
	if err != nil {
		return err
	}
	switch {
	case a.json:
	case c.DryRun:
		fmt.Fprintln(a.out, "nothing was removed: this was a dry run")
	default:
		fmt.Fprintln(a.out, "next: fs_cli -x reloadxml")
	}
	return nil
}

// did reports whether anything was written or removed.
func did(changes []dialplan.Change) bool {
	for _, c := range changes {
		if c.Did == dialplan.Written || c.Did == dialplan.Updated || c.Did == dialplan.Removed {
			return true
		}
	}
	return false
}

// blocked reports whether a file could not be written because of another.
func blocked(changes []dialplan.Change) bool {
	for _, c := range changes {
		if c.Did == dialplan.InTheWay {
			return true
		}
	}
	return false
}

func (a *app) printChanges(changes []dialplan.Change, dry bool) error {
	for _, c := range changes {
		label, text := fmt.Sprintf("%-10s ", c.Did), c.File
		if dry && did([]dialplan.Change{c}) {
			label = "would be " + label
		}
		if c.Note != "" {
			text += ": " + c.Note
		}
		if err := a.print(c, "%s", a.prose(label, text)); err != nil {
			return err
		}
	}
	return nil
}

func (a *app) printNotes(notes []dialplan.Note) error {
	for _, n := range notes {
		kind := "to do"
		if n.Level == dialplan.Know {
			kind = "note"
		}
		if err := a.print(n, "%s", a.prose(kind+": ", oneLine(n.Text))); err != nil {
			return err
		}
	}
	return nil
}
