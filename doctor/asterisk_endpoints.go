package doctor

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"ringfence/dialplan"
	"ringfence/policy"
)

// endpoint is one of res_pjsip's, as Asterisk has it.
type endpoint struct {
	name    string
	context string
	outside bool // it need not show a password, or Asterisk shows it one
	shows   bool // Asterisk shows it one
	renames bool // its party can say later in a call to be another, and the phone that answered is told
	codecs  []string
	address []netip.Addr
}

// maxEndpoints is how many are looked at, one command each.
const maxEndpoints = 500

var (
	endpointLine  = regexp.MustCompile(`^ Endpoint:\s+([^\s/]+)`)
	matchLine     = regexp.MustCompile(`^\s+Match:\s+([0-9a-fA-F.:]+)`)
	plainEndpoint = regexp.MustCompile(`^[A-Za-z0-9_.@+-]{1,79}$`)
)

// pjsip asks for the endpoints of res_pjsip.
func (x *asteriskExamination) pjsip(ctx context.Context) (out []endpoint, err error) {
	text, err := x.cli(ctx, "pjsip show endpoints")
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(text) {
		if m := endpointLine.FindStringSubmatch(line); m != nil && plainEndpoint.MatchString(m[1]) {
			out = append(out, endpoint{name: m[1], outside: true})
		}
		if len(out) == 0 {
			continue
		}
		last := &out[len(out)-1]
		switch auth, _, _ := strings.Cut(strings.TrimSpace(line), ":"); auth {
		case "InAuth":
			last.outside = last.shows
		case "OutAuth":
			last.outside, last.shows = true, true
		}
		if m := matchLine.FindStringSubmatch(line); m != nil {
			if a, err := netip.ParseAddr(m[1]); err == nil {
				last.address = append(last.address, a)
			}
		}
	}
	asked := 0
	for i := range out {
		e := &out[i]
		if !e.outside {
			continue
		}
		if asked++; asked > maxEndpoints {
			x.warn(fmt.Sprintf("there are more than %d endpoints without a password: the others were not looked at", maxEndpoints), "see to it that phones have one")
			return out[:i], nil
		}
		text, err := x.cli(ctx, "pjsip show endpoint "+e.name)
		if err != nil {
			return nil, err
		}
		e.context = valueOf(text, "context")
		if e.context == "" {
			e.context = "default"
		}
		e.renames = slices.Contains([]string{"yes", "true"}, valueOf(text, "trust_connected_line"))
		e.codecs = strings.FieldsFunc(valueOf(text, "allow"), func(c rune) bool { return strings.ContainsRune("(|) ,", c) })
	}
	return out, nil
}

// endpoints looks at where calls come in: whether they are screened, and whether the policy knows the trunk.
func (x *asteriskExamination) endpoints(ctx context.Context) {
	names := map[string]bool{}
	var outside []endpoint
	if x.loaded["chan_pjsip"] {
		all, err := x.pjsip(ctx)
		if err != nil {
			x.fail("Asterisk does not show its endpoints", err.Error())
			return
		}
		for _, e := range all {
			if names[e.name] = true; e.outside {
				outside = append(outside, e)
			}
		}
	}
	if x.loaded["chan_sip"] && x.folder != "" {
		all, _ := dialplan.Endpoints(x.folder)
		for _, e := range all {
			if !strings.HasPrefix(e.Where, "sip") {
				continue
			}
			if names[e.Name] = true; e.Outside {
				outside = append(outside, endpoint{name: e.Name, context: e.Context})
			}
		}
	}
	if len(outside) == 0 {
		x.warn("Asterisk has no endpoint that calls come in by without a password", "if your trunk is none of chan_pjsip's or chan_sip's, see to it that its context begins with Gosub(ringfence,s,1)")
	}
	if x.live != nil {
		x.screened(outside)
		x.decoys(ctx, outside)
	}
	x.trunks(outside, names)
	x.renaming(outside)
}

// renaming names the trunks whose callers can change the number that is shown of them after they were screened. Asterisk believes
// a later P-Asserted-Identity as it comes, and the subroutine is not asked then; Dial's option I counts until the answer.
func (x *asteriskExamination) renaming(outside []endpoint) {
	var names []string
	for _, e := range outside {
		if e.renames {
			names = append(names, e.name)
		}
	}
	if len(names) > 0 {
		x.warn(fmt.Sprintf("callers of %s can change the number that is shown of them after they were screened (UPDATE with P-Asserted-Identity)", dialplan.Some(names)),
			"write trust_connected_line=no into the endpoint (on FreePBX into pjsip.endpoint_custom_post.conf, under ["+names[0]+"](+)), and asterisk -rx \"pjsip reload\"")
	}
}

// screened reports whether calls of the trunks come to the subroutine.
func (x *asteriskExamination) screened(outside []endpoint) {
	by := map[string][]string{}
	var contexts []string
	for _, e := range outside {
		if by[e.context] == nil {
			contexts = append(contexts, e.context)
		}
		by[e.context] = append(by[e.context], e.name)
		for _, c := range e.codecs {
			if !slices.Contains(x.codecs, c) {
				x.codecs = append(x.codecs, c)
			}
		}
	}
	freePBX := x.folder != "" && dialplan.IsFreePBX(x.folder)
	for _, c := range contexts {
		if x.live.Context(c) == nil {
			x.warn(fmt.Sprintf("calls of %s come to the context %s, which Asterisk does not have: they end", dialplan.Some(by[c]), c), "write the context, or give the endpoint another one")
			continue
		}
		notes := dialplan.GapNotes(x.live, c, "calls of "+dialplan.Some(by[c]), freePBX)
		for _, n := range notes {
			before, after, _ := strings.Cut(n, ": write ")
			if after != "" {
				x.fail(before, "write "+after+"; then asterisk -rx \"dialplan reload\"")
				continue
			}
			x.fail(what(n))
		}
		if len(notes) == 0 {
			x.ok("calls of %s are screened: the context %s hands them to the subroutine", dialplan.Some(by[c]), c)
		}
	}
}

// trunks holds the policy's trunks against the endpoints.
func (x *asteriskExamination) trunks(outside []endpoint, names map[string]bool) {
	if x.policy == nil {
		return
	}
	known := x.policy.TrunkEndpoints()
	for _, e := range outside {
		found := x.policy.Trunk(policy.TrunkFacts{Endpoint: e.name}).Known
		for _, a := range e.address {
			found = found || x.policy.Trunk(policy.TrunkFacts{Address: a}).Known
		}
		if !found {
			x.warn(fmt.Sprintf("the endpoint %s is no trunk of the policy, so only From says who calls there", e.name), fmt.Sprintf("write \"endpoint:%s\" into the match of a [trunks.NAME] in %s", e.name, x.settings.Policy))
		}
	}
	missing := 0
	for _, name := range slices.Sorted(maps.Keys(known)) {
		if !names[name] {
			missing++
			x.warn(fmt.Sprintf("the policy's trunk %s is matched by endpoint:%s, and Asterisk has no endpoint of that name", known[name], name), "asterisk -rx \"pjsip show endpoints\" lists them")
		}
	}
	if missing == 0 && len(known) > 0 {
		x.ok("the %d endpoints that the policy names are there", len(known))
	}
}
