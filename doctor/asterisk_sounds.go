package doctor

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"ringfence/conf"
)

// sounds finds out whether Asterisk can play the announcements to callers.
func (x *asteriskExamination) sounds(ctx context.Context) {
	x.announcements(x.user, func(s conf.Sound) (what, todo string) {
		if w, err := s.Wave(); err == nil && (w.Rate != 8000 || w.Channels != 1) {
			return fmt.Sprintf("Asterisk cannot play %s: it has %d Hz and %d channels", s.File, w.Rate, w.Channels), "record it with 8000 Hz and one channel: `sox IN.wav -r 8000 -c 1 -b 16 OUT.wav`"
		}
		return "", ""
	})
	if x.loaded == nil {
		return
	}
	formats, err := x.cli(ctx, "core show file formats")
	if err == nil && !regexp.MustCompile(`(?m)^slin\s+wav\s+wav\s*$`).MatchString(formats) {
		x.fail("Asterisk does not play WAV files, as the announcements are", "asterisk -rx \"module load format_wav.so\"")
	}
	x.translations(ctx)
}

var translation = regexp.MustCompile(`(?m)To ([a-z0-9_]+):[0-9]+\s*: (.*?)\s*$`)

// translations finds out whether the announcements can be heard on the trunks' codecs.
func (x *asteriskExamination) translations(ctx context.Context) {
	text, err := x.cli(ctx, "core show translation paths slin")
	if err != nil || len(x.codecs) == 0 {
		return
	}
	paths := map[string]bool{"slin": true}
	for _, m := range translation.FindAllStringSubmatch(text, -1) {
		paths[m[1]] = paths[m[1]] || !strings.Contains(m[2], "No Translation Path")
	}
	var without []string
	for _, c := range x.codecs {
		if ok, known := paths[c]; known && !ok {
			without = append(without, c)
		}
	}
	switch {
	case len(without) == 0:
		x.ok("announcements can be heard on all codecs of the trunks (%s)", strings.Join(x.codecs, " "))
	case len(without) == len(x.codecs):
		x.fail("announcements cannot be heard: Asterisk cannot make "+strings.Join(without, ", ")+" of them, and the trunks allow nothing else", "load the codec's module (codec_NAME.so), or allow another codec")
	default:
		x.warn("announcements cannot be heard on calls with "+strings.Join(without, ", ")+": Asterisk cannot make that of them", "load the codec's module (codec_NAME.so), or take it out of the trunk's allow")
	}
}
