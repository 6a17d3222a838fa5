package probe

import (
	"context"
	"strings"

	"catenary/internal/fault"
)

// settingsMax bounds a file of settings, in bytes; none is that long.
const settingsMax = 4 << 20

// A setting is a key in a file of sections and keys.
type setting struct{ section, key, value string }

// iniSettings reads a file of lines [section], key = value, or key value.
// Lines that begin with # or ; are comments. A key by itself has no value.
func iniSettings(text string) []setting {
	var all []setting
	section := ""
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' || line[0] == ';' {
			continue
		}
		if inner, ok := strings.CutPrefix(line, "["); ok {
			section, _, _ = strings.Cut(inner, "]")
			section = strings.TrimSpace(section)
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if !ok {
			if i := strings.IndexAny(line, " \t"); i >= 0 {
				key, value = line[:i], line[i:]
			}
		}
		value = strings.TrimSpace(value)
		if n := len(value); n >= 2 && (value[0] == '"' || value[0] == '\'') && value[n-1] == value[0] {
			value = value[1 : n-1]
		}
		all = append(all, setting{section, strings.TrimSpace(key), value})
	}
	return all
}

func iniSetting(_ context.Context, path string, params []string) ([][]string, error) {
	text, err := smallText(path, settingsMax)
	if err != nil {
		return nil, err
	}
	section, key := strings.TrimSpace(params[0]), strings.TrimSpace(params[1]) // a question may have blanks around them
	var rows [][]string
	for _, s := range iniSettings(text) {
		if strings.EqualFold(s.section, section) && strings.EqualFold(s.key, key) {
			rows = append(rows, []string{s.value})
		}
	}
	if rows == nil {
		return nil, fault.New(fault.NotFound, "%s has no key %q in section %q", path, key, section)
	}
	return rows, nil
}
