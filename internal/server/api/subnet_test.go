package api

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"catenary/internal/boundary"
	"catenary/internal/fault"
	"catenary/internal/server/store"
)

func (f *fleet) Boundaries() boundary.Boundaries {
	list, err := f.store.Subnets(context.Background())
	if err != nil {
		panic(err)
	}
	b, err := f.made(list)
	if err != nil {
		panic(err)
	}
	return b
}

func (f *fleet) made(list []store.Subnet) (boundary.Boundaries, error) {
	subnets := make([]boundary.Subnet, len(list))
	for i, n := range list {
		subnets[i] = n.Subnet
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	b, err := boundary.New(f.mask, subnets)
	if err != nil {
		err = fault.New(fault.Conflict, "%w", err)
	}
	return b, err
}

func (f *fleet) EditSubnets(ctx context.Context, edit func([]store.Subnet) ([]store.Subnet, error)) ([]store.Subnet, error) {
	return f.store.EditSubnets(ctx, func(list []store.Subnet) ([]store.Subnet, error) {
		list, err := edit(list)
		if err == nil {
			_, err = f.made(list)
		}
		return list, err
	})
}

func (f *fleet) SetMask(_ context.Context, m boundary.Mask) error {
	if err := m.Check(); err != nil {
		return fault.New(fault.Invalid, "%w", err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.mask = m
	return nil
}

func TestSubnetObjects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // so that times can be said exactly
		d := newDesk(t)
		const made = `"created_time":"2000-01-01T00:00:00Z","created_user":{"id":1,"name":"ann"}`
		const same = `"modified_time":"2000-01-01T00:00:00Z","modified_user":{"id":1,"name":"ann"}`
		const office = `{"id":1,"cidr_string":"10.1.0.0/16","name":"Office","comment":"ask Ann",` + made + `,` + same + `,"deleted_flag":0}`
		d.want(d.call("POST", "/api/v2/separated_subnets", `{"cidr_string":"10.1.0.0/16","name":" Office ","comment":"ask Ann","id":77,"created_user":{"id":5}}`), 200, `{"data":`+office+`}`)
		d.want(d.call("GET", "/api/v2/separated_subnets", ""), 200, `{"data":[`+office+`]}`)
		d.want(d.call("GET", "/api/v2/separated_subnets/1", ""), 200, `{"data":`+office+`}`)
		d.want(d.call("GET", "/api/v2/isolated_subnets", ""), 200, `{"data":[]}`)
		d.want(d.call("POST", "/api/v2/isolated_subnets/", `{"cidr_string":"10.8.0.0/16"}`), 200,
			`{"data":{"id":2,"cidr_string":"10.8.0.0/16","name":"","comment":"",`+made+`,`+same+`,"deleted_flag":0}}`)
		d.want(d.call("POST", "/api/v2/intentional_subnets", `{"cidr_string":"203.0.113.7, 2001:db8::/48","neighborhood":"London"}`), 200,
			`{"data":{"id":3,"cidr_string":"203.0.113.7/32,2001:db8::/48","name":"","comment":"","neighborhood":"London",`+made+`,`+same+`,"deleted_flag":0}}`)

		time.Sleep(time.Minute)
		const later = `"modified_time":"2000-01-01T00:01:00Z","modified_user":{"id":1,"name":"ann"}`
		const moved = `{"id":1,"cidr_string":"10.1.0.0/17","name":"","comment":"ask Ann",` + made + `,` + later
		d.want(d.call("PATCH", "/api/v2/separated_subnets/1", `{"cidr_string":"10.1.0.0/17","name":""}`), 200, `{"data":`+moved+`,"deleted_flag":0}}`)
		d.want(d.call("DELETE", "/api/v2/separated_subnets/1", ""), 200, `{"data":`+moved+`,"deleted_flag":1}}`)
		d.want(d.call("GET", "/api/v2/separated_subnets", ""), 200, `{"data":[]}`)
	})
}

func TestSubnetsBadly(t *testing.T) {
	d := newDesk(t)
	d.call("POST", "/api/v2/separated_subnets", `{"cidr_string":"10.1.0.0/16"}`)
	d.call("POST", "/api/v2/isolated_subnets", `{"cidr_string":"10.8.0.0/16"}`)
	const missing = "REST Object Not Found Exception:  "
	for _, tt := range []struct {
		method, path, body string
		status             int
		text               string
	}{
		{"POST", "separated_subnets", `{}`, 400, "cidr_string is needed: a network like 10.1.2.0/24"},
		{"POST", "separated_subnets", `{"cidr_string":"10.1.2.3/24"}`, 400, `cidr_string: "10.1.2.3/24" has bits behind its mask: did you mean 10.1.2.0/24?`},
		{"POST", "separated_subnets", `{"cidr_string":"office"}`, 400, `cidr_string: "office" is no network: write it like 10.1.2.0/24 or 2001:db8::/48`},
		{"POST", "separated_subnets", `{"cidr_string":""}`, 400, `cidr_string: "" is no network: write it like 10.1.2.0/24 or 2001:db8::/48`},
		{"POST", "separated_subnets", `{"cidr_string":"10.1.0.0/16"}`, 400, "10.1.0.0/16 is said twice to be separated"},
		{"POST", "isolated_subnets", `{"cidr_string":"10.1.0.0/16"}`, 400, "10.1.0.0/16 is said to be separated and isolated: it can be only one"},
		{"POST", "isolated_subnets", `{"cidr_string":"10.0.0.0/8"}`, 400, "separated subnet 10.1.0.0/16 lies in the isolated subnet 10.0.0.0/8, so that it would never matter"},
		{"POST", "separated_subnets", `{"cidr_string":"10.2.0.0/16,10.3.0.0/16"}`, 400, "separated subnet 10.2.0.0/16: only an intentional one has several networks"},
		{"POST", "isolated_subnets", `{"cidr_string":"10.2.0.0/16","neighborhood":"x"}`, 400, "isolated subnet 10.2.0.0/16: only an intentional one is of a neighbourhood"},
		{"POST", "separated_subnets", `{"cidr_string":"0.0.0.0/0"}`, 400, "separated subnet 0.0.0.0/0 is too large for a LAN: at least /8"},
		{"POST", "separated_subnets", `{"cidr_string":7}`, 400, "line 1, column 16: cidr_string: unexpected number"},
		{"GET", "isolated_subnets/1", "", 404, missing + "IsolatedSubnetNotFound: The requested isolated subnet was not found"},
		{"GET", "separated_subnets/9", "", 404, missing + "SeparatedSubnetNotFound: The requested separated subnet was not found"},
		{"PATCH", "intentional_subnets/9", "{}", 404, missing + "IntentionalSubnetNotFound: The requested intentional subnet was not found"},
		{"DELETE", "separated_subnets/2", "", 404, missing + "SeparatedSubnetNotFound: The requested separated subnet was not found"},
		{"GET", "separated_subnets/x", "", 400, `"x" is not the number of a separated subnet`},
		{"PATCH", "separated_subnets/1", `{"cidr_string":"10.8.1.0/24"}`, 400, "separated subnet 10.8.1.0/24 lies in the isolated subnet 10.8.0.0/16, so that it would never matter"},
		{"GET", "separated_subnets?row_start=-1", "", 400, "row_start and row_count are not negative"},
		{"PATCH", "boundaries", `{"address_prefix_ipv4":5}`, 400, "IPv4 mask of 5 bits: 8 to 32, or 0 for no peers"},
		{"GET", "boundaries/office", "", 400, `"office" is no address`},
		{"GET", "boundaries/10.0.0.1?reported=x", "", 400, `"x" is no address`},
	} {
		if got := d.call(tt.method, "/api/v2/"+tt.path, tt.body); got.Code != tt.status {
			t.Errorf("%s %s %s: %d %s", tt.method, tt.path, tt.body, got.Code, got.Body)
		} else {
			d.refused(got, tt.status, tt.text)
		}
	}
	list, err := d.store.Subnets(t.Context())
	must(t, err)
	same(t, []any{len(list), networksText(list[0].Networks), networksText(list[1].Networks)}, []any{2, "10.1.0.0/16", "10.8.0.0/16"})
}

func TestSubnetFile(t *testing.T) {
	d := newDesk(t)
	file := func(kind, query, body string) string {
		t.Helper()
		w := d.call("POST", "/api/v2/"+kind+"_subnets/file"+query, body)
		return strings.TrimSpace(w.Body.String())
	}
	shown := func(kind string) string {
		t.Helper()
		w := d.call("GET", "/api/v2/"+kind+"_subnets/file", "")
		same(t, []any{w.Code, w.Header().Get("Content-Type")}, []any{200, "text/plain; charset=utf-8"})
		return w.Body.String()
	}
	const first = "# offices\n10.1.0.0/16 London ; ask Ann\r\n10.2.0.0/16\n"
	same(t, file("separated", "?check=1", first), `{"data":{"added":2,"changed":0,"kept":0,"removed":0}}`)
	same(t, shown("separated"), "")
	same(t, file("separated", "", first), `{"data":{"added":2,"changed":0,"kept":0,"removed":0}}`)
	same(t, shown("separated"), "10.1.0.0/16 London ; ask Ann\n10.2.0.0/16\n")
	same(t, file("isolated", "", "10.8.0.0/16 VPN"), `{"data":{"added":1,"changed":0,"kept":0,"removed":0}}`)
	d.call("POST", "/api/v2/intentional_subnets", `{"cidr_string":"203.0.113.7,203.0.113.9","neighborhood":"Rome","name":"kept"}`)

	same(t, file("separated", "", "10.3.0.0/16\n10.2.0.0/16 Paris\n10.1.0.0/16 London ; ask Ann"), `{"data":{"added":1,"changed":1,"kept":1,"removed":0}}`)
	same(t, shown("separated"), "10.1.0.0/16 London ; ask Ann\n10.2.0.0/16 Paris\n10.3.0.0/16\n")
	same(t, file("intentional", "", "192.0.2.1 Rome\n203.0.113.7,203.0.113.9 Rome"), `{"data":{"added":1,"changed":0,"kept":1,"removed":0}}`)
	same(t, shown("intentional"), "203.0.113.7/32,203.0.113.9/32 Rome\n192.0.2.1/32 Rome\n")
	same(t, data[subnetObject](t, d.call("GET", "/api/v2/intentional_subnets/4", "")).Name, "kept")

	for _, tt := range []struct{ kind, text, want string }{
		{"separated", "10.1.0.0/16\n\n10.2.0.0/33", `line 3: "10.2.0.0/33" is no network: write it like 10.1.2.0/24 or 2001:db8::/48`},
		{"separated", "10.1.0.0/16\n# VPN\n10.8.1.0/24", "line 3: separated subnet 10.8.1.0/24 lies in the isolated subnet 10.8.0.0/16, so that it would never matter"},
		{"isolated", "10.8.0.0/16\n10.0.0.0/14", "line 2: separated subnet 10.1.0.0/16 lies in the isolated subnet 10.0.0.0/14, so that it would never matter"},
		{"isolated", "10.8.0.0/16\n192.0.2.1", "line 2: 192.0.2.1/32 is said to be intentional and isolated: it can be only one"},
	} {
		for _, query := range []string{"", "?check=1"} {
			d.refused(d.call("POST", "/api/v2/"+tt.kind+"_subnets/file"+query, tt.text), 400, tt.want)
		}
	}
	same(t, shown("isolated"), "10.8.0.0/16 VPN\n")
	d.refused(d.call("POST", "/api/v2/isolated_subnets/file", strings.Repeat("#", subnetFileMax+1)), 413, "the body is larger than 2097152 bytes")
	same(t, file("separated", "", ""), `{"data":{"added":0,"changed":0,"kept":0,"removed":3}}`)
	same(t, shown("separated"), "")
	same(t, shown("isolated"), "10.8.0.0/16 VPN\n")
}

// TestLargestSubnetFile: as many subnets as there may be can be read and written.
func TestLargestSubnetFile(t *testing.T) {
	d := newDesk(t)
	var b strings.Builder
	for i := range boundary.SubnetsMax {
		fmt.Fprintf(&b, "10.%d.%d.0/24 office number %d ; the network of office number %[3]d\n", i>>8, i&255, i)
	}
	for _, want := range []string{`{"data":{"added":10000,"changed":0,"kept":0,"removed":0}}`, `{"data":{"added":0,"changed":0,"kept":10000,"removed":0}}`} {
		d.want(d.call("POST", "/api/v2/separated_subnets/file", b.String()), 200, want)
	}
	same(t, d.call("GET", "/api/v2/separated_subnets/file", "").Body.String(), b.String())
	var list struct{ Data []subnetObject }
	must(t, json.Unmarshal(d.call("GET", "/api/v2/separated_subnets?row_start=9998", "").Body.Bytes(), &list))
	same(t, []any{len(list.Data), list.Data[1].Name}, []any{2, "office number 9999"})
}

func TestMask(t *testing.T) {
	d := newDesk(t)
	d.want(d.call("GET", "/api/v2/boundaries", ""), 200, `{"data":{"address_prefix_ipv4":24,"address_prefix_ipv6":64,"carrier_nat_flag":false}}`)
	d.want(d.call("PATCH", "/api/v2/boundaries", `{"address_prefix_ipv4":"22","carrier_nat_flag":1}`), 200, `{"data":{"address_prefix_ipv4":22,"address_prefix_ipv6":64,"carrier_nat_flag":true}}`)
	d.want(d.call("PATCH", "/api/v2/boundaries", `{"address_prefix_ipv6":0}`), 200, `{"data":{"address_prefix_ipv4":22,"address_prefix_ipv6":0,"carrier_nat_flag":true}}`)
	d.want(d.call("GET", "/api/v2/boundaries", ""), 200, `{"data":{"address_prefix_ipv4":22,"address_prefix_ipv6":0,"carrier_nat_flag":true}}`)
	d.want(d.call("GET", "/api/v2/boundaries/10.1.2.3", ""), 200, `{"data":{"address":"10.1.2.3","reported":"10.1.2.3","lan":"10.1.0.0/22","alone":false,"reason":"address mask"}}`)
	d.want(d.call("GET", "/api/v2/boundaries/2001:db8::1", ""), 200, `{"data":{"address":"2001:db8::1","reported":"2001:db8::1","lan":"2001:db8::1/128","alone":true,"reason":"network of one address"}}`)
	d.want(d.call("GET", "/api/v2/boundaries/203.0.113.7?reported=192.168.1.5", ""), 200, `{"data":{"address":"203.0.113.7","reported":"192.168.1.5","lan":"203.0.113.7/32","alone":true,"reason":"address translation"}}`)
	d.call("POST", "/api/v2/intentional_subnets", `{"cidr_string":"203.0.113.7"}`)
	d.want(d.call("GET", "/api/v2/boundaries/203.0.113.7?reported=192.168.1.5", ""), 200, `{"data":{"address":"203.0.113.7","reported":"192.168.1.5","lan":"203.0.113.7/32","alone":false,"reason":"intentional subnet"}}`)
}

func FuzzSubnets(f *testing.F) {
	for _, seed := range []string{`{"cidr_string":"10.0.0.0/8"}`, `{"cidr_string":"::/0,","name":"a\nb"}`, `{}`, `[]`, `{"cidr_string":null,"neighborhood":7}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		var in subnetRequest
		if decode([]byte(body), &in) != nil {
			return
		}
		n := store.Subnet{Subnet: boundary.Subnet{Kind: boundary.Intentional}}
		err := in.apply(&n, store.User{}, time.Now())
		if err != nil && fault.KindOf(err) != fault.Invalid {
			t.Errorf("%q: %v is not the sender's fault", body, err)
		}
		if err == nil && in.CIDRString != nil && len(n.Networks) == 0 {
			t.Errorf("%q: taken without a network", body)
		}
	})
}
