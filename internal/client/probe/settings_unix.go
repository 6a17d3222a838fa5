//go:build unix

package probe

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
)

const (
	includesDeep = 16    // files of settings that include each other
	includesMax  = 1_000 // files that are read for all that is included
)

// A sshOption is a line of the SSH server's files (sshd_config(5)).
type sshOption struct{ name, value, condition string }

// sshRepeated are the settings of which every line counts, not only the first.
var sshRepeated = []string{
	"acceptenv", "allowgroups", "allowusers", "denygroups", "denyusers", "hostkey", "listenaddress", "permitlisten", "permitopen",
	"port", "setenv", "subsystem",
}

// sshOptions reads the SSH server's settings. There are none on a machine
// without such a server.
func sshOptions(at tree) ([]sshOption, error) {
	const file = "/etc/ssh/sshd_config"
	if !at.has(file) {
		return nil, unknown("setting of the SSH server", "there is no "+file)
	}
	r := sshReader{at: at}
	return r.read(file, "")
}

// A sshReader reads files that include others.
type sshReader struct {
	at    tree
	above []string // the files that include the one that is read
	files int      // read so far
}

// read passes over a file that includes itself.
func (r *sshReader) read(file, condition string) ([]sshOption, error) {
	if r.files++; r.files > includesMax || len(r.above) == includesDeep || slices.Contains(r.above, file) {
		return nil, nil
	}
	text, err := r.at.text(file)
	if err != nil {
		return nil, err
	}
	r.above = append(r.above, file)
	defer func() { r.above = r.above[:len(r.above)-1] }()
	var all []sshOption
	for _, o := range parseSSH(text, condition) {
		if !strings.EqualFold(o.name, "include") {
			all = append(all, o)
			continue
		}
		for pattern := range strings.FieldsSeq(o.value) {
			files, err := r.at.glob(besides("/etc/ssh/x", strings.Trim(pattern, `"`)))
			if err != nil {
				return nil, err
			}
			for _, included := range files {
				more, err := r.read(included, o.condition)
				if err != nil {
					return nil, err
				}
				all = append(all, more...)
			}
		}
	}
	return all, nil
}

// parseSSH reads lines of a name and a value with blanks or = between. What
// follows Match counts only under its condition.
func parseSSH(text, condition string) []sshOption {
	outside := condition
	var all []sshOption
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		name, value := line, ""
		if i := strings.IndexAny(line, " \t="); i >= 0 {
			name, value = line[:i], strings.TrimSpace(strings.TrimLeft(line[i:], " \t="))
		}
		if !strings.EqualFold(name, "match") {
			all = append(all, sshOption{name, value, condition})
			continue
		}
		if condition = strings.TrimSpace(outside + " " + value); strings.EqualFold(value, "all") {
			condition = outside
		}
	}
	return all
}

// inForce leaves out the lines that an earlier one has made void.
func inForce(all []sshOption) []sshOption {
	var out []sshOption
	for _, o := range all {
		name := strings.ToLower(o.name)
		void := !slices.Contains(sshRepeated, name) && slices.ContainsFunc(out, func(e sshOption) bool {
			return strings.EqualFold(e.name, name) && e.condition == o.condition
		})
		if !void {
			out = append(out, o)
		}
	}
	return out
}

func sshSettings(_ context.Context, at tree) ([][]string, error) {
	all, err := sshOptions(at)
	var rows [][]string
	for _, o := range inForce(all) {
		rows = append(rows, []string{o.name, o.value, o.condition})
	}
	return rows, err
}

func sshSetting(_ context.Context, at tree, params []string) ([][]string, error) {
	all, err := sshOptions(at)
	var rows [][]string
	for _, o := range inForce(all) {
		if strings.EqualFold(o.name, strings.TrimSpace(params[0])) && o.condition == "" {
			rows = append(rows, []string{o.value})
		}
	}
	return rows, err
}

func pamRules(_ context.Context, at tree) ([][]string, error) {
	names, err := at.names("etc/pam.d")
	if err != nil {
		return nil, err
	}
	var rows [][]string
	for _, name := range names {
		text, err := at.text(filepath.Join("etc/pam.d", name))
		if err != nil {
			if passedOver(err) {
				continue
			}
			return nil, err
		}
		for _, line := range logicalLines(text) {
			if r := pamRule(line); r != nil {
				rows = append(rows, append([]string{name}, r...))
			}
		}
	}
	return rows, nil
}

// pamRule reads a line of pam.d(5): kind, control, module, arguments. The
// control may be a list in brackets.
func pamRule(line string) []string {
	line, _, _ = strings.Cut(line, "#")
	kind, rest := firstWord(strings.TrimSpace(line))
	if kind == "" {
		return nil
	}
	if strings.HasPrefix(kind, "@") {
		return []string{kind, "", rest, ""}
	}
	control, more := firstWord(rest)
	if strings.HasPrefix(rest, "[") {
		inner, after, ok := strings.Cut(rest, "]")
		if !ok {
			return nil
		}
		control, more = inner+"]", strings.TrimSpace(after)
	}
	module, arguments := firstWord(more)
	if module == "" {
		return nil
	}
	return []string{kind, control, module, arguments}
}
