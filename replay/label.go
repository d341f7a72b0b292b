package replay

import (
	"slices"
	"strings"
)

// label says of a call whether it was wanted.
type label struct {
	given    bool   // the file says so
	unwanted bool   //
	campaign string // which one it belongs to, "" if the file does not say
}

// Words of a label that name no campaign.
var (
	wantedWords   = []string{"", "0", "f", "false", "n", "no", "good", "ham", "honest", "legit", "legitimate", "normal", "ok", "wanted", "否"}
	unwantedWords = []string{"1", "t", "true", "y", "yes", "bad", "fraud", "nuisance", "robocall", "scam", "spam", "unwanted", "是"}
)

// labelOf reads whether a call was wanted. What is no word for either is the name of a campaign, whose calls are unwanted.
func labelOf(text string) label {
	text = strings.TrimSpace(text)
	word := strings.ToLower(text)
	switch {
	case isNothing(text), slices.Contains(wantedWords, word):
		return label{given: true}
	case slices.Contains(unwantedWords, word):
		return label{given: true, unwanted: true}
	}
	return label{given: true, unwanted: true, campaign: text[:min(len(text), maxText)]}
}
