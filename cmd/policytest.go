package cmd

import (
	"fmt"

	"ringfence/conf"
	"ringfence/policy"
)

type policyTestCmd struct {
	File string `arg:"" help:"The policy file."`
}

// testLine is one test as --json prints it.
type testLine struct {
	File     string `json:"file"`
	Line     int    `json:"line"`
	Caller   string `json:"caller"`
	Passed   bool   `json:"passed"`
	Expected string `json:"expected"`
	Got      string `json:"got"`
	Reason   string `json:"reason"`
}

func (c *policyTestCmd) Run(a *app) error {
	text, err := conf.ReadFile(c.File)
	if err != nil {
		return err
	}
	p, faults := policy.Load(c.File, text)
	if p == nil {
		for _, f := range faults {
			if !f.Warning {
				fmt.Fprintln(a.err, f)
			}
		}
		return fmt.Errorf("%s has faults, so its tests cannot be run", c.File)
	}
	passed, failed := 0, 0
	for _, r := range p.RunTests() {
		if r.Passed {
			passed++
		} else {
			failed++
		}
		switch {
		case a.json:
			err = a.print(testLine{c.File, r.Line, r.Caller, r.Passed, r.Expected, r.Got, r.Decision.Reason()}, "")
		case !r.Passed:
			_, err = fmt.Fprintf(a.out, "%s:%d: %s\n", c.File, r.Line, r)
		}
		if err != nil {
			return err
		}
	}
	if passed+failed == 0 {
		fmt.Fprintf(a.err, "%s has no [[test]] tables\n", c.File)
	}
	if !a.json {
		fmt.Fprintf(a.out, "%d passed, %d failed\n", passed, failed)
	}
	if failed > 0 {
		return errSilent
	}
	return nil
}
