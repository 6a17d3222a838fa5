package probe

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"catenary/internal/fault"
)

func TestFilesAreWhatCoreutilsSay(t *testing.T) {
	folder := t.TempDir()
	at := func(name string) string { return filepath.Join(folder, name) }
	text := write(t, at("text"), "first\nsecond line\nthird: Ünïcode\n\nlast")
	link := at("link")
	if err := os.Symlink("text", link); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(text, 0o640); err != nil {
		t.Fatal(err)
	}
	compareAll(t, newProbe(), []comparison{
		{"File MD5 Hash", []string{text}, nil, shell("md5sum " + text + " | cut -c1-32")},
		{"File SHA-1 Hash", []string{text}, nil, shell("sha1sum " + text + " | cut -c1-40")},
		{"File Size", []string{text}, nil, []string{"stat", "-c", "%s", text}},
		{"File Modified", []string{text}, nil, shell(`date -d @$(stat -c %Y ` + text + `) '+%a, %d %b %Y %H:%M:%S %z'`)},
		{"File Details", []string{text}, []int{0, 1, 3, 4, 5}, []string{"stat", "-c", "File|%s|0%a|%U|%G", text}},
		{"File Details", []string{link}, []int{0, 1, 3, 4}, []string{"stat", "-c", "Link||0%a|%U", link}},
		{"File Details", []string{"/usr/bin"}, []int{0, 1, 3, 4, 5}, []string{"stat", "-c", "Folder||0%a|%U|%G", "/usr/bin"}},
		{"Link Target", []string{link}, nil, []string{"readlink", link}},
		{"Last Lines", []string{text, "3"}, []int{1}, []string{"tail", "-n", "3", text}},
		{"Matching Lines", []string{text, "^(f|th)ir|st$"}, []int{0, 1}, shell(`grep -nE '^(f|th)ir|st$' ` + text + ` | sed 's/:/|/'`)},
		{"File Contains", []string{text, "cond l"}, nil, shell(`grep -qF 'cond l' ` + text + ` && echo True || echo False`)},
		{"File Contains", []string{text, "second.line"}, nil, shell(`grep -qF 'second.line' ` + text + ` && echo True || echo False`)},
	})
	if got := says(t, newProbe(), "Last Lines", text, "2"); strings.Join(got, ",") != "2|,1|last" {
		t.Errorf("the last lines are %q", got)
	}
}

// TestFileTypesAreWhatFileSays holds our names for kinds of files against
// words in the answers of file.
func TestFileTypesAreWhatFileSays(t *testing.T) {
	folder := t.TempDir()
	at := func(name string) string { return filepath.Join(folder, name) }
	write(t, at("script"), "#!/bin/sh\necho\n")
	write(t, at("text"), "Just wörds.\n")
	write(t, at("empty"), "")
	write(t, at("data"), "\x00\x01\x02\xff\xfe")
	write(t, at("xml"), "<?xml version=\"1.0\"?><a/>")
	write(t, at("pdf"), "%PDF-1.4\n%x\n")
	write(t, at("png"), "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x00\x00\x00\x00")
	tool(t, "sh", "-c", "cd "+folder+" && tar cf tar script && gzip -c tar > gz && bzip2 -c tar > bz2 && xz -c tar > xz && ar rc ar script && "+
		`python3 -c "import zipfile, sqlite3; zipfile.ZipFile('zip', 'w').write('script'); c = sqlite3.connect('db'); c.execute('create table t(a)'); c.commit()" && `+
		`openssl genpkey -algorithm ed25519 -out pem && mkdir deb deb/DEBIAN && printf 'Package: x\nVersion: 1\nArchitecture: all\nMaintainer: x <x@example.org>\nDescription: x\n' > deb/DEBIAN/control && dpkg-deb -b deb x.deb >/dev/null`)
	for path, want := range map[string][2]string{
		"/usr/bin/dpkg": {"ELF Program", "ELF"}, at("script"): {"Script", "script"}, at("text"): {"Text", "UTF-8"}, at("empty"): {"Empty", "empty"},
		at("data"): {"Data", "data"}, at("xml"): {"XML Text", "XML"}, at("pdf"): {"PDF Document", "PDF"}, at("png"): {"PNG Image", "PNG"},
		at("tar"): {"Tar Archive", "tar archive"}, at("gz"): {"Gzip Data", "gzip"}, at("bz2"): {"Bzip2 Data", "bzip2"}, at("xz"): {"XZ Data", "XZ"},
		at("ar"): {"Archive", "ar archive"}, at("zip"): {"Zip Archive", "Zip"}, at("db"): {"SQLite Database", "SQLite"}, at("pem"): {"PEM Text", "ASCII"},
		at("x.deb"): {"Debian Package", "Debian"},
	} {
		said := strings.Join(tool(t, "file", "-b", path), " ")
		if got := says(t, newProbe(), "File Type", path); got[0] != want[0] || !strings.Contains(strings.ToLower(said), strings.ToLower(want[1])) {
			t.Errorf("%s: we say %q and should say %s; file says %s", path, got, want[0], said)
		}
	}
	for head, want := range map[string]string{
		"MZ" + strings.Repeat("\x00", 58) + "\x40\x00\x00\x00PE\x00\x00": "Windows Program", "MZ" + strings.Repeat("\x00", 58) + "\x40\x00\x00\x00NE\x00\x00": "DOS Program",
		"MZ": "Windows Program", "\xca\xfe\xba\xbe\x00\x00\x00\x34": "Java Class", "\xca\xfe\xba\xbe\x00\x00\x00\x02": "Mac Program", "\xff\xfea\x00": "Text",
		"caf\xc3": "Text", "caf\xe9 ": "Data", "\x7f": "Data", "a\tb\r\n": "Text",
	} {
		if got := kindOf([]byte(head)); got != want {
			t.Errorf("%q is %s, want %s", head, got, want)
		}
	}
}

func TestSettingsInFiles(t *testing.T) {
	folder := t.TempDir()
	ini := write(t, filepath.Join(folder, "ini"), "top = 1\n; x\n[One]\na=2\nb : x = 3\nA = \"quoted \"\n[two]\n a\t= 4\nflag\n")
	doc := write(t, filepath.Join(folder, "json"), `{"servers":[{"name":"x","n":1.50},{"name":"y"}],"a/b":{"~":true},"none":null,"text":"z","list":["p",{"q":[1]},null]}`)
	compareAll(t, newProbe(), []comparison{
		{"INI Setting", []string{ini, "two", "a"}, nil, python("import configparser; c = configparser.ConfigParser(allow_no_value=True); c.read_string(open('" + ini + "').read().split('; x')[1].replace('A = ', 'c = ')); print(c['two']['a'])")},
		{"JSON Value", []string{doc, "/servers/1/name"}, nil, python("import json; print(json.load(open('" + doc + "'))['servers'][1]['name'])")},
		{"JSON Value", []string{doc, "/a~1b/~0"}, nil, shell("echo true")},
		{"JSON Value", []string{doc, "/servers/0/n"}, nil, shell("echo 1.50")},
		{"JSON Value", []string{doc, "/servers"}, nil, shell(`echo '{"n":1.50,"name":"x"}'; echo '{"name":"y"}'`)},
		{"JSON Value", []string{doc, "list"}, nil, shell(`printf 'p\n{"q":[1]}\nnull\n'`)},
		{"JSON Value", []string{doc, "/none"}, nil, shell(`true`)},
		{"JSON Value", []string{doc, "/text/x"}, nil, shell(`true`)},
		{"JSON Value", []string{doc, "/servers/9"}, nil, shell(`true`)},
	})
	saysAll(t, newProbe(), []saying{
		{"INI Setting", []string{ini, "", "TOP"}, []string{"1"}}, {"INI Setting", []string{ini, "ONE", "a"}, []string{"2", "quoted "}}, {"INI Setting", []string{ini, " two", " flag"}, []string{""}}, {"JSON Value", []string{doc, " /text"}, []string{"z"}},
	})
	for _, params := range [][]string{{ini, "three", "a"}, {ini, "two", "b"}} {
		if rows, err := newProbe().Run(t.Context(), "INI Setting", params); fault.KindOf(err) != fault.NotFound {
			t.Errorf("%q: %q, %v", params, rows, err)
		}
	}
}

// TestLongLines: what is longer than the reader's memory is cut, and the next
// line is found.
func TestLongLines(t *testing.T) {
	path := write(t, filepath.Join(t.TempDir(), "long"), strings.Repeat("x", 3*lineMax)+"end\nnext\r\n")
	rows, err := newProbe().Run(t.Context(), "Matching Lines", []string{path, "x$|next"})
	if err != nil || len(rows) != 2 || len(rows[0][1]) != lineMax || rows[1][0] != "2" || rows[1][1] != "next" {
		t.Errorf("%d rows, %v", len(rows), err)
	}
}

func FuzzKindOf(f *testing.F) {
	f.Add([]byte("MZ" + strings.Repeat("\x00", 58) + "\xff\xff\xff\xffPE"))
	f.Add([]byte("\xca\xfe\xba\xbe"))
	f.Fuzz(func(t *testing.T, b []byte) {
		kind, whole := kindOf(b), false
		for cut := range utf8.UTFMax { // the last character may be cut
			whole = whole || utf8.Valid(b[:max(0, len(b)-cut)])
		}
		marked := bytes.HasPrefix(b, []byte(markUTF16LE)) || bytes.HasPrefix(b, []byte(markUTF16BE))
		if kind == "" || kind == "Text" && !whole && !marked {
			t.Fatalf("%q is %q", b, kind)
		}
	})
}

func FuzzJSONAt(f *testing.F) {
	f.Add([]byte(`{"a":[1,{"b":"c"}]}`), "/a/1/b")
	f.Add([]byte(`[]`), "/0")
	f.Fuzz(func(t *testing.T, b []byte, place string) {
		values, err := jsonAt(b, place)
		if err == nil && !json.Valid(firstJSON(b)) {
			t.Fatalf("%q is no JSON and gives %q", b, values)
		}
	})
}

// firstJSON is the first value of several.
func firstJSON(b []byte) []byte {
	var raw json.RawMessage
	if err := json.NewDecoder(bytes.NewReader(b)).Decode(&raw); err != nil {
		return nil
	}
	return raw
}

func FuzzIniSettings(f *testing.F) {
	f.Add("[a]\nb = c\nd e\nf\n; g")
	f.Fuzz(func(t *testing.T, text string) {
		for _, s := range iniSettings(text) {
			if strings.ContainsAny(s.section+s.key+s.value, "\n") || strings.TrimSpace(s.key) != s.key {
				t.Fatalf("%q has %+v", text, s)
			}
		}
	})
}

// TestPackedListsAreReadAsAptReadsThem: apt packs its lists in one of two ways.
func TestPackedListsAreReadAsAptReadsThem(t *testing.T) {
	var text strings.Builder
	for i := range 3000 {
		fmt.Fprintf(&text, "Package: p%d\nVersion: %d.%d\nArchitecture: amd64\nDescription: %s\n\n", i, i%7, i, strings.Repeat("words ", i%50))
	}
	folder := t.TempDir()
	plain := write(t, filepath.Join(folder, "x_Packages"), text.String())
	tool(t, "sh", "-c", "cd "+folder+" && gzip -c x_Packages > y_Packages.gz && python3 - <<'E'\n"+lz4Writer+"\nE")
	count := func(path string) (n int) {
		err := eachOffer(t.Context(), tree("/"), path, func(name, version, architecture string) {
			if name != fmt.Sprint("p", n) || version != fmt.Sprintf("%d.%d", n%7, n) || architecture != "amd64" {
				t.Fatalf("%s: offer %d is %s %s %s", path, n, name, version, architecture)
			}
			n++
		})
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		return n
	}
	for _, name := range []string{"x_Packages", "y_Packages.gz", "z_Packages.lz4"} {
		if n := count(filepath.Join(folder, name)); n != 3000 {
			t.Errorf("%s has %d offers", name, n)
		}
	}
	lists, err := filepath.Glob("/var/lib/apt/lists/*_Packages.lz4")
	if err != nil {
		t.Fatal(err)
	}
	for _, list := range lists {
		n := 0
		if err := eachOffer(t.Context(), tree("/"), list, func(string, string, string) { n++ }); err != nil {
			t.Fatal(err)
		}
		if want := len(tool(t, "sh", "-c", "/usr/lib/apt/apt-helper cat-file "+list+" | grep '^Package: '")); n != want {
			t.Errorf("%s has %d offers, apt sees %d", list, n, want)
		}
	}
	if _, err := gzip.NewReader(strings.NewReader("x")); err == nil {
		t.Error("what is not packed is unpacked")
	}
	_ = plain // read above by its name
}

// lz4Writer packs a file in the simplest way that the format allows, with
// repetitions of what stands some bytes back.
const lz4Writer = `
import struct
data = open("x_Packages", "rb").read()
def length(n): return b"" if n < 15 else b"\xff" * ((n - 15) // 255) + bytes([(n - 15) % 255])
def block(part, start):
    out, at, table = b"", 0, {}
    for i in range(len(part) - 12):
        key = part[i:i+4]
        if i >= at and key in table and i - table[key] < 65536:
            n = 4
            while i + n < len(part) - 5 and part[table[key]+n] == part[i+n]: n += 1
            lit = part[at:i]
            out += bytes([min(len(lit), 15) << 4 | min(n - 4, 15)]) + length(len(lit)) + lit + struct.pack("<H", i - table[key]) + length(n - 4)
            at = i + n
        table[key] = i
    lit = part[at:]
    return out + bytes([min(len(lit), 15) << 4]) + length(len(lit)) + lit
with open("z_Packages.lz4", "wb") as f:
    f.write(struct.pack("<I", 0x184d2204) + b"\x60\x40\x82")
    for i in range(0, len(data), 65536):
        part = data[i:i+65536]
        if (i >> 16) % 3 == 2: f.write(struct.pack("<I", len(part) | 1 << 31) + part)
        else:
            b = block(part, i)
            f.write(struct.pack("<I", len(b)) + b)
    f.write(struct.pack("<I", 0))
`

func FuzzLZ4(f *testing.F) {
	f.Add([]byte("\x04\x22\x4d\x18\x60\x40\x82\x04\x00\x00\x00\x10a\x02\x00\x00\x00\x00\x00")) // it refers to what is before the beginning
	f.Add([]byte("\x04\x22\x4d\x18\x60\x40\x82\x05\x00\x00\x00\x10a\x01\x00\x00\x00\x00\x00\x00"))
	f.Add([]byte("\x04\x22\x4d\x18\x78\x40aaaaaaaa\x82\x01\x00\x00\x80a"))
	f.Fuzz(func(t *testing.T, b []byte) {
		z, err := newLZ4Reader(bytes.NewReader(b))
		if err != nil {
			return
		}
		buffer := make([]byte, 1<<16)
		for range 64 {
			n, err := z.Read(buffer)
			if n < 0 || n > len(buffer) || len(z.out) > lz4Window+lz4BlockMax {
				t.Fatalf("%q gives %d bytes of %d", b, n, len(z.out))
			}
			if err != nil {
				return
			}
		}
	})
}
