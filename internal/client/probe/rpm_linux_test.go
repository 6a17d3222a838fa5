package probe

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	rpmdb "github.com/knqyf263/go-rpmdb/pkg"

	"catenary/internal/fault"
)

const packageSpec = `
Name: NAME
Version: 1.2~rc3
Release: 4
EXTRA
Summary: A package for a test
License: none
%description
A package for a test.
%files
`

// rpmRoot is a folder that looks like the root of a system on which rpm has
// installed packages: with an epoch, without one, and for every architecture.
func rpmRoot(t *testing.T) (root, database string) {
	t.Helper()
	root = t.TempDir()
	database = filepath.Join(root, "var/lib/rpm")
	home := "_topdir " + t.TempDir()
	tool(t, "rpm", "--dbpath", database, "--initdb")
	for name, extra := range map[string]string{
		"catenary-plain": "", "catenary-epoch": "Epoch: 7", "catenary-noarch": "BuildArch: noarch",
	} {
		file := write(t, filepath.Join(t.TempDir(), "spec"), strings.NewReplacer("NAME", name, "EXTRA", extra).Replace(packageSpec))
		tool(t, "rpmbuild", "--quiet", "--define", home, "-bb", file)
	}
	built, err := filepath.Glob(filepath.Join(strings.TrimPrefix(home, "_topdir "), "RPMS/*/*.rpm"))
	if err != nil || len(built) != 3 {
		t.Fatalf("rpmbuild made %q, %v", built, err)
	}
	tool(t, "rpm", append([]string{"--dbpath", database, "-i", "--justdb", "--nodeps"}, built...)...)
	return root, database
}

// TestPackagesAreWhatRPMSays reads what the rpm of this machine has written;
// its oldest and newest forms are among the samples below.
func TestPackagesAreWhatRPMSays(t *testing.T) {
	root, database := rpmRoot(t)
	before := tool(t, "ls", "-A", database)
	theirs := tool(t, "rpm", "--dbpath", database, "-qa", "--qf", `%{NAME} %{EVR} %{ARCH}\n`)
	rows, err := applications(t.Context(), tree(root))
	if err != nil {
		t.Fatal(err)
	}
	var ours []string
	for _, row := range rows {
		if row[3] != "rpm" {
			t.Errorf("source of %q", row)
		}
		ours = append(ours, strings.Join(row[:3], " "))
	}
	if !slices.Equal(set(ours), set(theirs)) || len(ours) != 3 {
		t.Errorf("we say %q, rpm says %q", ours, theirs)
	}
	if !slices.ContainsFunc(ours, func(s string) bool { return strings.HasPrefix(s, "catenary-epoch 7:1.2~rc3-4 ") }) {
		t.Errorf("the epoch is missing in %q", ours)
	}
	if after := tool(t, "ls", "-A", database); !slices.Equal(before, after) {
		t.Errorf("reading left %q behind, there was %q", after, before)
	}
}

// samples are real databases that go-rpmdb keeps for its own tests: of each
// form and age, and one of a big-endian machine.
func samples(t *testing.T) []string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-json", "github.com/knqyf263/go-rpmdb").Output()
	if err != nil {
		t.Fatal(err)
	}
	var module struct{ Dir string }
	if err := json.Unmarshal(out, &module); err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, name := range []string{
		"centos5-plain/Packages", "centos6-plain/Packages", "centos7-plain/Packages", "ubi8-s390x/Packages",
		"libuuid/Packages", "sle15-bci/Packages.db", "cbl-mariner-2.0/rpmdb.sqlite", "fedora35/rpmdb.sqlite",
	} {
		all = append(all, filepath.Join(module.Dir, "pkg/testdata", name))
	}
	return all
}

// TestRPMReadersAgree holds our readers of all forms of the database, in both
// byte orders, against go-rpmdb's.
func TestRPMReadersAgree(t *testing.T) {
	for _, sample := range samples(t) {
		t.Run(filepath.Base(filepath.Dir(sample)), func(t *testing.T) {
			b, err := os.ReadFile(sample)
			if err != nil {
				t.Fatal(err)
			}
			root := t.TempDir()
			path := write(t, filepath.Join(root, "usr/lib/sysimage/rpm", filepath.Base(sample)), string(b))
			db, err := rpmdb.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			packages, err := db.ListPackages()
			if err != nil {
				t.Fatal(err)
			}
			var theirs []string
			for _, p := range packages {
				epoch := ""
				if p.Epoch != nil {
					epoch = strconv.Itoa(*p.Epoch) + ":"
				}
				if p.Name != "gpg-pubkey" {
					theirs = append(theirs, p.Name+" "+epoch+p.Version+"-"+p.Release+" "+p.Arch)
				}
			}
			all, found, err := rpmPackages(t.Context(), root)
			if err != nil || !found {
				t.Fatal(found, err)
			}
			var ours []string
			for _, a := range all {
				ours = append(ours, a.name+" "+a.version+" "+a.architecture)
			}
			slices.Sort(ours)
			slices.Sort(theirs)
			if !slices.Equal(ours, theirs) || len(ours) == 0 {
				t.Errorf("we say %d packages\n%q\ngo-rpmdb says %d\n%q", len(ours), ours, len(theirs), theirs)
			}
		})
	}
}

// rpmHeader makes a header of texts and one number.
func rpmHeader(texts map[uint32]string, epoch *uint32) []byte {
	var index, data []byte
	entry := func(tag, kind uint32) {
		for _, n := range []uint32{tag, kind, uint32(len(data)), 1} {
			index = binary.BigEndian.AppendUint32(index, n)
		}
	}
	if epoch != nil {
		entry(rpmTagEpoch, rpmTypeInt32)
		data = binary.BigEndian.AppendUint32(data, *epoch)
	}
	for tag, text := range texts {
		entry(tag, rpmTypeString)
		data = append(append(data, text...), 0)
	}
	b := binary.BigEndian.AppendUint32(nil, uint32(len(index)/rpmEntry))
	b = binary.BigEndian.AppendUint32(b, uint32(len(data)))
	return append(append(b, index...), data...)
}

var plainHeader = map[uint32]string{rpmTagName: "name", rpmTagVersion: "1", rpmTagRelease: "2", rpmTagArch: "noarch"}

func TestParseRPMHeader(t *testing.T) {
	zero := uint32(0)
	for _, c := range []struct {
		epoch *uint32
		want  application
	}{{nil, application{"name", "1-2", "noarch"}}, {&zero, application{"name", "0:1-2", "noarch"}}} {
		if got, err := parseRPMHeader(rpmHeader(plainHeader, c.epoch)); err != nil || got != c.want {
			t.Errorf("%+v, %v, want %+v", got, err, c.want)
		}
	}
	whole := rpmHeader(plainHeader, &zero)
	for n := range whole {
		if _, err := parseRPMHeader(whole[:n]); fault.KindOf(err) != fault.Unavailable {
			t.Errorf("the first %d bytes: %v", n, err)
		}
	}
	if _, err := parseRPMHeader(rpmHeader(map[uint32]string{rpmTagName: "name"}, nil)); err == nil {
		t.Error("a package without a version")
	}
}

func FuzzParseRPMHeader(f *testing.F) {
	f.Add(rpmHeader(plainHeader, nil))
	f.Add([]byte{0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 3, 0xe8, 0, 0, 0, 6, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		if a, err := parseRPMHeader(b); err == nil && (a.name == "" || a.version == "" || len(a.name) > len(b)) {
			t.Fatalf("%x gives %+v", b, a)
		}
	})
}

// section makes a file of bytes.
func section(b []byte) *io.SectionReader {
	return io.NewSectionReader(bytes.NewReader(b), 0, int64(len(b)))
}

// smallNDB is a database of one package.
func smallNDB() []byte {
	header := rpmHeader(plainHeader, nil)
	b := make([]byte, ndbPage)
	copy(b, ndbMagic)
	binary.LittleEndian.PutUint32(b[12:], 1)
	for i := 2 * ndbBlock; i < ndbPage; i += ndbBlock {
		copy(b[i:], ndbSlotMagic)
	}
	binary.LittleEndian.PutUint32(b[2*ndbBlock+4:], 1)
	binary.LittleEndian.PutUint32(b[2*ndbBlock+8:], ndbPage/ndbBlock)
	b = append(b, ndbBlobMagic...)
	b = binary.LittleEndian.AppendUint32(b, 1)
	b = binary.LittleEndian.AppendUint32(b, 0)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(header)))
	return append(b, header...)
}

// smallBDB is a database of two packages, one on the hash page and one on
// overflow pages.
func smallBDB(order interface {
	binary.ByteOrder
	binary.AppendByteOrder
}) []byte {
	long := map[uint32]string{rpmTagName: "long", rpmTagVersion: "1", rpmTagRelease: strings.Repeat("9", 600)}
	inline, item := rpmHeader(plainHeader, nil), rpmHeader(long, nil)
	b := make([]byte, 4*bdbPageMin)
	order.PutUint32(b[12:], bdbMagic)
	order.PutUint32(b[20:], bdbPageMin)
	b[25] = bdbMeta
	order.PutUint32(b[32:], 3)

	page := b[bdbPageMin:][:bdbPageMin]
	order.PutUint16(page[20:], 6)
	page[25] = bdbHash
	end, slot := bdbPageMin, bdbPageHead
	for _, it := range [][]byte{
		{bdbInline, 0, 0, 0, 0}, {bdbInline, 9, 0, 0, 0}, // rpm's counter
		{bdbInline, 1, 0, 0, 0}, append([]byte{bdbInline}, inline...),
		{bdbInline, 2, 0, 0, 0}, order.AppendUint32(order.AppendUint32([]byte{bdbOffPage, 0, 0, 0}, 2), uint32(len(item))),
	} {
		end -= len(it)
		copy(page[end:], it)
		order.PutUint16(page[slot:], uint16(end))
		slot += 2
	}
	for n, rest := uint32(2), item; len(rest) > 0; n++ {
		page, used := b[n*bdbPageMin:][:bdbPageMin], min(len(rest), bdbPageMin-bdbPageHead)
		page[25] = bdbOverflow
		order.PutUint16(page[22:], uint16(used))
		if used < len(rest) {
			order.PutUint32(page[16:], n+1)
		}
		copy(page[bdbPageHead:], rest[:used])
		rest = rest[used:]
	}
	return b
}

func names(t *testing.T, read func(visit func([]byte) error) error) []string {
	t.Helper()
	var names []string
	err := read(func(header []byte) error {
		a, err := parseRPMHeader(header)
		names = append(names, a.name)
		return err
	})
	if err != nil {
		t.Error(err)
	}
	return names
}

func TestSmallDatabases(t *testing.T) {
	got := names(t, func(visit func([]byte) error) error { return readNDB(t.Context(), section(smallNDB()), visit) })
	if !slices.Equal(got, []string{"name"}) {
		t.Errorf("ndb has %q", got)
	}
	for _, b := range [][]byte{smallBDB(binary.LittleEndian), smallBDB(binary.BigEndian)} {
		got := names(t, func(visit func([]byte) error) error { return readBDB(t.Context(), section(b), visit) })
		if !slices.Equal(got, []string{"name", "long"}) {
			t.Errorf("Berkeley DB has %q", got)
		}
	}
	circle := smallBDB(binary.LittleEndian)
	item := bdbPageMin + int(binary.LittleEndian.Uint16(circle[bdbPageMin+bdbPageHead+2*5:]))
	binary.LittleEndian.PutUint32(circle[2*bdbPageMin+16:], 2) // a page that names itself the next
	binary.LittleEndian.PutUint32(circle[item+8:], 1<<32-1)
	if err := readBDB(t.Context(), section(circle), func([]byte) error { return nil }); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("pages in a circle: %v", err)
	}
	for n := range smallNDB() {
		if err := readNDB(t.Context(), section(smallNDB()[:n]), func([]byte) error { return nil }); fault.KindOf(err) != fault.Unavailable {
			t.Errorf("the first %d bytes of an ndb: %v", n, err)
		}
	}
}

// fuzzDatabase holds a reader to giving no more than there is, whatever a file
// says of itself.
func fuzzDatabase(f *testing.F, read func(context.Context, *io.SectionReader, func([]byte) error) error) {
	f.Fuzz(func(t *testing.T, b []byte) {
		total := 0
		err := read(t.Context(), section(b), func(header []byte) error {
			total += len(header)
			return nil
		})
		if err != nil && fault.KindOf(err) != fault.Unavailable {
			t.Fatal(err)
		}
		if total > 2*len(b) {
			t.Fatalf("%d bytes of packages from %d", total, len(b))
		}
	})
}

func FuzzReadNDB(f *testing.F) {
	f.Add(smallNDB())
	fuzzDatabase(f, readNDB)
}

func FuzzReadBDB(f *testing.F) {
	f.Add(smallBDB(binary.LittleEndian))
	f.Add(smallBDB(binary.BigEndian))
	fuzzDatabase(f, readBDB)
}
