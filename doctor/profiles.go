package doctor

import (
	"context"
	"encoding/xml"
	"fmt"
	"regexp"
	"runtime"
	"strconv"
	"strings"
)

// A SIP profile, as far as it says who may place calls by it.
type profile struct {
	Name   string `xml:"name,attr"`
	Params []struct {
		Name  string `xml:"name,attr"`
		Value string `xml:"value,attr"`
	} `xml:"settings>param"`
}

// param is the last value of a parameter, "" without one.
func (p *profile) param(name string) (value string) {
	for _, x := range p.Params {
		if x.Name == name {
			value = x.Value
		}
	}
	return value
}

// open: anybody may place calls by the profile, as far as the switch knows; a firewall may.
func (p *profile) open() bool {
	on := func(v string) bool { return strings.EqualFold(v, "true") || v == "yes" || v == "1" || v == "on" }
	return p.param("apply-inbound-acl") == "" && !on(p.param("auth-calls"))
}

// tcp: the profile takes SIP over TCP, as it comes.
func (p *profile) tcp() bool {
	bind := strings.ToLower(p.param("bind-params"))
	return !strings.Contains(bind, "transport=") || strings.Contains(bind, "tcp")
}

// profiles looks at the SIP profiles whose calls come into the context that is screened.
func (x *examination) profiles(ctx context.Context) {
	text, err := x.sw.API(ctx, "xml_locate configuration configuration name sofia.conf")
	if err != nil {
		return
	}
	var c struct {
		Profiles []profile `xml:"profiles>profile"`
	}
	dec := xml.NewDecoder(strings.NewReader(text))
	dec.Strict = false
	if dec.Decode(&c) != nil {
		return
	}
	for i := range c.Profiles {
		p := &c.Profiles[i]
		if p.param("context") != x.o.Context {
			continue
		}
		if p.tcp() { // a list of carriers helps nothing: the switch reads all of such an INVITE before it says 403
			x.warn(fmt.Sprintf("the SIP profile %s takes SIP over TCP: one INVITE with 25,000 headers holds the switch up for seconds, longer than any deadline", p.Name),
				`write <param name="bind-params" value="transport=udp"/> into it, or let only your carriers and phones reach the port (firewall)`)
		}
		if !p.open() {
			continue
		}
		x.warn(fmt.Sprintf("the SIP profile %s takes calls from anybody: who has a call that was answered can take it over with another one (Replaces), which the switch answers without asking the dialplan", p.Name),
			`name your carriers in a list of acl.conf.xml, and that list in <param name="apply-inbound-acl" …/> of the profile`)
	}
}

// perCore is how many calls a second one core of a switch screens before it gets too slow to hear the verdicts in time:
// two cores refuse 100 a second, and connect 60 to 90.
const perCore = 40

var outOfMax = regexp.MustCompile(`per Sec out of max (\d+)`)

// pace looks at how many calls a second the switch takes. Beyond what the machine carries they pass by the deadline.
func (x *examination) pace(status string) {
	m := outOfMax.FindStringSubmatch(status)
	if m == nil {
		return
	}
	most, err := strconv.Atoi(m[1])
	if cores := runtime.NumCPU(); err == nil && most > perCore*cores {
		x.warn(fmt.Sprintf("the switch takes %d calls a second, more than %d cores carry: those beyond pass unscreened, by the deadline", most, cores),
			fmt.Sprintf("write <param name=\"sessions-per-second\" value=\"%d\"/> into switch.conf.xml, and fs_cli -x \"fsctl sps %[1]d\": what is beyond gets 503, and a carrier tries again", 30*cores))
	}
}
