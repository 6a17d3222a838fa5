package probe

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"path/filepath"
	"strings"

	"catenary/internal/fault"
)

const (
	aptLists    = "/var/lib/apt/lists"
	releaseMax  = 8 << 20   // bytes of a repository's description
	listMax     = 512 << 20 // bytes of one list of packages, unpacked
	aptDeep     = 64        // blocks within blocks of apt's settings
	listLineMax = 64 << 10  // bytes of a line in a list of packages; longer ones are no names
)

// aptSettings reads a file of apt.conf(5): names and values, alone or in blocks
// in braces, with :: between the parts of a name.
func aptSettings(text string) [][2]string {
	var all [][2]string
	var scope []string
	var words []string
	note := func() {
		if len(words) == 0 {
			return
		}
		name := strings.Join(append(append([]string(nil), scope...), words[0]), "::")
		if len(words) > 1 {
			all = append(all, [2]string{name, words[1]})
		}
		words = nil
	}
	for _, token := range aptTokens(text) {
		switch token {
		case "{":
			if len(words) > 0 && len(scope) < aptDeep {
				scope = append(scope, words[0])
			}
			words = nil
		case "}":
			note()
			scope = scope[:max(0, len(scope)-1)]
		case ";":
			if len(words) == 1 && strings.HasPrefix(words[0], `"`) { // a part of a list
				words = []string{"", words[0]}
			}
			note()
		default:
			words = append(words, token)
		}
	}
	for i, s := range all {
		all[i][0], all[i][1] = strings.Trim(strings.ReplaceAll(s[0], "::::", "::"), ":"), strings.Trim(s[1], `"`)
	}
	return all
}

// aptTokens takes such a file apart into words, quoted texts with their quotes,
// braces and semicolons, without comments.
func aptTokens(text string) []string {
	var tokens []string
	for i := 0; i < len(text); {
		rest := text[i:]
		end := 1
		switch c := rest[0]; {
		case strings.HasPrefix(rest, "//") || c == '#':
			end = lengthTo(rest, "\n")
			i += end
			continue
		case strings.HasPrefix(rest, "/*"):
			i += lengthTo(rest, "*/")
			continue
		case c == '"':
			end = 1 + lengthTo(rest[1:], `"`)
		case strings.IndexByte("{};", c) >= 0:
		case strings.IndexByte(" \t\r\n", c) >= 0:
			i++
			continue
		default:
			if end = strings.IndexAny(rest, " \t\r\n{};\""); end < 0 {
				end = len(rest)
			}
		}
		tokens = append(tokens, rest[:end])
		i += end
	}
	return tokens
}

// lengthTo is how far it is behind the first mark, or to the end.
func lengthTo(s, mark string) int {
	if i := strings.Index(s, mark); i >= 0 {
		return i + len(mark)
	}
	return len(s)
}

// automaticUpdates tells the settings of apt's and dnf's own updates.
func automaticUpdates(_ context.Context, at tree) ([][]string, error) {
	files, err := at.glob("/etc/apt/apt.conf.d/*")
	if err != nil {
		return nil, err
	}
	last := map[string]string{}
	for _, file := range append(files, "/etc/apt/apt.conf") {
		text, err := at.text(file)
		if err != nil {
			if passedOver(err) {
				continue
			}
			return nil, err
		}
		for _, s := range aptSettings(text) {
			if strings.HasPrefix(s[0], "APT::Periodic::") || strings.HasPrefix(s[0], "Unattended-Upgrade::") {
				if strings.HasSuffix(s[0], "Origins-Pattern") || strings.HasSuffix(s[0], "Allowed-Origins") {
					s[1] = strings.TrimPrefix(last[s[0]]+", "+s[1], ", ")
				}
				last[s[0]] = s[1]
			}
		}
	}
	var rows [][]string
	for key, v := range last {
		rows = append(rows, []string{key, v})
	}
	text, err := at.text("etc/dnf/automatic.conf")
	for _, s := range iniSettings(text) {
		rows = append(rows, []string{"dnf-automatic " + s.section + "." + s.key, s.value})
	}
	return uniqueRows(rows), err
}

// repositories reads where packages come from: apt's lines and paragraphs, and
// the sections of dnf and zypper.
func repositories(_ context.Context, at tree) ([][]string, error) {
	var rows [][]string
	for _, from := range []struct {
		pattern string
		read    func(text, file string) [][]string
	}{
		{"/etc/apt/sources.list", aptLines}, {"/etc/apt/sources.list.d/*.list", aptLines}, {"/etc/apt/sources.list.d/*.sources", aptParagraphs},
		{"/etc/yum.repos.d/*.repo", rpmSections}, {"/etc/zypp/repos.d/*.repo", rpmSections},
	} {
		files, err := at.glob(from.pattern)
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			text, err := at.text(file)
			if err != nil {
				return nil, err
			}
			rows = append(rows, from.read(text, file)...)
		}
	}
	return uniqueRows(rows), nil
}

// aptLines reads lines of sources.list(5): deb, options in brackets, an
// address, a suite, components.
func aptLines(text, file string) [][]string {
	var rows [][]string
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		kind, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		if kind != "deb" && kind != "deb-src" {
			continue
		}
		if rest = strings.TrimSpace(rest); strings.HasPrefix(rest, "[") {
			_, rest, _ = strings.Cut(rest, "]")
		}
		if f := strings.Fields(rest); len(f) >= 2 {
			rows = append(rows, []string{kind, withoutUser(f[0]), f[1], strings.Join(f[2:], " "), yesNo(true), file})
		}
	}
	return rows
}

func aptParagraphs(text, file string) [][]string {
	var rows [][]string
	for _, p := range paragraphs(text) {
		enabled := !strings.EqualFold(p["enabled"], "no") && p["enabled"] != "0" && !strings.EqualFold(p["enabled"], "false")
		for kind := range strings.FieldsSeq(p["types"]) {
			for address := range strings.FieldsSeq(p["uris"]) {
				for suite := range strings.FieldsSeq(p["suites"]) {
					rows = append(rows, []string{kind, withoutUser(address), suite, strings.Join(strings.Fields(p["components"]), " "), yesNo(enabled), file})
				}
			}
		}
	}
	return rows
}

// paragraphs reads fields and their values (deb822(5)), the fields' names in
// lower case. A line that begins with a blank goes on with the field above.
func paragraphs(text string) []map[string]string {
	var all []map[string]string
	var p map[string]string
	field := ""
	for line := range strings.Lines(text) {
		trimmed := strings.TrimSpace(line)
		switch {
		case trimmed == "":
			p = nil
		case strings.HasPrefix(line, "#"):
		case line[0] == ' ' || line[0] == '\t':
			if p != nil && field != "" {
				p[field] += "\n" + trimmed
			}
		default:
			name, v, ok := strings.Cut(trimmed, ":")
			if !ok {
				continue
			}
			if p == nil {
				p = map[string]string{}
				all = append(all, p)
			}
			field = strings.ToLower(name)
			p[field] = strings.TrimSpace(v)
		}
	}
	return all
}

func rpmSections(text, file string) [][]string {
	sections := map[string]map[string]string{}
	for _, s := range iniSettings(text) {
		if sections[s.section] == nil {
			sections[s.section] = map[string]string{}
		}
		sections[s.section][strings.ToLower(s.key)] = s.value
	}
	var rows [][]string
	for name, s := range sections {
		for _, key := range []string{"baseurl", "metalink", "mirrorlist"} {
			if s[key] != "" {
				rows = append(rows, []string{"rpm", withoutUser(s[key]), name, "", yesNo(s["enabled"] != "0"), file})
				break
			}
		}
	}
	return rows
}

// An update is a newer version of an installed package.
type update struct{ installed, available, origin string }

// availableUpdates looks through the lists that apt has fetched. Repositories
// from which apt does not install by itself are passed over.
func availableUpdates(ctx context.Context, at tree) ([][]string, error) {
	all, err := debPackages(at)
	if err != nil {
		return nil, err
	}
	installed := map[string]string{}
	for _, p := range all {
		if p.installed() {
			installed[p.name+":"+p.architecture] = p.version
		}
	}
	lists, err := at.glob(aptLists + "/*_Packages*")
	if err != nil {
		return nil, err
	}
	if lists == nil {
		return nil, unknown("list of updates", "the machine has fetched no lists of packages")
	}
	updates := map[string]update{}
	for _, list := range lists {
		origin, takes, err := originOf(at, list)
		if err != nil {
			return nil, err
		}
		if !takes {
			continue
		}
		err = eachOffer(ctx, at, list, func(name, version, architecture string) {
			if architecture == "all" { // a package for one may be replaced by one for all
				for _, p := range all {
					if p.name == name {
						architecture = p.architecture
					}
				}
			}
			key := name + ":" + architecture
			have, ok := installed[key]
			if u := updates[key]; ok && compareDeb(version, have) > 0 && (u.available == "" || compareDeb(version, u.available) > 0) {
				updates[key] = update{have, version, origin}
			}
		})
		if err != nil {
			return nil, err
		}
	}
	var rows [][]string
	for key, u := range updates {
		name, _, _ := strings.Cut(key, ":")
		security := strings.Contains(strings.ToLower(u.origin), "security")
		rows = append(rows, []string{name, u.installed, u.available, u.origin, yesNo(security)})
	}
	return uniqueRows(rows), nil
}

// originOf tells from which repository a list is, by the description beside it
// with whose name the list's begins, and whether apt installs from there by
// itself.
func originOf(at tree, list string) (origin string, takes bool, err error) {
	base := strings.TrimSuffix(list, filepath.Ext(strings.ReplaceAll(path.Base(list), "_Packages", "")))
	base = base[:strings.LastIndex(base, "_Packages")]
	for i := strings.LastIndexByte(base, '_'); i > len(aptLists); i = strings.LastIndexByte(base[:i], '_') {
		for _, name := range []string{"_InRelease", "_Release"} {
			b, err := smallFile(at.at(base[:i]+name), releaseMax)
			if absent(err) {
				continue
			}
			if err != nil {
				return "", false, err
			}
			fields := map[string]string{}
			for _, p := range paragraphs(string(b)) {
				for key, v := range p {
					if fields[key] == "" {
						fields[key] = v
					}
				}
			}
			return strings.TrimSpace(fields["label"] + " " + fields["suite"]), !strings.EqualFold(fields["notautomatic"], "yes"), nil
		}
	}
	return path.Base(base), true, nil
}

// eachOffer calls visit for each package of a list.
func eachOffer(ctx context.Context, at tree, list string, visit func(name, version, architecture string)) error {
	f, err := openRegular(at.at(list))
	if err != nil {
		return err
	}
	defer f.Close()
	var r io.Reader = f
	switch filepath.Ext(list) {
	case ".gz":
		if r, err = gzip.NewReader(f); err != nil {
			return err
		}
	case ".lz4":
		if r, err = newLZ4Reader(f); err != nil {
			return fmt.Errorf("%s: %w", list, err)
		}
	case ".xz", ".bz2", ".zst":
		return fault.New(fault.NotFound, "%s is packed in a way that is not read here", list)
	}
	return readOffers(ctx, io.LimitReader(r, listMax), visit)
}

// readOffers reads only three fields of each paragraph: such lists are long.
func readOffers(ctx context.Context, r io.Reader, visit func(name, version, architecture string)) error {
	lines := bufio.NewReaderSize(r, listLineMax)
	var name, version, architecture string
	end := func() {
		if name != "" && version != "" {
			visit(name, version, architecture)
		}
		name, version, architecture = "", "", ""
	}
	for n := 1; ; n++ {
		if n%linesCheck == 0 {
			if err := stoppedIf(ctx, "reading the lists of packages"); err != nil {
				return err
			}
		}
		line, err := lines.ReadSlice('\n')
		line = bytes.TrimRight(line, "\r\n")
		switch {
		case len(line) == 0:
			end()
		case bytes.HasPrefix(line, []byte("Package: ")):
			name = string(bytes.TrimSpace(line[len("Package: "):]))
		case bytes.HasPrefix(line, []byte("Version: ")):
			version = string(bytes.TrimSpace(line[len("Version: "):]))
		case bytes.HasPrefix(line, []byte("Architecture: ")):
			architecture = string(bytes.TrimSpace(line[len("Architecture: "):]))
		}
		for errors.Is(err, bufio.ErrBufferFull) { // what is left of a line that is too long
			_, err = lines.ReadSlice('\n')
		}
		if errors.Is(err, io.EOF) {
			end()
			return nil
		}
		if err != nil {
			return err
		}
	}
}
