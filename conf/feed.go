package conf

import (
	"cmp"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Feed is a list kept by others, which the daemon fetches.
type Feed struct {
	List      string
	Source    string        // http:// or https://, or the path of a file
	Format    string        // text, csv, vcard, fritzbox, ftc or phoneblock; "": what it looks like
	Every     time.Duration // how often it is looked at, at a random offset; at least a minute
	MaxChange float64       // share by which the number of entries may change before somebody has to look; 0.5 is a half
}

// readFeeds reads the [[feed]] tables; folder is what the path of a source counts from.
func readFeeds(tables []*section, folder string) []Feed {
	var all []Feed
	lists := map[string]bool{}
	for _, s := range tables {
		f := Feed{List: s.text("list", ""), Format: s.text("format", ""), Source: readSource(s, folder)}
		if f.List == "" || strings.Trim(f.List, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_.") != "" || len(f.List) > 64 {
			s.fault("list", "%q is no name of a list: write letters, digits, - _ and ., as in \"ftc\"", f.List)
		}
		if lists[f.List] {
			s.fault("list", "%q is filled by two feeds: give each a list of its own, and name both in the rule", f.List)
		}
		lists[f.List] = !s.told("list")
		if !slices.Contains([]string{"", "text", "csv", "vcard", "fritzbox", "ftc", "phoneblock"}, f.Format) {
			s.fault("format", "%q is no format: write \"text\", \"csv\", \"vcard\", \"fritzbox\", \"ftc\" or \"phoneblock\", or leave it out", f.Format)
		}
		every := cmp.Or(s.text("every", ""), "24h")
		var err error
		if f.Every, err = parseSpan(every); err != nil || f.Every < time.Minute {
			s.fault("every", "%q is not a time of at least 1m: write \"24h\"", every)
		}
		share := cmp.Or(s.text("max_change", ""), "50%")
		if f.MaxChange, err = parseShare(share); err != nil || f.MaxChange == 0 {
			s.fault("max_change", "%q is no share: write \"50%%\"", share)
		}
		all = append(all, f)
	}
	return all
}

// parseShare reads a share in percent, from 0% to 10000%, as a part of 1.
func parseShare(s string) (float64, error) {
	percent, ok := strings.CutSuffix(s, "%")
	n, err := strconv.ParseFloat(percent, 64)
	if !ok || err != nil || !(n >= 0 && n <= 10000) { // NaN is neither
		return 0, strconv.ErrSyntax
	}
	return n / 100, nil
}

// readSource reads where a feed is fetched from.
func readSource(s *section, folder string) string {
	source := s.text("source", "")
	switch u, err := url.Parse(source); {
	case source == "":
		s.fault("source", "is missing: write a web address or the path of a file")
	case err == nil && (u.Scheme == "https" || u.Scheme == "http"):
		if u.Host == "" {
			s.fault("source", "%q is no web address: write \"https://example.com/list.csv\"", source)
		}
	case strings.Contains(source, "://"):
		s.fault("source", "%q is neither http:// nor https:// nor the path of a file", source)
	default:
		return beside(folder, source)
	}
	return source
}
