package traces

import (
	"fmt"
	"regexp"
	"strings"
)

// Enforced is the text of a policy that is carried out, with its detectors, but for those that are named: they stay on trial, or are put
// there. Where it finds nothing to change it is an error, so that no table shows a policy on trial.
func Enforced(text string, onTrial ...string) (string, error) {
	blocks := tables(text)
	mode := regexp.MustCompile(`(?m)^mode\s*=\s*"observe".*\n`)
	if !mode.MatchString(blocks[0]) {
		return "", fmt.Errorf("the policy has no mode = %q to take out", "observe")
	}
	blocks[0] = mode.ReplaceAllString(blocks[0], "")
	put := 0
	for i, block := range blocks {
		if !strings.HasPrefix(block, "[detector]]") {
			continue
		}
		blocks[i] = mode.ReplaceAllString(block, "")
		for _, name := range onTrial {
			if strings.Contains(block, fmt.Sprintf("= %q", name)) {
				blocks[i] = strings.Replace(blocks[i], "\n", "\nmode = \"observe\"\n", 1)
				put++
			}
		}
	}
	if put != len(onTrial) {
		return "", fmt.Errorf("the policy has not all of the detectors %q", onTrial)
	}
	return strings.Join(blocks, "["), nil
}

// Scaled is the text of a policy with the trips of a detector set to n, at all its numbers of digits. per_line follows, for it must be less.
func Scaled(text, detector string, n int) (string, error) {
	blocks := tables(text)
	for i, block := range blocks {
		if !strings.HasPrefix(block, "[detector]]") || !strings.Contains(block, fmt.Sprintf("= %q", detector)) {
			continue
		}
		block = regexp.MustCompile(`(\b\d+ = )\d+`).ReplaceAllString(block, fmt.Sprintf("${1}%d", n))
		block = regexp.MustCompile(`(?m)^(trip\s*= )\d+`).ReplaceAllString(block, fmt.Sprintf("${1}%d", n))
		block = regexp.MustCompile(`(?m)^per_line.*\n`).ReplaceAllStringFunc(block, func(line string) string {
			if n > 3 {
				return line
			}
			return fmt.Sprintf("per_line = %d\n", n-1)
		})
		blocks[i] = block
		return strings.Join(blocks, "["), nil
	}
	return "", fmt.Errorf("the policy has no detector %q", detector)
}

// tables cuts a policy's text before the tables of the file; what they begin with is cut to its second bracket.
func tables(text string) []string { return regexp.MustCompile(`(?m)^\[`).Split(text, -1) }
