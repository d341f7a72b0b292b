package policy

import "time"

// SpanText writes a time span the way ParseSpan reads it: 3h, 1h30m, 7d.
func SpanText(d time.Duration) string { return spanText(d) }
