package policy

import "sort"

// tableKeys are the keys of each table of a policy file. NAME stands for a name of the operator's.
var tableKeys = map[string][]string{
	"":            {"country", "timezone", "default", "mode", "holidays", "workdays", "numbers", "lines", "ranges", "trunks", "detector", "score", "rule", "test"},
	"numbers":     {"internal", "area", "assigned", "never_screen", "never_screen_trunks"},
	"lines.NAME":  {"numbers", "timezone", "decoy"},
	"trunks.NAME": {"match", "identity", "media", "internal", "max_held"},
	"detector":    detectorKeys,
	"score":       scoreNames(),
	"rule":        everyRuleKey(),
	"rule.when":   whenKeys(),
	"test":        {"caller", "callee", "trunk", "name", "at", "list_has", "known", "tripped", "profile", "again", "identity", "diverted", "expect", "rule"},
}

// Keys are all keys that a policy file may have, with the tables they stand in: country, numbers.internal,
// lines.NAME.numbers, rule.when.caller. Documentation and schemas are held against it.
func Keys() []string {
	var all []string
	for table, keys := range tableKeys {
		for _, key := range keys {
			if table != "" {
				key = table + "." + key
			}
			all = append(all, key)
		}
	}
	sort.Strings(all)
	return all
}

// otherHome says where to write a key that other tables know: in TOML whatever follows [numbers] belongs to it, so
// keys end up in the wrong table easily. "" is nowhere.
func otherHome(key string) string {
	var homes []string
	for table, keys := range tableKeys {
		if !contains(keys, key) {
			continue
		}
		switch table {
		case "":
			homes = append(homes, "at the top of the file, before the first [table]")
		case "rule", "test", "detector":
			homes = append(homes, "under a [["+table+"]]")
		case "rule.when":
			homes = append(homes, "inside when = { … } of a [[rule]]")
		default:
			homes = append(homes, "under ["+table+"]")
		}
	}
	if len(homes) == 0 {
		return ""
	}
	sort.Strings(homes)
	return "write it " + orList(homes)
}

// ruleKeys are the keys that every rule may have.
var ruleKeys = []string{"name", "when", "action", "mode"}

// actionKeys are the keys that each action takes besides.
var actionKeys = [...][]string{
	Allow:     {"whisper"},
	Tag:       {"label", "whisper"},
	Warn:      {"announcement", "then", "media", "sip", "overflow", "whisper"},
	Challenge: {"digits", "tries", "remember", "grace", "otherwise", "media", "sip", "overflow"},
	Divert:    {"to"},
	Reject:    {"sip", "announcement"},
}

// everyRuleKey lists the keys that some rule may have.
func everyRuleKey() []string {
	keys := append([]string(nil), ruleKeys...)
	for _, more := range actionKeys {
		for _, key := range more {
			if !contains(keys, key) {
				keys = append(keys, key)
			}
		}
	}
	return keys
}
