package lab

import (
	"net/netip"
	"testing"
)

func TestWall(t *testing.T) {
	w := wall{
		silent: []string{"s1h3"},
		blocks: []blockRule{
			{from: []netip.Prefix{lan4(1), lan6(1)}, to: []netip.Prefix{alone(host4(1, 4)), alone(host4(1, 5))}},
			{from: nil, to: []netip.Prefix{alone(host6(2, 3))}, dials: true},
			{from: []netip.Prefix{alone(host4(1, 4))}, to: nil},
		},
	}
	const want = `table bridge lab
flush table bridge lab
table bridge lab {
chain forward {
type filter hook forward priority 0; policy accept;
iifname { "s1h3", "s1h3~" } drop
oifname { "s1h3", "s1h3~" } drop
ip saddr { 10.1.0.0/24 } ip daddr { 10.1.0.4/32, 10.1.0.5/32 } drop
ip6 daddr { 2001:db8:0:2::3/128 } tcp flags & (syn | ack) == syn drop
ip saddr { 10.1.0.4/32 } drop
}
}
`
	if got := w.rules(); got != want {
		t.Errorf("rules are\n%s\nwant\n%s", got, want)
	}
}
