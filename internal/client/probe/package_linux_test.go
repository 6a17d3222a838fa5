package probe

import (
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"catenary/internal/fault"
)

const statusFile = `Package: adduser
Status: install ok installed
Priority: important
Version: 3.134
Architecture: all
Description: add and remove users and groups
 This package includes the commands for
 Version: none
 .
 Package: nor this

Package: gone
Status: deinstall ok config-files
Version: 1
Architecture: amd64

Package: waiting
Architecture: amd64
Version: 1:2.0-1~deb12u1
status: hold ok triggers-awaited

Package: half
Status: install reinstreq half-installed
Version: 3

Package: nameless version
Status: install ok installed


Version: 7
Status: install ok installed

Package: last
Status: install ok installed
Version: 1.0`

func TestParseStatus(t *testing.T) {
	want := []application{
		{"adduser", "3.134", "all"}, {"waiting", "1:2.0-1~deb12u1", "amd64"}, {"last", "1.0", ""},
	}
	if got := parseStatus(statusFile, false); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	part := "Package: base-files\nVersion: 12.4\nArchitecture: amd64\n"
	if got := parseStatus(part, true); !reflect.DeepEqual(got, []application{{"base-files", "12.4", "amd64"}}) {
		t.Errorf("a part of an image: %+v", got)
	}
	if got := parseStatus(part, false); got != nil {
		t.Errorf("a package without a status: %+v", got)
	}
}

func FuzzParseStatus(f *testing.F) {
	f.Add(statusFile)
	f.Add("Package: a\r\nStatus: install ok installed\r\nVersion: 1\r\n\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		all := parseStatus(text, false)
		var b strings.Builder
		for _, a := range all {
			b.WriteString("Package: " + a.name + "\nStatus: install ok installed\nArchitecture: " + a.architecture + "\nVersion: " + a.version + "\n\n")
		}
		again := parseStatus(b.String(), false)
		if len(all) != len(again) || len(all) > 0 && !reflect.DeepEqual(all, again) {
			t.Fatalf("%q gives %+v, which gives %+v", text, all, again)
		}
	})
}

func TestApplicationsOfSeveralDatabases(t *testing.T) {
	root := t.TempDir()
	if _, err := applications(t.Context(), tree(root)); fault.KindOf(err) != fault.NotFound {
		t.Errorf("a machine without a database: %v", err)
	}
	write(t, filepath.Join(root, "var/lib/dpkg/status"), statusFile)
	write(t, filepath.Join(root, "var/lib/dpkg/status.d/base"), "Package: base-files\nVersion: 12.4\nArchitecture: amd64\n")
	write(t, filepath.Join(root, "var/lib/dpkg/status.d/base.md5sums"), "Package: no\nVersion: 1\n")
	got, err := applications(t.Context(), tree(root))
	want := [][]string{
		{"adduser", "3.134", "all", "dpkg"}, {"base-files", "12.4", "amd64", "dpkg"}, {"last", "1.0", "", "dpkg"},
		{"waiting", "1:2.0-1~deb12u1", "amd64", "dpkg"},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%q, %v", got, err)
	}
	write(t, filepath.Join(root, "var/lib/rpm/Packages"), "this is no database")
	if rows, err := applications(t.Context(), tree(root)); fault.KindOf(err) != fault.Unavailable || !strings.Contains(err.Error(), "rpm") {
		t.Errorf("half an answer is no answer: %q, %v", rows, err)
	}
}
