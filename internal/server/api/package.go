package api

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"catenary/internal/fault"
	"catenary/internal/server/depot"
	"catenary/internal/server/object"
	"catenary/internal/server/shelf"
)

const (
	commandMax      = 32 << 10         // characters of a command: what Windows runs at most
	commandLifeMax  = 7 * 24 * 60 * 60 // seconds
	packageFilesMax = 1000             // files of a package
)

// preparePackage checks a package, and gives its files numbers.
func (s *server) preparePackage(_ context.Context, _ call, ch *shelf.Change, was *shelf.Record, o *object.Object) error {
	command := o.Text("command")
	switch {
	case strings.TrimSpace(o.Text("name")) == "":
		return fault.New(fault.Invalid, "PackageNameRequired: a package needs a name")
	case strings.TrimSpace(command) == "":
		return fmt.Errorf("PackageCommandRequired: %w", object.Bad("command", "is missing, and a package needs it"))
	case len(command) > commandMax || strings.ContainsRune(command, 0):
		return object.Bad("command", "it has more than %d bytes, or a zero byte", commandMax)
	}
	for _, field := range []string{"command_timeout", "expire_seconds", "verify_expire_seconds"} {
		if n := o.Int(field); n < 0 || n > commandLifeMax {
			return object.Bad(field, "it is %d, not 0 to %d", n, commandLifeMax)
		}
	}
	if err := checkDefinition(o.Text("parameter_definition")); err != nil {
		return err
	}
	if err := checkCriteria(o); err != nil {
		return err
	}
	files, err := s.packageFiles(ch, was, o.Objects("files"))
	if err != nil {
		return err
	}
	o.Set("files", object.ListOf(files))
	if id := o.Int("verify_group_id"); id != 0 && o.Ref("verify_group").ID == 0 {
		o.Set("verify_group", object.Ref{ID: id})
	}
	return nil
}

const (
	exitCodeMin = math.MinInt32  // as systems say a process's exit, signed
	exitCodeMax = math.MaxUint32 // or unsigned
)

// checkCriteria wants the exit codes that mean success to be one or a range.
// Nothing at all says nothing of them.
func checkCriteria(o *object.Object) error {
	const field, one, start, end = "exit_code_criteria", "exit_code", "inclusive_start_exit_code", "inclusive_end_exit_code"
	is := o.Object(field)
	if is == nil {
		return nil
	}
	for _, code := range []string{one, start, end} {
		if n := is.Int(code); n < exitCodeMin || n > exitCodeMax {
			return object.In(field, object.Bad(code, "%d is no exit code: %d to %d", n, exitCodeMin, exitCodeMax))
		}
	}
	switch {
	case is.Has(start) != is.Has(end), is.Has(one) && is.Has(start):
		return object.Bad(field, "say %s, or both %s and %s", one, start, end)
	case is.Int(start) > is.Int(end):
		return object.Bad(field, "the range ends before it begins")
	case !is.Has(one) && !is.Has(start):
		o.Set(field, nil)
	}
	return nil
}

// checkDefinition wants the definition of parameters to be an object, in a text.
func checkDefinition(text string) error {
	if strings.TrimSpace(text) == "" {
		return nil
	}
	var whole struct {
		Parameters []struct {
			Key string `json:"key"`
		} `json:"parameters"`
	}
	if err := json.Unmarshal([]byte(text), &whole); err != nil {
		return object.Bad("parameter_definition", "it is not a JSON object of parameters in a text: %v", err)
	}
	return nil
}

// packageFiles checks the files of a package. Each has a number of its own,
// which it keeps while name and hash stay.
func (s *server) packageFiles(ch *shelf.Change, was *shelf.Record, files []*object.Object) ([]*object.Object, error) {
	if len(files) > packageFilesMax {
		return nil, object.Bad("files", "more than %d", packageFilesMax)
	}
	known, named := map[string]int64{}, map[string]*object.Object{}
	if was != nil {
		for _, f := range was.Object.Objects("files") {
			known[f.Text("name")+"\x00"+f.Text("hash")] = f.Int("id")
			named[f.Text("name")] = f
		}
	}
	next, names := int64(0), map[string]bool{}
	out := make([]*object.Object, len(files))
	for i, f := range files {
		f = f.Clone()
		out[i] = f
		where := fmt.Sprintf("files[%d]", i)
		if err := s.checkFile(where, f); err != nil {
			return nil, err
		}
		name := strings.ToLower(f.Text("name")) // as Windows finds it
		if names[name] {
			return nil, object.Bad(where+".name", "there are two files %q", shorten(f.Text("name")))
		}
		names[name] = true
		keepLearned(named[f.Text("name")], f)
		id := known[f.Text("name")+"\x00"+f.Text("hash")]
		if id == 0 {
			if next == 0 {
				next = highestFile(ch) + 1
			}
			id = next
			next++
		}
		f.Set("id", id)
	}
	return out, nil
}

func (s *server) checkFile(where string, f *object.Object) error {
	name := f.Text("name")
	if name == "" || len(name) > nameMax || strings.ContainsAny(name, "/\\\x00") || name == "." || name == ".." {
		return object.Bad(where+".name", "%q is no name for a file", shorten(name))
	}
	if text := f.Text("hash"); text != "" {
		h, err := depot.ParseHash(text)
		if err != nil {
			return object.Bad(where+".hash", "%v", err)
		}
		f.Set("hash", string(h))
		if size, ok := s.depot.Has(h); ok {
			f.Set("size", size)
		}
	} else if f.Text("source") == "" {
		return object.Bad(where, "either hash, of a file that was uploaded, or source is needed")
	}
	if text := f.Text("source"); text != "" {
		if u, err := url.Parse(text); err != nil || u.Host == "" || !slices.Contains([]string{"http", "https"}, u.Scheme) {
			return object.Bad(where+".source", "%q is no http or https address", shorten(text))
		}
	}
	if n := f.Int("download_seconds"); n < 0 || n > issueMax {
		return object.Bad(where+".download_seconds", "it is %d, not 0 to %d", n, issueMax)
	}
	return nil
}

// highestFile is the highest number that a file of a package has.
func highestFile(ch *shelf.Change) (highest int64) {
	for _, r := range ch.All("package_spec") {
		for _, f := range r.Object.Objects("files") {
			highest = max(highest, f.Int("id"))
		}
	}
	return highest
}

// derivePackage says which of a package's files are here.
func (s *server) derivePackage(r *shelf.Record, o *object.Object) {
	files := o.Objects("files")
	available := r.Modified
	for i, f := range files {
		f = f.Clone()
		files[i] = f
		if !s.deriveFile(f) {
			available = time.Time{}
		}
	}
	o.Set("files", object.ListOf(files))
	o.Set("available_time", available)
}

// removePackage refuses to delete a package that others need.
func (s *server) removePackage(_ context.Context, _ call, ch *shelf.Change, r *shelf.Record) error {
	return s.refuseUsed(ch, "Package", "package_spec", r)
}

// placeholder is where a command takes a parameter: $1, $2, …
var placeholder = regexp.MustCompile(`\$(\d+)`)

// finishedPackage is a package with its parameters, as an action runs it: with
// a command in which they stand, encoded so that no shell takes them for
// anything but text.
func finishedPackage(r *shelf.Record, parameters []*object.Object) (*object.Object, error) {
	o := object.New(object.ShapeOf("package_spec"))
	for _, field := range []string{
		"command", "command_timeout", "content_set", "display_name", "exit_code_criteria", "expire_seconds", "file_templates", "files", "parameter_definition",
		"process_group_flag", "skip_lock_flag", "verify_expire_seconds", "verify_group", "verify_group_id",
	} {
		if r.Object.Has(field) {
			o.Set(field, r.Object.Value(field))
		}
	}
	o.Set("id", r.ID)
	o.Set("name", r.Name)
	given := map[string]string{}
	for i, p := range parameters {
		key := p.Text("key")
		if !placeholder.MatchString(key) {
			key = "$" + strconv.Itoa(i+1) // some programs only say values
		}
		given[key] = p.Text("value")
	}
	wanted := placeholder.FindAllString(r.Object.Text("command"), -1)
	for _, key := range wanted {
		if _, ok := given[key]; !ok {
			return nil, fault.New(fault.Invalid, "the package %q needs a value for the parameter %s", r.Name, key)
		}
	}
	for key := range given {
		if !slices.Contains(wanted, key) {
			return nil, fault.New(fault.Invalid, "the command of the package %q has no parameter %s", r.Name, key)
		}
	}
	if len(given) > 0 {
		o.Set("parameters", object.ListOf(parameters))
		o.Set("source_id", r.ID)
		o.Set("command", placeholder.ReplaceAllStringFunc(r.Object.Text("command"), func(key string) string {
			return strings.ReplaceAll(url.QueryEscape(given[key]), "+", "%20")
		}))
	}
	return o, nil
}
