package fetch

import (
	"net/netip"
	"net/url"
	"testing"
)

func TestSpecial(t *testing.T) {
	for text, want := range map[string]bool{
		"127.0.0.1": true, "127.9.9.9": true, "::1": true, "0.0.0.0": true, "0.1.2.3": true, "::": true, "::ffff:127.0.0.1": true, "::7f00:1": true,
		"169.254.169.254": true, "169.254.0.1": true, "fe80::1": true, "fe80::1%eth0": true, "224.0.0.1": true, "ff02::1": true, "255.255.255.255": true,
		"fd00:ec2::254": true, "100.100.100.200": true, "168.63.129.16": true, "192.0.0.192": true, "64:ff9b::a9fe:a9fe": true, "2002:7f00:1::": true,
		"10.0.0.1": false, "192.168.1.1": false, "172.16.0.1": false, "8.8.8.8": false, "100.64.0.1": false, "2001:db8::1": false, "fd12::1": false,
		"64:ff9b::808:808": false, "128.0.0.1": false, "::ffff:8.8.8.8": false,
	} {
		if got := isSpecial(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}

func TestRules(t *testing.T) {
	r := rulesOf([]string{`https://example\.org/.*`, `http://10\.0\.0\.[0-9]+/files/.*`, `http://.*\.internal/.*`, `(`, `http://\[::1\](:\d+)?/x`, `http://127\.0\.0\.1.*`})
	for text, want := range map[string]struct{ allowed, named bool }{
		"https://example.org/a":               {true, true},
		"https://EXAMPLE.org/a":               {false, false}, // patterns say (?i) if they mean it
		"https://user:secret@example.org/a":   {true, true},
		"https://example.org":                 {false, false},
		"https://evil/?https://example.org/a": {false, false},
		"https://example.org.evil/a":          {false, false},
		"http://10.0.0.7/files/x":             {true, false},
		"http://a.internal/x":                 {true, false},
		"http://169.254.169.254/?.internal/x": {true, false}, // and therefore not dialled
		"http://[::1]/x":                      {true, true},
		"http://[::1]:80/x":                   {true, true},
		"http://127.0.0.1.evil/":              {true, false},
		"http://127.0.0.1/":                   {true, false}, // .* may be anything
		"http://l.internal/x":                 {true, false},
		"ftp://example.org/a":                 {false, false},
		"https:///a":                          {false, false},
		"%":                                   {false, false},
	} {
		if got := r.check(text) == nil; got != want.allowed {
			t.Errorf("%s is allowed: %v", text, got)
		}
		if u, err := url.Parse(text); err == nil && r.names(u) != want.named {
			t.Errorf("%s is named: %v", text, !want.named)
		}
	}
	if err := rulesOf(nil).check("https://anything.example/x"); err != nil {
		t.Errorf("without rules: %v", err)
	}
}
