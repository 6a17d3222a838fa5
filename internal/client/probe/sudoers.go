package probe

import (
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

const (
	sudoersDeep = 16     // files that include each other
	sudoersMax  = 10_000 // rules
)

// A sudoRule lets somebody run something (sudoers(5)).
type sudoRule struct {
	who  string // an account, %group or #number
	rule string // hosts = (as whom) what
	file string
	line int
}

// noPassword reports whether a rule asks for no password.
func (r sudoRule) noPassword() bool { return strings.Contains(r.rule, "NOPASSWD:") }

// A sudoers is the rules of a file and of those that it includes.
type sudoers struct {
	at      tree
	rules   []sudoRule
	aliases map[string][]string // of users
	seen    map[string]bool     // files
}

// sudoRules reads the rules that are in force below a tree.
func sudoRules(at tree) ([]sudoRule, error) {
	s := sudoers{at: at, aliases: map[string][]string{}, seen: map[string]bool{}}
	for _, file := range []string{"/etc/sudoers", "/usr/local/etc/sudoers"} {
		if err := s.read(file, sudoersDeep); err != nil {
			return nil, err
		}
	}
	var out []sudoRule
	for _, r := range s.rules {
		for _, who := range s.expand(r.who, sudoersDeep) {
			out = append(out, sudoRule{who, r.rule, r.file, r.line})
		}
	}
	return out[:min(len(out), sudoersMax)], nil
}

func (s *sudoers) read(file string, deep int) error {
	if deep == 0 || s.seen[file] {
		return nil
	}
	s.seen[file] = true
	text, err := s.at.text(file)
	if err != nil {
		return err
	}
	for n, line := range logicalLines(text) {
		word, rest, _ := strings.Cut(strings.TrimSpace(strings.ReplaceAll(line, "\t", " ")), " ")
		rest = strings.Trim(strings.TrimSpace(rest), `"`)
		switch {
		case word == "@include" || word == "#include":
			err = s.read(besides(file, rest), deep-1)
		case word == "@includedir" || word == "#includedir":
			err = s.readFolder(besides(file, rest), deep-1)
		case word == "User_Alias":
			for definition := range strings.SplitSeq(rest, ":") {
				name, members, _ := strings.Cut(definition, "=")
				s.aliases[strings.TrimSpace(name)] = listOf(members)
			}
		case len(s.rules) < sudoersMax:
			s.rules = append(s.rules, sudoRules1(line, file, n)...)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// besides is the path of a file that another names.
func besides(file, named string) string {
	if filepath.IsAbs(named) {
		return named
	}
	return filepath.Join(filepath.Dir(file), named)
}

// readFolder reads the files of a folder but those whose names sudo passes over.
func (s *sudoers) readFolder(folder string, deep int) error {
	names, err := s.at.names(folder)
	if err != nil {
		return err
	}
	for _, name := range names {
		if strings.Contains(name, ".") || strings.HasSuffix(name, "~") {
			continue
		}
		if err := s.read(filepath.Join(folder, name), deep); err != nil {
			return err
		}
	}
	return nil
}

// expand puts the members of an alias in its place.
func (s *sudoers) expand(who string, deep int) []string {
	members, ok := s.aliases[who]
	if !ok || deep == 0 {
		return []string{who}
	}
	var out []string
	for _, m := range members {
		out = append(out, s.expand(m, deep-1)...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// logicalLines puts lines together that end in a backslash, and calls them by
// the number of their first.
func logicalLines(text string) func(yield func(int, string) bool) {
	return func(yield func(int, string) bool) {
		whole, first, n := "", 0, 0
		for line := range strings.Lines(text) {
			n++
			if whole == "" {
				first = n
			}
			line = strings.TrimRight(line, "\r\n")
			if begun, ok := strings.CutSuffix(line, `\`); ok {
				whole += begun + " "
				continue
			}
			if !yield(first, whole+line) {
				return
			}
			whole = ""
		}
		if whole != "" {
			yield(first, whole)
		}
	}
}

// sudoRules1 reads one line. What stands before the first = is a list of users
// and a list of hosts.
func sudoRules1(line, file string, n int) []sudoRule {
	line = withoutComment(line)
	left, right, ok := strings.Cut(line, "=")
	word, _, _ := strings.Cut(strings.TrimSpace(left), " ")
	if !ok || strings.HasPrefix(word, "Defaults") || strings.HasSuffix(word, "_Alias") {
		return nil
	}
	users, hosts := usersAndHosts(left)
	var rules []sudoRule
	for _, who := range users {
		rules = append(rules, sudoRule{who, hosts + "=" + strings.Join(strings.Fields(right), " "), file, n})
	}
	return rules
}

// withoutComment cuts what follows a #, unless it begins the number of an
// account.
func withoutComment(line string) string {
	for i := range len(line) {
		if line[i] == '#' && (i+1 == len(line) || line[i+1] < '0' || line[i+1] > '9') {
			return line[:i]
		}
	}
	return line
}

// usersAndHosts takes two lists apart. Within a list a comma stands between the
// names; the last gap without one parts the lists. A backslash before a blank
// and quotes keep it in a name.
func usersAndHosts(left string) (users []string, hosts string) {
	var words []string
	var word strings.Builder
	quoted, comma := false, false
	end := func() {
		if word.Len() > 0 {
			words, comma = append(words, word.String()), false
			word.Reset()
		}
	}
	var gaps []int // after how many words a gap without a comma is
	for i := 0; i < len(left); i++ {
		switch c := left[i]; {
		case c == '\\' && i+1 < len(left):
			i++
			word.WriteByte(left[i])
		case c == '"':
			quoted = !quoted
		case quoted || c != ' ' && c != '\t' && c != ',':
			if word.Len() == 0 && len(words) > 0 && !comma {
				gaps = append(gaps, len(words))
			}
			word.WriteByte(c)
		case c == ',':
			end()
			comma = true
		default:
			end()
		}
	}
	end()
	if len(gaps) == 0 {
		return nil, ""
	}
	at := gaps[len(gaps)-1]
	return words[:at], strings.Join(words[at:], ",")
}

// sudoRows tells the rules of sudo.
func sudoRows(at tree) ([][]string, error) {
	rules, err := sudoRules(at)
	if err != nil {
		return nil, err
	}
	var rows [][]string
	for _, r := range rules {
		rows = append(rows, []string{r.who, r.rule, yesNo(r.noPassword()), r.file, strconv.Itoa(r.line)})
	}
	return rows, nil
}
