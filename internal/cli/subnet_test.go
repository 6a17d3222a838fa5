package cli

import (
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"catenary/internal/boundary"
)

func (f *fleet) serveSubnets(mux *http.ServeMux) {
	for _, kind := range boundary.Kinds {
		path := "/api/v2/" + kind.String() + "_subnets"
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) {
			f.mu.Lock()
			defer f.mu.Unlock()
			reply(w, append([]subnetObject{}, f.subnets[kind]...))
		})
		mux.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) { f.makeSubnet(w, r, kind) })
		mux.HandleFunc("DELETE "+path+"/{id}", func(w http.ResponseWriter, r *http.Request) {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.subnets[kind] = slices.DeleteFunc(f.subnets[kind], func(s subnetObject) bool { return fmt.Sprint(s.ID) == r.PathValue("id") })
			reply(w, map[string]int{"deleted_flag": 1})
		})
		mux.HandleFunc("GET "+path+"/file", func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, "10.1.0.0/16 \x1b[1mLondon\n10.2.0.0/16\n") // a file with a trick in it
		})
		mux.HandleFunc("POST "+path+"/file", func(w http.ResponseWriter, r *http.Request) { f.replaceSubnets(w, r, kind) })
	}
	mux.HandleFunc("GET /api/v2/boundaries", func(w http.ResponseWriter, _ *http.Request) { reply(w, f.mask) })
	mux.HandleFunc("PATCH /api/v2/boundaries", func(w http.ResponseWriter, r *http.Request) {
		if in, ok := read[map[string]any](w, r); ok {
			for name, value := range in {
				f.mask[name] = value
			}
			reply(w, f.mask)
		}
	})
	mux.HandleFunc("GET /api/v2/boundaries/{address}", func(w http.ResponseWriter, r *http.Request) {
		reply(w, map[string]any{"lan": r.PathValue("address") + "/32", "alone": r.URL.Query().Get("reported") != "", "reason": "address mask"})
	})
}

func (f *fleet) makeSubnet(w http.ResponseWriter, r *http.Request, kind boundary.Kind) {
	in, ok := read[subnetObject](w, r)
	if !ok {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if slices.ContainsFunc(f.subnets[kind], func(s subnetObject) bool { return s.Networks == in.Networks }) {
		refuse(w, http.StatusBadRequest, in.Networks+" is said twice to be "+kind.String())
		return
	}
	in.ID = int64(len(f.calls))
	f.subnets[kind] = append(f.subnets[kind], in)
	reply(w, in)
}

func (f *fleet) replaceSubnets(w http.ResponseWriter, r *http.Request, kind boundary.Kind) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(err)
	}
	list, err := boundary.ReadFile(kind, body)
	if err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	if strings.Contains(string(body), "10.9.0.0/16") {
		refuse(w, http.StatusBadRequest, "line 1: 10.9.0.0/16 is said to be isolated and separated: it can be only one")
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	done := map[string]int{"added": len(list), "changed": 0, "kept": 0, "removed": len(f.subnets[kind])}
	if r.URL.Query().Get("check") == "" {
		f.subnets[kind] = nil
		for i, s := range list {
			f.subnets[kind] = append(f.subnets[kind], subnetObject{ID: int64(i + 1), Networks: s.Networks[0].String(), Name: s.Name, Comment: s.Comment})
		}
	}
	reply(w, done)
}

func TestSubnetAddListRemove(t *testing.T) {
	f := newFleet(t)
	p := newPlace(t).at(f)
	for _, line := range [][]string{
		{"subnet", "add", "--kind", "separated", "--name", "Building 7", "--comment", "ask Ann", "10.20.7.0/24"},
		{"subnet", "add", "--kind", "isolated", "--name", "VPN", "10.8.0.0/16", "10.9.0.1"},
		{"subnet", "add", "--kind", "intentional", "--neighborhood", "London", "203.0.113.7", "198.51.100.0/28"},
	} {
		if out, errs, code := p.run(line...); code != exitOK || out+errs != "" {
			t.Fatalf("%v: %q %q, code %d", line, out, errs, code)
		}
	}
	out, _, code := p.run("subnet", "list")
	want := `Kind         Networks         Neighbourhood  Name        Comment
separated    10.20.7.0/24                    Building 7  ask Ann
isolated     10.8.0.0/16                     VPN
isolated     10.9.0.1                        VPN
intentional  203.0.113.7      London
             198.51.100.0/28
`
	if out != want || code != exitOK {
		t.Errorf("got\n%s\nwant\n%s", out, want)
	}
	out = p.says(t, "subnet", "list", "--kind", "intentional", "--format", "json")
	if want := `"Networks": ["203.0.113.7", "198.51.100.0/28"]`; !strings.Contains(out, want) {
		t.Errorf("got %s, want it to have %s", out, want)
	}
	if _, errs, code := p.run("subnet", "remove", "--kind", "isolated", "10.8.0.0/16"); code != exitOK || len(f.subnets[boundary.Isolated]) != 1 {
		t.Errorf("got %q, code %d, left %v", errs, code, f.subnets[boundary.Isolated])
	}
	_, errs, code := p.run("subnet", "remove", "--kind", "isolated", "10.8.0.0/16")
	if want := "catenary: 10.8.0.0/16 is no isolated subnet; `catenary subnet list` names them\n"; errs != want || code != exitFailed {
		t.Errorf("got %q, code %d", errs, code)
	}
	_, errs, code = p.run("subnet", "add", "--kind", "separated", "10.20.7.0/24")
	if want := "catenary: subnet 10.20.7.0/24: 10.20.7.0/24 is said twice to be separated\n"; errs != want || code != exitUsage {
		t.Errorf("got %q, code %d", errs, code)
	}
}

func TestSubnetSet(t *testing.T) {
	f := newFleet(t)
	p := newPlace(t).at(f)
	path := filepath.Join(t.TempDir(), "offices.txt")
	p.write(path, "# offices\n10.1.0.0/16 London ; ask Ann\n10.2.0.0/16\n")
	_, errs, code := p.run("subnet", "set", "--kind", "separated", "--check", path)
	if want := "would be 2 added, 0 changed, 0 removed; 0 stay as they are\n"; errs != want || code != exitOK || len(f.subnets[boundary.Separated]) != 0 {
		t.Errorf("got %q, code %d, %v", errs, code, f.subnets)
	}
	_, errs, code = p.run("subnet", "set", "--kind", "separated", path)
	if want := "2 added, 0 changed, 0 removed; 0 stay as they are\n"; errs != want || code != exitOK {
		t.Errorf("got %q, code %d", errs, code)
	}
	if got := f.subnets[boundary.Separated]; len(got) != 2 || got[0].Name != "London" || got[0].Comment != "ask Ann" {
		t.Errorf("the server has %+v", got)
	}
	p.piped = "10.7.0.0/16\n"
	if _, errs, code = p.run("subnet", "set", "--kind", "isolated", "-"); code != exitOK || len(f.subnets[boundary.Isolated]) != 1 {
		t.Errorf("from standard input: %q, code %d", errs, code)
	}
	out := p.says(t, "subnet", "print", "--kind", "separated")
	if want := "10.1.0.0/16 \\x1b[1mLondon\n10.2.0.0/16\n"; out != want {
		t.Errorf("printed %q, want %q", out, want)
	}

	calls := len(f.calls)
	p.write(path, "10.1.0.0/16\n10.2.3.4/16\n")
	_, errs, code = p.run("subnet", "set", "--kind", "separated", path)
	if want := "catenary: " + path + ": line 2: \"10.2.3.4/16\" has bits behind its mask: did you mean 10.2.0.0/16?\n"; errs != want || code != exitUsage || len(f.calls) != calls {
		t.Errorf("got %q, code %d", errs, code)
	}
	p.write(path, "10.9.0.0/16")
	_, errs, code = p.run("subnet", "set", "--kind", "separated", path)
	if want := "catenary: " + path + ": line 1: 10.9.0.0/16 is said to be isolated and separated: it can be only one\n"; errs != want || code != exitUsage {
		t.Errorf("got %q, code %d", errs, code)
	}
	p.write(path, strings.Repeat("#", subnetFileMax+1))
	_, errs, code = p.run("subnet", "set", "--kind", "separated", path)
	if want := "catenary: " + path + " is larger than 2097152 bytes\n"; errs != want || code != exitUsage {
		t.Errorf("got %q, code %d", errs, code)
	}
}

func TestSubnetMaskAndFind(t *testing.T) {
	p := newPlace(t).at(newFleet(t))
	out := p.says(t, "subnet", "mask")
	if want := "IPv4  IPv6  Carrier-grade NAT\n  24    64  no peers\n"; out != want {
		t.Errorf("got %q, want %q", out, want)
	}
	out, _, code := p.run("subnet", "mask", "--ipv4", "22", "--carrier-nat")
	if want := "IPv4  IPv6  Carrier-grade NAT\n  22    64  peers\n"; out != want || code != exitOK {
		t.Errorf("got %q, want %q", out, want)
	}
	out = p.says(t, "subnet", "mask", "--ipv6", "0", "--carrier-nat=false")
	if want := "IPv4  IPv6  Carrier-grade NAT\n  22     0  no peers\n"; out != want {
		t.Errorf("got %q, want %q", out, want)
	}
	out = p.says(t, "subnet", "find", "10.1.2.3")
	if want := "LAN          Peers              Because Of\n10.1.2.3/32  others of the LAN  address mask\n"; out != want {
		t.Errorf("got %q, want %q", out, want)
	}
	out = p.says(t, "subnet", "find", "2001:db8::1", "--reported", "10.0.0.1")
	if want := "LAN             Peers  Because Of\n2001:db8::1/32  none   address mask\n"; out != want {
		t.Errorf("got %q, want %q", out, want)
	}
}

func TestSubnetUsage(t *testing.T) {
	f := newFleet(t)
	p := newPlace(t).at(f)
	for _, tt := range []struct {
		line string
		want string
	}{
		{"add 10.0.0.0/8", "which --kind? separated, isolated or intentional"},
		{"add --kind odd 10.0.0.0/8", `--kind "odd": write separated, isolated or intentional`},
		{"add --kind isolated", "which network? write it like 10.1.2.0/24"},
		{"add --kind isolated 10.0.0.0/33", `"10.0.0.0/33" is no network: write it like 10.1.2.0/24 or 2001:db8::/48`},
		{"add --kind isolated 10.0.0.0/8,10.1.0.0/16", `"10.0.0.0/8,10.1.0.0/16" is no network: write it like 10.1.2.0/24 or 2001:db8::/48`},
		{"add --kind isolated --neighborhood x 10.0.0.0/8", "--neighborhood goes with --kind intentional only"},
		{"remove --kind isolated", "remove takes one network, but got 0"},
		{"remove --kind isolated x", `"x" is no network: write it like 10.1.2.0/24 or 2001:db8::/48`},
		{"list --kind odd", `--kind "odd": write separated, isolated or intentional`},
		{"set --kind isolated", "set takes one file, but got 0"},
		{"set --kind isolated /nonexistent/x", "open /nonexistent/x: no such file or directory"},
		{"print", "which --kind? separated, isolated or intentional"},
		{"find", "find takes one address, but got 0"},
		{"mask 24", "mask takes no arguments, but got 1"},
	} {
		_, errs, code := p.run(append([]string{"subnet"}, strings.Fields(tt.line)...)...)
		if first, _, _ := strings.Cut(errs, "\n"); first != "catenary: "+tt.want || code != exitUsage {
			t.Errorf("%s: %q, code %d; want %q", tt.line, first, code, tt.want)
		}
	}
	if len(f.calls) != 0 {
		t.Errorf("the server was asked: %v", f.calls)
	}
}
