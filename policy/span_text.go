package policy

import (
	"fmt"
	"time"
)

// SpanText writes a time span the way ParseSpan reads it: 3h, 1h30m, 7d.
func SpanText(d time.Duration) string { return spanText(d) }

// String is a term as the journal has it: decoys +6.
func (t *Term) String() string { return fmt.Sprintf("%s %s", t.Name, signedText(t.Value)) }
