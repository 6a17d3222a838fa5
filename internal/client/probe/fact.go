package probe

import (
	"context"
	"path"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"catenary/internal/fault"
)

// parameterMax bounds what a parameter may say, in bytes: paths have no more.
const parameterMax = 4 << 10

// A fact computes one sensor. The functions below make facts from functions
// of simpler shapes.
type fact func(ctx context.Context, params []string) ([][]string, error)

// text is a fact of a single value.
func text(f func() (string, error)) fact {
	return table(func(context.Context) ([][]string, error) {
		s, err := f()
		if err != nil {
			return nil, err
		}
		return [][]string{{s}}, nil
	})
}

// textOf is the same for one whose computing can be stopped.
func textOf(f func(context.Context) (string, error)) fact {
	return table(func(ctx context.Context) ([][]string, error) {
		s, err := f(ctx)
		if err != nil {
			return nil, err
		}
		return [][]string{{s}}, nil
	})
}

// truth is a fact that is known before it is asked for.
func truth(b bool) fact {
	return text(func() (string, error) { return yesNo(b), nil })
}

// list is a fact of one column and any number of values, each said once.
func list(f func(context.Context) ([]string, error)) fact {
	return table(func(ctx context.Context) ([][]string, error) {
		values, err := f(ctx)
		if err != nil {
			return nil, err
		}
		return oneColumn(values), nil
	})
}

// oneColumn makes rows of one column from values, each said once.
func oneColumn(values []string) [][]string {
	slices.Sort(values)
	values = slices.Compact(values)
	rows := make([][]string, len(values))
	for i, v := range values {
		rows[i] = []string{v}
	}
	return rows
}

// table is a fact of several columns. It takes no parameters.
func table(f func(context.Context) ([][]string, error)) fact {
	return func(ctx context.Context, params []string) ([][]string, error) {
		if len(params) != 0 {
			return nil, fault.New(fault.Invalid, "the sensor takes no parameters, %d were given", len(params))
		}
		return f(ctx)
	}
}

// textIn, listIn and tableIn are the same for facts that the system's own files
// tell.
func (p *Probe) textIn(f func(tree) (string, error)) fact {
	return text(func() (string, error) { return f(p.root) })
}

func (p *Probe) listIn(f func(context.Context, tree) ([]string, error)) fact {
	return list(func(ctx context.Context) ([]string, error) { return f(ctx, p.root) })
}

func (p *Probe) tableIn(f func(context.Context, tree) ([][]string, error)) fact {
	return table(func(ctx context.Context) ([][]string, error) { return f(ctx, p.root) })
}

// with is a fact that takes so many parameters.
func with(count int, f func(ctx context.Context, params []string) ([][]string, error)) fact {
	return func(ctx context.Context, params []string) ([][]string, error) {
		if len(params) != count {
			return nil, fault.New(fault.Invalid, "the sensor takes %s, %d were given", counted(int64(count), "parameter"), len(params))
		}
		for _, param := range params {
			if len(param) > parameterMax || strings.ContainsRune(param, 0) {
				return nil, fault.New(fault.Invalid, "a parameter has at most %d bytes and no zero character", parameterMax)
			}
		}
		return f(ctx, params)
	}
}

// withIn is the same for facts that the system's own files tell.
func (p *Probe) withIn(count int, f func(ctx context.Context, at tree, params []string) ([][]string, error)) fact {
	return with(count, func(ctx context.Context, params []string) ([][]string, error) { return f(ctx, p.root, params) })
}

// ofPath is a fact about the file or folder that the asker names.
func ofPath(f func(ctx context.Context, path string) ([][]string, error)) fact {
	return pathAnd(0, func(ctx context.Context, path string, _ []string) ([][]string, error) { return f(ctx, path) })
}

// pathAnd is a fact about a path with so many more parameters.
func pathAnd(more int, f func(ctx context.Context, path string, params []string) ([][]string, error)) fact {
	return with(1+more, func(ctx context.Context, params []string) ([][]string, error) {
		if err := checkPath(params[0]); err != nil {
			return nil, err
		}
		return f(ctx, params[0], params[1:])
	})
}

// wholeNumber reads a parameter that is a number within limits.
func wholeNumber(param string, least, most int) (int, error) {
	n, err := strconv.Atoi(strings.TrimSpace(param))
	if err != nil || n < least || n > most {
		return 0, fault.New(fault.Invalid, "%q is no whole number from %d to %d", param, least, most)
	}
	return n, nil
}

const (
	isLinux   = runtime.GOOS == "linux"
	isWindows = runtime.GOOS == "windows"
	isMac     = runtime.GOOS == "darwin"
)

func platformName() (string, error) { return string(platform), nil }

// unknown is the error for a fact that this machine does not tell.
func unknown(what, why string) error {
	return fault.New(fault.NotFound, "the %s is not known: %s", what, why)
}

// A wildcard is a name in which * stands for any text and ? for any character,
// in any letter case.
type wildcard string

// newWildcard reads a parameter, around which a question may have blanks. What
// else has a meaning in patterns of paths has none here.
func newWildcard(param string) (wildcard, error) {
	if param = strings.TrimSpace(param); param == "" {
		return "", fault.New(fault.Invalid, "the name is empty")
	}
	escaped := strings.NewReplacer(`\`, `\\`, `[`, `\[`, `/`, "\x01").Replace(strings.ToLower(param))
	if _, err := path.Match(escaped, ""); err != nil {
		return "", fault.New(fault.Invalid, "%q is no name: %w", param, err)
	}
	return wildcard(escaped), nil
}

func (w wildcard) matches(name string) bool {
	ok, err := path.Match(string(w), strings.ReplaceAll(strings.ToLower(name), "/", "\x01")) // a slash is a character like others
	return err == nil && ok
}
