package standin

import (
	"strconv"
	"strings"
)

// holdsVariable reports whether a text has "${" in it, as the switch looks for
// it: backslashes between the two do not hide it.
func holdsVariable(s string) bool {
	dollar := false
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '$':
			dollar = true
		case dollar && s[i] == '{':
			return true
		case s[i] != '\\':
			dollar = false
		}
	}
	return false
}

// holdsEscape reports whether a backslash sequence makes the switch go through a text at all.
func holdsEscape(s string) bool {
	for i := 0; i+1 < len(s); i++ {
		if s[i] == '\\' && strings.IndexByte(`\nst'`, s[i+1]) >= 0 {
			return true
		}
	}
	return false
}

// expander replaces ${variable} and ${api(argument)} as the switch does before
// an application sees its argument. API commands are not run, only reported:
// any of them may be a shell command.
type expander struct {
	lookup func(name string) string
	ran    func(command, argument string)
}

// maxDepth bounds variables that hold variables.
const maxDepth = 100

func (x expander) expand(in string) string { return x.at(in, 0) }

func (x expander) at(in string, depth int) string {
	if depth > maxDepth || !holdsVariable(in) && !holdsEscape(in) {
		return in
	}
	var out strings.Builder
	peek := func(i int) byte {
		if i < len(in) {
			return in[i]
		}
		return 0
	}
	for i := 0; i < len(in); i++ {
		literal := false
		if in[i] == '\\' {
			switch peek(i + 1) {
			case '$':
				// "\${…}" loses its backslash and is left as it is: whoever expands
				// the result once more, as `set` does, finds a variable.
				literal = true
				i++
				if peek(i+1) == '$' {
					i++
				}
			case '\'':
				i++
				continue
			case '\\':
				out.WriteByte('\\')
				i++
				continue
			}
		}
		if in[i] != '$' || literal {
			out.WriteByte(in[i])
			continue
		}
		if peek(i+1) == '$' {
			i++ // $${…} is a global variable
		}
		if peek(i+1) != '{' {
			out.WriteByte(in[i])
			continue
		}
		end := closing(in, i+2)
		out.WriteString(x.value(in[i+2:end], depth))
		i = end
		if next := peek(i + 1); next != 0 && next != '$' {
			out.WriteByte(next) // as it is, even a backslash
			i++
		}
	}
	return out.String()
}

// closing finds the brace that ends a variable whose name begins at i, or the end of the text.
func closing(s string, i int) int {
	depth := 1
	for ; i < len(s); i++ {
		switch s[i] {
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return i
}

// value is what stands for the text between the braces.
func (x expander) value(name string, depth int) string {
	if i := strings.IndexAny(name, " ("); i >= 0 {
		command, argument := strings.TrimRight(name[:i], " "), name[i+1:]
		if name[i] == '(' {
			argument = upToParenthesis(argument)
		}
		x.ran(x.at(command, depth+1), x.at(argument, depth+1))
		return ""
	}
	name = x.at(name, depth+1)
	name, part, _ := strings.Cut(name, ":")
	v := x.at(x.lookup(name), depth+1)
	if part == "" {
		return v
	}
	first, second, _ := strings.Cut(part, ":")
	from, _ := strconv.Atoi(first)
	count, _ := strconv.Atoi(second)
	switch {
	case from > len(v):
		return ""
	case from >= 0:
		v = v[from:]
	case -from <= len(v):
		v = v[len(v)+from:]
	}
	if count > 0 && count < len(v) {
		v = v[:count]
	}
	return v
}

func upToParenthesis(s string) string {
	depth := 1
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return s[:i]
			}
		}
	}
	return s
}

// separate splits a text at spaces into at most max parts, the last of which
// is the rest. Quotation marks (') and backslashes are interpreted and taken
// out, spaces around a part are dropped (switch_separate_string).
func separate(s string, max int) []string {
	if strings.HasPrefix(s, "^^") && len(s) > 3 {
		parts := strings.SplitN(s[3:], s[2:3], max)
		for i := range parts {
			parts[i] = cleanPart(parts[i])
		}
		return parts
	}
	var parts []string
	for len(s) > 0 {
		if len(parts) == max-1 {
			parts = append(parts, cleanPart(s))
			break
		}
		start := len(s) - len(strings.TrimLeft(s, " "))
		quoted := false
		i := start
	part:
		for ; i < len(s); i++ {
			switch s[i] {
			case '\\':
				i++
			case '\'':
				quoted = !quoted
			case ' ':
				if !quoted {
					break part
				}
			}
		}
		i = min(i, len(s))
		parts = append(parts, cleanPart(s[:i]))
		s = strings.TrimLeft(s[i:], " ")
	}
	return parts
}

// separateAt splits a text at a character that is no space, with quotes and backslashes as separate has them.
func separateAt(s string, delimiter byte, max int) []string {
	var parts []string
	start, quoted := 0, false
	for i := 0; i < len(s) && len(parts) < max-1; i++ {
		switch s[i] {
		case '\\':
			i++
		case '\'':
			if quoted || strings.IndexByte(s[i+1:], '\'') >= 0 {
				quoted = !quoted
			}
		case delimiter:
			if !quoted {
				parts = append(parts, cleanPart(s[start:i]))
				start = i + 1
			}
		}
	}
	return append(parts, cleanPart(s[start:]))
}

func cleanPart(s string) string {
	s = strings.TrimLeft(s, " ")
	var b []byte
	end := 0
	quoted := false
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '\\' && i+1 < len(s) {
			e, known := s[i+1], true
			switch e {
			case 'n':
				e = '\n'
			case 'r':
				e = '\r'
			case 't':
				e = '\t'
			case 's':
				e = ' '
			case '\'', '"', '\\':
			default:
				known = false
			}
			if known {
				b = append(b, e)
				end = len(b)
				i++
				continue
			}
		}
		if c == '\'' && (quoted || strings.IndexByte(s[i+1:], '\'') >= 0) {
			if quoted = !quoted; quoted {
				end = len(b)
			}
			continue
		}
		b = append(b, c)
		if c != ' ' || quoted {
			end = len(b)
		}
	}
	return string(b[:end])
}
