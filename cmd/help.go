package cmd

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"ringfence/terminal"
)

const about = "Ringfence screens inbound calls on a PBX before a handset rings."

// printHelp shows all commands, or what one does as kong shows it.
func printHelp(options kong.HelpOptions, ctx *kong.Context) error {
	if ctx.Selected() == nil {
		overview(ctx.Stdout, ctx.Model)
		return nil
	}
	return kong.DefaultHelpPrinter(options, ctx)
}

// overview shows the commands by what they are for, a line each, and where to begin.
func overview(out io.Writer, model *kong.Application) {
	fmt.Fprintf(out, "%s\n\nUsage: ringfence COMMAND … [--config FILE] [--json]\n", about)
	last := ""
	for _, c := range model.Children {
		title := "More"
		if c.Group != nil {
			title = c.Group.Title
		}
		if title != last {
			fmt.Fprintf(out, "\n%s\n", title)
			last = title
		}
		fmt.Fprintf(out, "  %-10s  %s\n", c.Name, terminal.Wrap(c.Help, terminal.Page, 14, 14))
	}
	fmt.Fprintf(out, `
%[1]s help COMMAND says more of a command, and which flags it has.
--config FILE   the daemon's file (/etc/ringfence/ringfence.toml)
--json          print JSON, one object a line, on all that prints data

New here? Watch it with `+"`%[1]s demo`"+`: nothing is installed, nothing stays.
Then README.md, "Install it": ten minutes, and no call is touched at first.
`, program())
}

// asHelp turns `help COMMAND…` into `COMMAND… --help`.
func asHelp(args []string) []string {
	if args[0] != "help" {
		return args
	}
	if args = args[1:]; len(args) > 0 && args[0] == "help" { // help is no command
		args = args[1:]
	}
	return append(slices.Clone(args), "--help")
}

// misunderstood says what is wrong with how the program was called, and where to look.
func misunderstood(err error) string {
	text, path := err.Error(), ""
	var p *kong.ParseError
	if errors.As(err, &p) && p.Context != nil {
		node := p.Context.Model.Node
		for _, step := range p.Context.Path {
			if step.Command != nil {
				node = step.Command
				path += " " + node.Name
			}
		}
		switch argument, unexpected := strings.CutPrefix(text, "unexpected argument "); {
		case strings.HasPrefix(text, "expected one of"):
			var names []string
			for _, c := range node.Children {
				names = append(names, c.Name)
			}
			text = fmt.Sprintf("`ringfence%s` does nothing by itself: add one of %s", path, strings.Join(names, ", "))
		case unexpected && len(node.Children) > 0:
			text = "there is no command " + argument
		case strings.HasPrefix(text, `expected "<`):
			text = "missing: " + strings.Trim(strings.TrimPrefix(text, "expected "), `"`)
		}
	}
	return fmt.Sprintf("%s\nTry `ringfence%s --help`.", terminal.Wrap(text, terminal.Page, len("ringfence: "), 0), path)
}

// commandOf is the command that was called, without its arguments.
func commandOf(ctx *kong.Context) string {
	var words []string
	for word := range strings.FieldsSeq(ctx.Command()) {
		if !strings.HasPrefix(word, "<") {
			words = append(words, word)
		}
	}
	return strings.Join(words, " ")
}
