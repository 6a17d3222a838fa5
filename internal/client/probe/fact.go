package probe

import (
	"context"
	"runtime"
	"slices"

	"catenary/internal/fault"
)

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
		slices.Sort(values)
		values = slices.Compact(values)
		rows := make([][]string, len(values))
		for i, v := range values {
			rows[i] = []string{v}
		}
		return rows, nil
	})
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

// ofPath is a fact about the file or folder that the asker names.
func ofPath(f func(ctx context.Context, path string) ([][]string, error)) fact {
	return func(ctx context.Context, params []string) ([][]string, error) {
		if len(params) != 1 {
			return nil, fault.New(fault.Invalid, "the sensor takes one parameter, a path; %d were given", len(params))
		}
		if err := checkPath(params[0]); err != nil {
			return nil, err
		}
		return f(ctx, params[0])
	}
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
