package tomlfile

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// DidYouMean is a sentence that proposes the nearest of the words, or names them when none is near.
func DidYouMean(got string, words []string) string {
	if near := Nearest(got, words); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	const few = 32
	if len(words) > few {
		return "write one of " + strings.Join(words[:few], ", ") + " …"
	}
	if len(words) == 1 {
		return "write " + words[0]
	}
	return "write one of " + strings.Join(words, ", ")
}

// Nearest is the word that takes the fewest slips of the keyboard to turn into got, "" when none is near.
func Nearest(got string, words []string) string {
	if len(got) > 64 { // no word of such a file is that long; keeps a hostile key from costing time
		return ""
	}
	best, bestSlips := "", 0
	for _, w := range words {
		slips := slips(strings.ToLower(got), strings.ToLower(w))
		if slips > max(1, len(w)/3) {
			continue
		}
		if best == "" || slips < bestSlips {
			best, bestSlips = w, slips
		}
	}
	return best
}

// slips counts the letters left out, put in, mistaken or swapped with a neighbour between a and b.
func slips(a, b string) int {
	x, y := []rune(a), []rune(b)
	before, last := make([]int, len(y)+1), make([]int, len(y)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(x); i++ {
		row := make([]int, len(y)+1)
		row[0] = i
		for j := 1; j <= len(y); j++ {
			cost := 1
			if x[i-1] == y[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return last[len(y)]
}

// BareKey is a key as TOML wants it written: in quotes if it has more than letters, digits, - and _.
func BareKey(name string) string {
	for _, r := range name {
		if !strings.ContainsRune("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", r) {
			return strconv.Quote(name)
		}
	}
	if name == "" {
		return `""`
	}
	return name
}

// TypeName is what a person calls a value of the file.
func TypeName(v any) string {
	switch v.(type) {
	case string:
		return "a text in quotes"
	case int64:
		return "a number"
	case float64:
		return "a number with a fraction"
	case bool:
		return "true or false"
	case time.Time:
		return "a date or time"
	case map[string]any:
		return "a table"
	case []map[string]any:
		return "an array of tables"
	}
	return "an array"
}
