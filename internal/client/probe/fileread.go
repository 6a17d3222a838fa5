package probe

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"catenary/internal/fault"
)

const (
	linesBytes = 64 << 20  // of a file that are searched: at some hundred megabytes per second well below a second
	lineMax    = 64 << 10  // bytes of a line that are searched
	linesCheck = 1 << 10   // lines between two looks at the context
	jsonMax    = 16 << 20  // bytes of a JSON file
	headMax    = 512       // bytes of a file by which its kind is judged
	placeSteps = 1_000     // of a way into a JSON value
	valueMax   = 256 << 10 // bytes of a value that is told whole
)

func fileSize(_ context.Context, path string) ([][]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, pathError(err)
	}
	if !info.Mode().IsRegular() {
		return nil, notRegular(path)
	}
	return [][]string{{strconv.FormatInt(info.Size(), 10)}}, nil
}

func fileModified(_ context.Context, path string) ([][]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, pathError(err)
	}
	return [][]string{{date(info.ModTime())}}, nil
}

func linkTarget(_ context.Context, path string) ([][]string, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return nil, pathError(err)
	}
	if info.Mode()&os.ModeSymlink == 0 {
		return nil, fault.New(fault.Invalid, "%s is not a symbolic link", path)
	}
	target, err := os.Readlink(path)
	if err != nil {
		return nil, pathError(err)
	}
	return [][]string{{target}}, nil
}

// fileDetails describes what is at a path, not what a link there leads to.
func (p *Probe) fileDetails() fact {
	return ofPath(func(_ context.Context, path string) ([][]string, error) {
		info, err := os.Lstat(path)
		if err != nil {
			return nil, pathError(err)
		}
		mode, owner, group := p.ownership(info)
		kind, bytes := entryOther, ""
		switch {
		case info.IsDir():
			kind = entryFolder
		case info.Mode()&os.ModeSymlink != 0:
			kind = entryLink
		case info.Mode().IsRegular():
			kind, bytes = entryFile, strconv.FormatInt(info.Size(), 10)
		}
		return [][]string{{kind, bytes, date(info.ModTime()), mode, owner, group}}, nil
	})
}

// magics are the first bytes by which a kind of file is known.
var magics = []struct{ kind, magic string }{
	{"ELF Program", "\x7fELF"}, {"Script", "#!"}, {"Debian Package", "!<arch>\ndebian"}, {"Archive", "!<arch>\n"},
	{"RPM Package", "\xed\xab\xee\xdb"}, {"Zip Archive", "PK\x03\x04"}, {"Zip Archive", "PK\x05\x06"}, {"Gzip Data", "\x1f\x8b"},
	{"Bzip2 Data", "BZh"}, {"XZ Data", "\xfd7zXZ\x00"}, {"Zstandard Data", "\x28\xb5\x2f\xfd"}, {"7-Zip Archive", "7z\xbc\xaf\x27\x1c"},
	{"RAR Archive", "Rar!\x1a\x07"}, {"Cabinet Archive", "MSCF"}, {"PDF Document", "%PDF-"}, {"PostScript", "%!PS"},
	{"Office Document", "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"}, {"PNG Image", "\x89PNG\r\n"}, {"JPEG Image", "\xff\xd8\xff"}, {"GIF Image", "GIF8"},
	{"SQLite Database", "SQLite format 3\x00"}, {"Java Class", "\xca\xfe\xba\xbe\x00\x00\x00"}, {"Property List", "bplist00"},
	{"Mac Program", "\xcf\xfa\xed\xfe"}, {"Mac Program", "\xce\xfa\xed\xfe"}, {"Mac Program", "\xca\xfe\xba\xbe"},
	{"Registry Hive", "regf"}, {"Event Log", "ElfFile\x00"}, {"Shortcut", "L\x00\x00\x00\x01\x14\x02\x00"},
	{"PEM Text", "-----BEGIN "}, {"XML Text", "<?xml "}, {"HTML Text", "<!DOCTYPE html"},
}

const (
	tarMagic   = "ustar"
	tarAt      = 257  // where it stands
	javaLeast  = 0x2d // the version with which the classes of Java begin; fewer are processors of a Mac program
	peHeaderAt = 0x3c // where a program of DOS says where it goes on for Windows
)

func fileType(_ context.Context, path string) ([][]string, error) {
	f, err := openRegular(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	head := make([]byte, headMax)
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return [][]string{{kindOf(head[:n])}}, nil
}

// kindOf judges a kind of file by its first bytes.
func kindOf(head []byte) string {
	if len(head) == 0 {
		return "Empty"
	}
	for _, m := range magics {
		if !bytes.HasPrefix(head, []byte(m.magic)) {
			continue
		}
		if m.kind == "Java Class" && (len(head) < 8 || head[7] < javaLeast) {
			continue
		}
		return m.kind
	}
	switch {
	case bytes.HasPrefix(head, []byte("MZ")):
		if len(head) > peHeaderAt+4 {
			at := binary.LittleEndian.Uint32(head[peHeaderAt:])
			if uint64(at)+4 <= uint64(len(head)) && string(head[at:at+4]) != "PE\x00\x00" {
				return "DOS Program"
			}
		}
		return "Windows Program"
	case len(head) > tarAt+len(tarMagic) && string(head[tarAt:tarAt+len(tarMagic)]) == tarMagic:
		return "Tar Archive"
	case bytes.HasPrefix(head, []byte(markUTF16LE)), bytes.HasPrefix(head, []byte(markUTF16BE)), isText(head):
		return "Text"
	}
	return "Data"
}

// isText reports whether bytes are UTF-8 without control characters other than
// those of texts. The last character may be cut.
func isText(b []byte) bool {
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		if r == utf8.RuneError && n == 1 {
			return !utf8.FullRune(b)
		}
		if r < ' ' && !strings.ContainsRune("\t\n\r\f\v\b\x1b", r) || r == 0x7f {
			return false
		}
		b = b[n:]
	}
	return true
}

func lastLines(_ context.Context, path string, params []string) ([][]string, error) {
	count, err := wholeNumber(params[0], 1, contentsLines)
	if err != nil {
		return nil, err
	}
	f, err := openRegular(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	id, err := f.identity()
	if err != nil {
		return nil, err
	}
	from := max(0, id.size-contentsMax)
	b, err := io.ReadAll(io.NewSectionReader(f, from, contentsMax))
	if err != nil {
		return nil, err
	}
	lines := splitLines(string(b))
	if from > 0 && len(lines) > 0 { // its first line is cut
		lines = lines[1:]
	}
	lines = lines[max(0, len(lines)-count):]
	rows := make([][]string, len(lines))
	for i, line := range lines {
		rows[i] = []string{strconv.Itoa(len(lines) - i), line}
	}
	return rows, nil
}

// eachLine calls visit for the lines of a text file, numbered from 1, until
// visit wants no more or so many bytes were read. Longer lines are cut.
func eachLine(ctx context.Context, path string, visit func(n int, line []byte) (more bool)) error {
	f, err := openRegular(path)
	if err != nil {
		return err
	}
	defer f.Close()
	r := bufio.NewReaderSize(io.LimitReader(f, linesBytes), lineMax)
	for n := 1; ; n++ {
		if n%linesCheck == 0 {
			if err := stoppedIf(ctx, "reading "+path); err != nil {
				return err
			}
		}
		line, err := r.ReadSlice('\n')
		more := len(line) == 0 || visit(n, bytes.TrimRight(line, "\r\n"))
		for errors.Is(err, bufio.ErrBufferFull) { // what is left of a line that is too long
			_, err = r.ReadSlice('\n')
		}
		switch {
		case errors.Is(err, io.EOF), !more:
			return nil
		case err != nil:
			return err
		}
	}
}

func matchingLines(ctx context.Context, path string, params []string) ([][]string, error) {
	pattern, err := regexp.Compile(params[0])
	if err != nil {
		return nil, fault.New(fault.Invalid, "%q is no regular expression: %w", params[0], err)
	}
	var rows [][]string
	err = eachLine(ctx, path, func(n int, line []byte) bool {
		if pattern.Match(line) {
			rows = append(rows, []string{strconv.Itoa(n), string(line)})
		}
		return len(rows) < searchMax
	})
	return rows, err
}

func fileContains(ctx context.Context, path string, params []string) ([][]string, error) {
	if params[0] == "" {
		return nil, fault.New(fault.Invalid, "the text is empty")
	}
	wanted, there := []byte(params[0]), false
	err := eachLine(ctx, path, func(_ int, line []byte) bool {
		there = bytes.Contains(line, wanted)
		return !there
	})
	if err != nil {
		return nil, err
	}
	return [][]string{{yesNo(there)}}, nil
}

func jsonValue(_ context.Context, path string, params []string) ([][]string, error) {
	b, err := smallFile(path, jsonMax)
	if err != nil {
		return nil, err
	}
	values, err := jsonAt(b, strings.TrimSpace(params[0]))
	if err != nil {
		return nil, fault.New(fault.Invalid, "%s: %w", path, err)
	}
	rows := make([][]string, len(values))
	for i, v := range values {
		rows[i] = []string{v}
	}
	return rows, nil
}

// jsonAt returns the value at a place, a way of names and numbers (RFC 6901).
// A list is told part by part; what has parts of its own is told as JSON.
func jsonAt(b []byte, place string) ([]string, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	steps := strings.SplitN(strings.TrimPrefix(place, "/"), "/", placeSteps)
	if strings.Trim(place, "/") == "" {
		steps = nil
	}
	for _, step := range steps {
		step = strings.NewReplacer("~1", "/", "~0", "~").Replace(step)
		switch inner := v.(type) {
		case map[string]any:
			v = inner[step]
		case []any:
			i, err := strconv.Atoi(step)
			if err != nil || i < 0 || i >= len(inner) {
				return nil, nil
			}
			v = inner[i]
		default:
			return nil, nil
		}
	}
	if parts, ok := v.([]any); ok {
		var out []string
		for _, part := range parts {
			text, err := jsonText(part)
			if err != nil {
				return nil, err
			}
			out = append(out, text)
		}
		return out, nil
	}
	if v == nil {
		return nil, nil
	}
	text, err := jsonText(v)
	return []string{text}, err
}

func jsonText(v any) (string, error) {
	if s, ok := v.(string); ok {
		return s, nil
	}
	b, err := json.Marshal(v)
	return string(b[:min(len(b), valueMax)]), err
}
