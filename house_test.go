package catenary

// The rules of this house, as a test. It reads the tree; it runs nothing but
// `go list`.

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "catenary"

// imports says which package below internal/ may import which. It is a
// statement of policy: do not widen a line to make a build pass. A package that
// is not listed may import nothing of ours, and nothing may import it. "!"
// marks the ground: pure, without input or output, clock, chance or goroutine.
//
// A stage imports the nouns it takes and gives, never the stage before or after
// it; only the hosts (client, server, sim) join stages; only cmd joins hosts,
// store and API; a child never imports its parent; client/… and server/… never
// meet.
const imports = `
	! fault    :
	! field    :
	! value    :
	! endpoint :
	! boundary :
	! seal     :
	! trust    : seal
	! expr     : value field fault
	! sensor   : value answer field fault
	! answer   :
	! question : value expr sensor fault
	! filter   : question sensor value fault
	! content  : server/object fault
	! plan     : question sensor expr answer value field fault
	! chain    : endpoint
	! sweep    : answer
	! wire     : answer endpoint field
	! box      : answer seal
	! node     : chain sweep wire answer box endpoint seal

	  keyfile      :
	  link         : wire endpoint
	  client/probe : sensor value fault
	  client/exec  : sensor fault
	  client       : node chain wire link plan sensor answer seal trust endpoint keyfile client/probe client/exec

	! server/roster   : boundary endpoint answer
	! server/tally    : answer
	! server/dispatch : server/roster server/tally wire answer endpoint
	  server/store    : answer boundary endpoint sensor value fault
	  server/store/storetest :
	! server/object   : fault
	! server/rights   :
	! server/reissue  :
	  server/depot    : fault
	  server/diagnosis : fault
	  server/certificate : keyfile fault
	  server/fetch    : server/depot fault
	! server/resultset : question plan sensor expr answer value fault
	  server/shelf    : server/object server/store value fault
	  server/sensors  : server/object server/shelf server/store sensor answer value fault
	  server/setting  : server/object server/shelf fault
	  server/apicheck :
	  server/people   : server/object server/rights server/shelf server/store fault
	  server/signin   : fault
	  server/signin/signintest :
	  server/api      : content server/certificate server/setting server/sensors server/depot server/diagnosis server/fetch server/reissue server/signin server/resultset server/object server/shelf server/rights server/people filter question plan sensor value expr answer boundary endpoint fault server/store server/tally
	  server          : server/setting server/sensors server/resultset server/object server/shelf server/people server/dispatch server/roster server/tally server/store wire box link plan question sensor answer boundary seal trust endpoint keyfile fault

	  sim  : node chain sweep wire answer boundary box endpoint seal server/dispatch server/roster server/tally
	  cli  : content value sensor answer boundary fault
	  demo :
	  lab  : demo trust fault
`

var impure = []string{"net", "os", "syscall", "log", "context", "sync", "database/sql", "crypto/rand"}

func TestImports(t *testing.T) {
	allowed, pure := rules()
	walk(t, func(dir, file string, f *ast.File, fset *token.FileSet) {
		dir, inside := strings.CutPrefix(dir, "internal/")
		if strings.HasSuffix(file, "_test.go") || !inside {
			return
		}
		if _, known := allowed[dir]; !known {
			t.Errorf("%s: %s is in no rule: say what it may import", file, dir)
		}
		for _, im := range f.Imports {
			path := strings.Trim(im.Path.Value, `"`)
			if to, ours := strings.CutPrefix(path, module+"/internal/"); ours && !slices.Contains(allowed[dir], to) {
				t.Errorf("%s: %s may not import %s", file, dir, to)
			}
			root, _, _ := strings.Cut(path, "/")
			if pure[dir] && path != "net/netip" && path != "net/url" && (slices.Contains(impure, root) || slices.Contains(impure, path)) {
				t.Errorf("%s: %s is pure and may not import %s", file, dir, path)
			}
		}
		if pure[dir] {
			checkPure(t, dir, f, fset)
		}
	})
}

func checkPure(t *testing.T, dir string, f *ast.File, fset *token.FileSet) {
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt, *ast.SelectStmt, *ast.ChanType:
			t.Errorf("%s: %s is pure and may not run anything concurrently", fset.Position(n.Pos()), dir)
		case *ast.SelectorExpr:
			x, ok := n.X.(*ast.Ident)
			if ok && x.Name == "time" && slices.Contains([]string{"Now", "Since", "Until", "After", "AfterFunc", "Sleep", "NewTimer", "NewTicker", "Tick"}, n.Sel.Name) {
				t.Errorf("%s: %s is pure: the time is an argument", fset.Position(n.Pos()), dir)
			}
			if ok && x.Name == "rand" && !slices.Contains([]string{"New", "NewPCG", "PCG", "Rand"}, n.Sel.Name) {
				t.Errorf("%s: %s is pure: chance comes from a seed", fset.Position(n.Pos()), dir)
			}
		}
		return true
	})
}

func TestTidy(t *testing.T) {
	const fileMax, funcMax = 600, 70
	documented := map[string]bool{}
	walk(t, func(dir, file string, f *ast.File, fset *token.FileSet) {
		switch filepath.Base(dir) {
		case "util", "utils", "common", "helpers", "types", "models", "misc", "shared", "base", "core", "lib", "pkg":
			t.Errorf("%s: a package is named for what it provides, not %q", dir, filepath.Base(dir))
		}
		if n := fset.Position(f.End()).Line; n > fileMax {
			t.Errorf("%s has %d lines, more than %d", file, n, fileMax)
		}
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok {
				if n := fset.Position(fn.End()).Line - fset.Position(fn.Pos()).Line + 1; n > funcMax {
					t.Errorf("%s: %s has %d lines, more than %d", file, fn.Name.Name, n, funcMax)
				}
			}
		}
		if strings.HasSuffix(file, "_test.go") {
			ast.Inspect(f, func(n ast.Node) bool {
				if s, ok := n.(*ast.SelectorExpr); ok && s.Sel.Name == "Sleep" && !usesFakeTime(f) {
					if x, ok := s.X.(*ast.Ident); ok && x.Name == "time" {
						t.Errorf("%s: tests wait for events, not for time to pass", fset.Position(s.Pos()))
					}
				}
				return true
			})
			return
		}
		documented[dir] = documented[dir] || f.Doc != nil
	})
	for dir, ok := range documented {
		if !ok {
			t.Errorf("package %s does not say what it is", dir)
		}
	}
}

// usesFakeTime reports whether a test file runs in synctest bubbles, where
// time.Sleep only moves the bubble's clock.
func usesFakeTime(f *ast.File) bool {
	return slices.ContainsFunc(f.Imports, func(im *ast.ImportSpec) bool { return im.Path.Value == `"testing/synctest"` })
}

// TestClientBinary: nothing of the server is linked into an endpoint's
// program, nor what only a server needs. (SQLite is there: rpm keeps its
// package database in it.)
func TestClientBinary(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "./cmd/catenary-client").Output()
	if err != nil {
		t.Fatal(err)
	}
	for dep := range strings.Lines(string(out)) {
		dep = strings.TrimSpace(dep)
		for _, forbidden := range []string{
			module + "/internal/server", module + "/internal/cli", module + "/internal/demo", module + "/internal/lab", module + "/internal/sim",
			"github.com/uptrace/bun", "github.com/pressly/goose", "github.com/prometheus/client_golang", "net/http",
		} {
			if dep == forbidden || strings.HasPrefix(dep, forbidden+"/") {
				t.Errorf("catenary-client links %s", dep)
			}
		}
	}
}

func rules() (allowed map[string][]string, pure map[string]bool) {
	allowed, pure = map[string][]string{}, map[string]bool{}
	for line := range strings.Lines(imports) {
		from, to, ok := strings.Cut(line, ":")
		if !ok {
			continue
		}
		name := strings.Fields(from)
		if name[0] == "!" {
			name = name[1:]
			pure[name[0]] = true
		}
		allowed[name[0]] = strings.Fields(to)
	}
	return allowed, pure
}

func walk(t *testing.T, visit func(dir, file string, f *ast.File, fset *token.FileSet)) {
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "testdata" || d.Name() == ".git" || d.Name() == "tools"):
			return fs.SkipDir
		case !strings.HasSuffix(path, ".go") || filepath.Dir(path) == ".":
			return nil
		}
		src, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, path, src, parser.ParseComments)
		if err != nil {
			return err
		}
		visit(filepath.ToSlash(filepath.Dir(path)), path, f, fset)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
