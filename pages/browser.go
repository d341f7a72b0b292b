package pages

import (
	"regexp"
	"strings"
)

// What browsers call themselves: each says that it is all those before it, so that the first one found is meant.
var (
	browserNames = []struct {
		name string
		at   *regexp.Regexp
	}{
		{"Edge", regexp.MustCompile(`\bEdgA?(?:iOS)?/(\d+)`)},
		{"Opera", regexp.MustCompile(`\bOPR/(\d+)`)},
		{"WeChat", regexp.MustCompile(`\bMicroMessenger/(\d+)`)},
		{"Firefox", regexp.MustCompile(`\b(?:Firefox|FxiOS)/(\d+)`)},
		{"Chrome", regexp.MustCompile(`\b(?:Headless)?(?:Chrome|CriOS)/(\d+)`)},
		{"Safari", regexp.MustCompile(`\bVersion/(\d+)[^ ]* (?:Mobile/[^ ]+ )?Safari/`)},
	}
	systemNames = []struct{ name, has string }{
		{"Android", "Android"}, {"iPhone", "iPhone"}, {"iPad", "iPad"}, {"Windows", "Windows NT"}, {"macOS", "Mac OS X"}, {"ChromeOS", "CrOS"}, {"Linux", "Linux"},
	}
)

// browserOf names a browser as people do, "Firefox 128, Windows"; "" where it cannot be told.
func browserOf(agent string) string {
	for _, b := range browserNames {
		m := b.at.FindStringSubmatch(agent)
		if m == nil {
			continue
		}
		name := b.name + " " + m[1]
		for _, s := range systemNames {
			if strings.Contains(agent, s.has) {
				return name + ", " + s.name
			}
		}
		return name
	}
	return ""
}
