package conf

import "path/filepath"

// Notify is who is told that something is wrong.
type Notify struct {
	Command string // a program with an absolute path; "" for nobody
}

// readNotify reads [notify].
func readNotify(s *section) Notify {
	n := Notify{Command: s.text("command", "")}
	if n.Command != "" && !filepath.IsAbs(n.Command) {
		s.fault("command", "%q has no absolute path: write \"/usr/local/bin/page-me\", a program that takes no arguments here", n.Command)
	}
	return n
}
