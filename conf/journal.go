package conf

import (
	"strconv"
	"strings"
	"time"
)

// Journal bounds the journal.
type Journal struct {
	Keep    time.Duration
	MaxSize int64 // bytes
	Private bool  // callers are kept as tokens, and names left out
}

// readJournal reads [journal].
func readJournal(s *section) Journal {
	j := Journal{Private: s.yes("private")}
	keep, size := s.text("keep", "90d"), s.text("max_size", "2GiB")
	var err error
	if j.Keep, err = parseSpan(keep); err != nil || j.Keep < time.Hour {
		s.fault("keep", "%q is not a time of at least 1h: write \"90d\"", keep)
	}
	if j.MaxSize, err = parseSize(size); err != nil {
		s.fault("max_size", "%q is not a size of at least 1MiB: write \"2GiB\" or \"500MiB\"", size)
	}
	return j
}

// parseSpan reads a duration that may be in days.
func parseSpan(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, e := strconv.Atoi(days)
		d, err = time.Duration(n)*24*time.Hour, e
		if n > 36500 {
			err = strconv.ErrRange
		}
	}
	return d, err
}

func parseSize(s string) (int64, error) {
	for unit, factor := range map[string]int64{"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40} {
		if number, ok := strings.CutSuffix(s, unit); ok {
			n, err := strconv.ParseInt(strings.TrimSpace(number), 10, 32)
			if err == nil && n*factor >= 1<<20 {
				return n * factor, nil
			}
		}
	}
	return 0, strconv.ErrSyntax
}
