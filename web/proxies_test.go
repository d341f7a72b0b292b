package web

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"
)

// TestWhereFrom: of what proxies say counts what one of ours has written, and nothing that anybody else can.
func TestWhereFrom(t *testing.T) {
	p := proxies{netip.MustParsePrefix("127.0.0.1/32"), netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8:f::/48")}
	const proxy = "10.0.0.1"
	far := strings.Repeat("10.0.0.2, ", 200)
	for name, c := range map[string]struct {
		forwardedFor, forwarded []string
		want                    string
		unread                  bool
	}{
		"a browser":                {[]string{"198.51.100.7"}, nil, "198.51.100.7", false},
		"what it wrote itself":     {[]string{"192.0.2.1, 127.0.0.1, 198.51.100.7"}, nil, "198.51.100.7", false},
		"an earlier line of it":    {[]string{"192.0.2.1", "198.51.100.7"}, nil, "198.51.100.7", false},
		"by two proxies":           {[]string{"192.0.2.1, 198.51.100.7, 10.9.9.9"}, nil, "198.51.100.7", false},
		"garbage before":           {[]string{"<script>,,;, 198.51.100.7"}, nil, "198.51.100.7", false},
		"garbage of a proxy":       {[]string{"198.51.100.7, unknown, 10.9.9.9"}, nil, "10.9.9.9", true},
		"nothing":                  {nil, nil, proxy, true},
		"empty":                    {[]string{""}, nil, proxy, true},
		"a port":                   {[]string{"198.51.100.7:4711"}, nil, "198.51.100.7", false},
		"of the sixth version":     {[]string{"2001:db8::7"}, nil, "2001:db8::7", false},
		"with a port":              {[]string{"[2001:db8::7]:4711"}, nil, "2001:db8::7", false},
		"with brackets":            {[]string{"[2001:db8::7]"}, nil, "2001:db8::7", false},
		"with a zone":              {[]string{"fe80::7%eth0"}, nil, "fe80::7", false},
		"with a long zone":         {[]string{"fe80::7%" + strings.Repeat("x", 5000)}, nil, proxy, true},
		"the fourth in the sixth":  {[]string{"::ffff:198.51.100.7"}, nil, "198.51.100.7", false},
		"nowhere":                  {[]string{"0.0.0.0"}, nil, proxy, true},
		"the proxy's own loopback": {[]string{"127.0.0.1"}, nil, proxy, true},
		"all are ours":             {[]string{"10.0.0.7"}, nil, "10.0.0.7", false},
		"hundreds that are ours":   {[]string{"192.0.2.1, " + far + "10.0.0.3"}, nil, "10.0.0.2", true},
		"thousands of others":      {[]string{strings.Repeat("192.0.2.1,", 10_000) + "198.51.100.7"}, nil, "198.51.100.7", false},

		"the other header":           {nil, []string{`for=192.0.2.1, For="[2001:db8::7]:4711";proto=https;by=10.0.0.1`}, "2001:db8::7", false},
		"of two elements the last":   {nil, []string{"for=192.0.2.1", "host=x;for=198.51.100.7"}, "198.51.100.7", false},
		"hidden":                     {nil, []string{"for=_secret"}, proxy, true},
		"no for":                     {nil, []string{"proto=https"}, proxy, true},
		"a host with a comma":        {nil, []string{`for=198.51.100.7;host="x,for=192.0.2.1;a="`}, proxy, true},
		"and quotes":                 {nil, []string{`for=198.51.100.7;host="x,for=192.0.2.1;a=\"\""`}, proxy, true},
		"both say the same":          {[]string{"198.51.100.7"}, []string{"for=198.51.100.7"}, "198.51.100.7", false},
		"one is the browser's":       {[]string{"198.51.100.7"}, []string{"for=192.0.2.1"}, proxy, true},
		"one is the browser's, that": {[]string{"192.0.2.1"}, []string{"for=198.51.100.7"}, proxy, true},
	} {
		h := http.Header{"X-Forwarded-For": c.forwardedFor, "Forwarded": c.forwarded}
		got, said := p.client(netip.MustParseAddr(proxy), h)
		if got.String() != c.want || said == c.unread {
			t.Errorf("%s: got %s (said %v), want %s (%v)", name, got, said, c.want, !c.unread)
		}
	}
	for address, want := range map[string]bool{"10.1.1.1": true, "127.0.0.1": true, "192.0.2.1": false, "2001:db8:f:1::/64": true, "2001:db8:e:1::/64": false, "rubbish": false} {
		if got := p.haveNetwork(address); got != want {
			t.Errorf("%s is a proxy: %v", address, got)
		}
	}
}
