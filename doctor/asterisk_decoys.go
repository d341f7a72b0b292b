package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"ringfence/dialplan"
)

// maxDecoys is how many decoy numbers are asked for, one command each for each context.
const maxDecoys = 20

// decoys reports whether calls to numbers that nobody has come as far as the subroutine: Asterisk itself refuses a call for which the context of
// its trunk has no extension, and then nobody counts it.
func (x *asteriskExamination) decoys(ctx context.Context, outside []endpoint) {
	if x.policy == nil {
		return
	}
	numbers := x.policy.DecoyNumbers()
	numbers = numbers[:min(len(numbers), maxDecoys)]
	var asked []string
	missing := false
	for _, e := range outside {
		if slices.Contains(asked, e.context) || !plainEndpoint.MatchString(e.context) || x.live.Context(e.context) == nil {
			continue
		}
		asked = append(asked, e.context)
		var none []string
		for _, number := range numbers {
			text, err := x.cli(ctx, "dialplan show "+number+"@"+e.context)
			if err == nil && strings.Contains(text, "There is no existence of") {
				none = append(none, number)
			}
		}
		if len(none) > 0 {
			missing = true
			x.warn(fmt.Sprintf("the context %s has no extension for %s, which the policy has as decoys: Asterisk refuses such calls itself, and nobody counts them", e.context, dialplan.Some(none)),
				"write exten => _[+0-9]!,1,Gosub(ringfence,s,1) into it, or the numbers as your trunk delivers them into the policy; then "+reloadAsterisk)
		}
	}
	if len(numbers) > 0 && len(asked) > 0 && !missing {
		x.ok("calls to the policy's decoys come to the subroutine's contexts (%s)", strings.Join(asked, ", "))
	}
}
