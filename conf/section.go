package conf

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"ringfence/tomlfile"
)

// faults collects everything that is wrong with one file, so that the operator learns of all of it at once.
type faults struct {
	file string
	all  []tomlfile.Fault
}

func (fs *faults) add(line int, key, format string, args ...any) {
	fs.all = append(fs.all, tomlfile.Fault{File: fs.file, Line: line, Key: key, Text: fmt.Sprintf(format, args...)})
}

// err is a line for each fault, in the order of the file; nil if there is none.
func (fs *faults) err() error {
	if len(fs.all) == 0 {
		return nil
	}
	slices.SortFunc(fs.all, func(a, b tomlfile.Fault) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Key, b.Key), cmp.Compare(a.Text, b.Text))
	})
	lines := make([]string, len(fs.all))
	for i, f := range fs.all {
		lines[i] = f.String()
	}
	return errors.New(strings.Join(lines, "\n"))
}

// section reads one table of the file. A value of the wrong type is noted, and read as if the key were not there, so
// that one pass finds every fault.
type section struct {
	faults *faults
	name   string // as a key shows it, "" for the top
	at     *tomlfile.Place
	values map[string]any
	wrong  []string // keys of which a fault is already told: what follows from it is not told as well
}

func (s *section) has(key string) bool { _, ok := s.values[key]; return ok }

// told reports whether a fault of one of the keys is told already: what stands for its value is a standard that nobody wrote,
// and nothing else is held against it.
func (s *section) told(keys ...string) bool {
	return slices.ContainsFunc(keys, func(key string) bool { return slices.Contains(s.wrong, key) })
}

// key is a key with the table it stands in.
func (s *section) key(name string) string {
	name = tomlfile.BareKey(name)
	if s.name == "" {
		return name
	}
	return s.name + "." + name
}

// fault notes what is wrong with a key, at its line or, if it is missing, at its table's.
func (s *section) fault(key, format string, args ...any) {
	if !s.told(key) {
		s.faults.add(s.at.Key(key).Line, s.key(key), format, args...)
	}
}

// wrongType notes that a value is not what its key wants.
func (s *section) wrongType(key, want string) {
	s.fault(key, "is %s: write %s", tomlfile.TypeName(s.values[key]), want)
	s.wrong = append(s.wrong, key)
}

// text reads a string; a missing one is the standard.
func (s *section) text(key, standard string) string {
	v, there := s.values[key]
	if !there {
		return standard
	}
	text, ok := v.(string)
	if !ok {
		s.wrongType(key, "a text in quotes")
		return standard
	}
	return text
}

// texts reads an array of strings; a missing one is the standard.
func (s *section) texts(key string, standard ...string) []string {
	v, there := s.values[key]
	if !there {
		return standard
	}
	array, ok := v.([]any)
	var texts []string
	for _, element := range array {
		text, isText := element.(string)
		ok = ok && isText
		texts = append(texts, text)
	}
	if !ok {
		s.wrongType(key, fmt.Sprintf("a list of texts in quotes, as in %s = %s", key, quotedList(standard)))
		return standard
	}
	return texts
}

func quotedList(texts []string) string {
	quoted := make([]string, len(texts))
	for i, t := range texts {
		quoted[i] = fmt.Sprintf("%q", t)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

// number reads a whole number from least to most; a missing one is the standard.
func (s *section) number(key string, standard, least, most int) int {
	v, there := s.values[key]
	if !there {
		return standard
	}
	n, ok := v.(int64)
	if !ok {
		s.wrongType(key, fmt.Sprintf("a whole number without quotes, as in %s = %d", key, standard))
		return standard
	}
	if n < int64(least) || n > int64(most) {
		s.fault(key, "is %d: write a number from %d to %d", n, least, most)
		return standard
	}
	return int(n)
}

// yes reads true or false; a missing one is false.
func (s *section) yes(key string) bool {
	v, there := s.values[key]
	yes, ok := v.(bool)
	if there && !ok {
		s.wrongType(key, "true or false, without quotes")
	}
	return yes
}

// textsByName reads a table of texts under names of the operator's own; a missing one is empty.
func (s *section) textsByName(key string) map[string]string {
	v, there := s.values[key]
	if !there {
		return nil
	}
	table, ok := v.(map[string]any)
	texts := make(map[string]string, len(table))
	for name, value := range table {
		text, isText := value.(string)
		ok = ok && isText
		texts[name] = text
	}
	if !ok {
		s.wrongType(key, fmt.Sprintf("a table of texts in quotes, as in %s = { \"name\" = \"value\" }", key))
		return nil
	}
	return texts
}

// table reads a table. A missing one is as good as an empty one: every key has its standard.
func (s *section) table(name string) *section {
	t := &section{faults: s.faults, name: name, at: s.at.Key(name)}
	if s.name != "" {
		t.name = s.name + "." + name
	}
	if v, there := s.values[name]; there {
		values, ok := v.(map[string]any)
		if !ok {
			s.wrongType(name, fmt.Sprintf("a table, [%s] on a line of its own and its keys below", t.name))
		}
		t.values = values
	}
	t.only(sectionKeys[t.name])
	return t
}

// tables reads an array of tables, be it written as [[name]] or as an array of inline tables.
func (s *section) tables(name string) []*section {
	v, there := s.values[name]
	if !there {
		return nil
	}
	var all []map[string]any
	switch v := v.(type) {
	case []map[string]any:
		all = v
	case []any:
		for _, element := range v {
			if values, ok := element.(map[string]any); ok {
				all = append(all, values)
			}
		}
		if len(all) < len(v) {
			s.wrongType(name, fmt.Sprintf("[[%s]] on a line of its own, and its keys below", name))
			return nil
		}
	default:
		s.wrongType(name, fmt.Sprintf("[[%s]], with two brackets, before each one", name))
		return nil
	}
	var tables []*section
	for i, values := range all {
		t := &section{faults: s.faults, name: name, at: s.at.Key(name).Item(i), values: values}
		t.only(sectionKeys[name])
		tables = append(tables, t)
	}
	return tables
}

// only notes every key that is not among the known ones.
func (s *section) only(known []string) {
	for key := range s.values {
		switch home := homes(key); {
		case slices.Contains(known, key):
		case len(home) > 0:
			s.fault(key, "does not belong here: write it %s", strings.Join(home, " or "))
		default:
			s.fault(key, "is not known here: %s", tomlfile.DidYouMean(key, known))
		}
	}
}

// homes are the places of the file where a key is known. In TOML whatever follows [screen] belongs to it, so keys end up
// in the wrong section easily.
func homes(key string) []string {
	var all []string
	for name, keys := range sectionKeys {
		switch {
		case !slices.Contains(keys, key):
		case name == "":
			all = append(all, "at the top of the file, before the first [section]")
		case name == "attach" || name == "feed":
			all = append(all, "under a [["+name+"]]")
		default:
			all = append(all, "under ["+name+"]")
		}
	}
	slices.Sort(all)
	return all
}
