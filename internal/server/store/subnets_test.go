package store

import (
	"database/sql"
	"errors"
	"io/fs"
	"net/netip"
	"path/filepath"
	"testing"
	"testing/fstest"
	"time"

	"catenary/internal/boundary"
	"catenary/internal/fault"
	"catenary/internal/server/store/storetest"
)

func prefixes(texts ...string) (list []netip.Prefix) {
	for _, text := range texts {
		list = append(list, netip.MustParsePrefix(text))
	}
	return list
}

// london is a subnet with something in every field.
func london() Subnet {
	return Subnet{
		Subnet: boundary.Subnet{
			Kind: boundary.Intentional, Networks: prefixes("203.0.113.7/32", "2001:db8:99::/48"),
			Neighborhood: "London", Name: "office", Comment: "ask Ann; or Bob",
		},
		Created: noon, CreatedBy: 1, Modified: noon.Add(time.Minute), ModifiedBy: 2,
	}
}

func numbered(s Subnet, id int64) Subnet {
	s.ID = id
	return s
}

func separated(network string) Subnet {
	return Subnet{Subnet: boundary.Subnet{Kind: boundary.Separated, Networks: prefixes(network)}, Created: noon, Modified: noon}
}

func TestSubnets(t *testing.T) { storetest.Each(t, testSubnets) }

func testSubnets(t *testing.T, e storetest.Engine) {
	s := open(t, e)
	ctx := t.Context()
	edit := func(want []Subnet, f func([]Subnet) []Subnet) {
		t.Helper()
		got, err := s.EditSubnets(ctx, func(list []Subnet) ([]Subnet, error) { return f(list), nil })
		must(t, err)
		same(t, got, want)
	}
	a, b, c := numbered(separated("10.1.0.0/16"), 1), numbered(separated("10.2.0.0/16"), 2), numbered(london(), 3)
	edit([]Subnet{a, b}, func(list []Subnet) []Subnet {
		same(t, list, []Subnet{})
		return []Subnet{separated("10.1.0.0/16"), separated("10.2.0.0/16")}
	})
	edit([]Subnet{c, b, a}, func(list []Subnet) []Subnet { return []Subnet{london(), list[1], list[0]} })
	list, err := s.Subnets(ctx)
	must(t, err)
	same(t, list, []Subnet{a, b, c})

	// One is changed, one goes, one comes; what goes away takes its number along.
	b.Networks, b.Comment, b.Modified, b.ModifiedBy = prefixes("10.3.0.0/16"), "moved", noon.Add(time.Hour), 7
	d := numbered(separated("10.4.0.0/16"), 4)
	edit([]Subnet{a, b, d}, func(list []Subnet) []Subnet { return []Subnet{list[0], b, separated("10.4.0.0/16")} })
	edit([]Subnet{a, b}, func(list []Subnet) []Subnet { return list[:2] })
	edit([]Subnet{a, b, numbered(d, 5)}, func(list []Subnet) []Subnet { return append(list, separated("10.4.0.0/16")) })

	no := errors.New("no")
	if _, err := s.EditSubnets(ctx, func([]Subnet) ([]Subnet, error) { return nil, fault.New(fault.Conflict, "really: %w", no) }); !errors.Is(err, no) || fault.KindOf(err) != fault.Conflict {
		t.Errorf("%v", err)
	}
	list, err = s.Subnets(ctx)
	must(t, err)
	same(t, list, []Subnet{a, b, numbered(d, 5)})
	// A number of its own choice is nobody's.
	edit([]Subnet{numbered(london(), 6)}, func([]Subnet) []Subnet { return []Subnet{numbered(london(), 77)} })
	edit(nil, func([]Subnet) []Subnet { return nil })
}

func TestSubnetsThatNobodyUnderstands(t *testing.T) {
	storetest.Each(t, testSubnetsThatNobodyUnderstands)
}

func testSubnetsThatNobodyUnderstands(t *testing.T, e storetest.Engine) {
	for text, want := range map[string]string{
		"kind = 'odd'":          " constraint ",
		"networks = '10.0.0.0'": `subnets: subnet 1: netip.ParsePrefix("10.0.0.0"): no '/'`,
	} {
		s := open(t, e)
		fill(t, s)
		_, err := s.write.ExecContext(t.Context(), "UPDATE subnets SET "+text)
		if err == nil {
			_, err = s.Subnets(t.Context())
			wantKind(t, err, fault.Internal, want)
			_, err = s.EditSubnets(t.Context(), func(list []Subnet) ([]Subnet, error) { return list, nil })
		}
		wantKind(t, err, fault.Internal, want)
	}
}

// TestClientsOfTheFirstVersion: a database of the first version knows no LANs.
func TestClientsOfTheFirstVersion(t *testing.T) {
	path := filepath.Join(t.TempDir(), "catenary.db")
	first, err := fs.ReadFile(migrations(), "00001_first.sql")
	must(t, err)
	db, err := sql.Open("sqlite", dsn(path))
	must(t, err)
	must(t, migrate(t.Context(), sqlite, db, fstest.MapFS{"00001_first.sql": {Data: first}}))
	_, err = db.ExecContext(t.Context(), "INSERT INTO clients (id, computer_id, name, key, enrolled, registered, incarnation, sequence) VALUES (x'01', 5, 'pc', x'02', 1, 2, 3, 4)")
	must(t, err)
	must(t, db.Close())

	list, err := openAt(t, path).Clients(t.Context())
	must(t, err)
	if len(list) != 1 || list[0].LAN.IsValid() || list[0].Slot != 0 || list[0].ComputerID != 5 {
		t.Errorf("%+v", list)
	}
}
