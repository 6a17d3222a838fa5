package object

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"catenary/internal/fault"
)

const small = `
thing
	id      @id
	name    string req
	size    number =7
	on      bool
	open    flag
	until   date
	sort    enum:plain|very_odd
	raw     any
	owner   ref:user
	friends [ref:user]
	parts   [part]
	hidden  string hidden
	seen    number ro
	made    @created
	maker   @creator
	gone    @deleted:flag
part
	name   string
	thing  thing
	parts  [part]
safe
	name   string
	pin    string secret
	places [string] secret
`

var (
	thing = mustParse(small)["thing"]
	safe  = mustParse(small)["safe"]
)

func users(kind string, id int64) string {
	if kind == "user" && id == 3 {
		return "ann"
	}
	return ""
}

var head = Header{ID: 9, Created: time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC), CreatedBy: 3}

func TestDecode(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{`{}`, `{"id":9,"name":"","size":7,"on":false,"open":0,"until":"2001-01-01T00:00:00Z","sort":"plain","owner":{"id":0},"friends":[],"parts":[],"seen":0,"made":"2026-11-22T08:00:00Z","maker":{"id":3,"name":"ann"},"gone":0}`},
		{`{"name":"x","size":"12","on":1,"open":"true","until":"2026-01-02","sort":"VERY ODD","raw":{"a": [1, 2]},"owner":{"id":"3"},
		   "friends":[{"id":3},4],"id":5,"seen":8,"made":"no","hidden":"pw","nobody":1}`,
			`{"id":9,"name":"x","size":12,"on":true,"open":1,"until":"2026-01-02T00:00:00Z","sort":"very odd","raw":{"a":[1,2]},"owner":{"id":3,"name":"ann"},"friends":[{"id":3,"name":"ann"},{"id":4}],"parts":[],"seen":0,"made":"2026-11-22T08:00:00Z","maker":{"id":3,"name":"ann"},"gone":0}`},
		{`{"name":null,"parts":[{"name":"p","thing":{"id":4,"name":"q"}}]}`,
			`{"id":9,"name":"","size":7,"on":false,"open":0,"until":"2001-01-01T00:00:00Z","sort":"plain","owner":{"id":0},"friends":[],"parts":[{"name":"p","thing":{"id":4,"name":"q"},"parts":[]}],"seen":0,"made":"2026-11-22T08:00:00Z","maker":{"id":3,"name":"ann"},"gone":0}`},
	} {
		o, err := thing.Decode([]byte(tt.in), Lenient)
		if err != nil {
			t.Fatalf("%s: %v", tt.in, err)
		}
		if diff := cmp.Diff(tt.want, string(o.Append(nil, head, users))); diff != "" {
			t.Errorf("%s: %s", tt.in, diff)
		}
	}
}

func TestDecodeErrors(t *testing.T) {
	for in, want := range map[string]string{
		`[]`:                                     `an object is expected, and it is a list`,
		`{"name":{}}`:                            `the field "name": a text is expected, and it is an object`,
		`{"size":1.5}`:                           `the field "size": a whole number is expected, and it is a number`,
		`{"size":"many"}`:                        `the field "size": a whole number is expected, and it is a text`,
		`{"on":2}`:                               `the field "on": true or false is expected, and it is a number`,
		`{"sort":"blue"}`:                        `the field "sort": "blue" is none of plain, very odd`,
		`{"until":"tomorrow"}`:                   `the field "until": a time like 2026-11-22T08:00:00Z is expected, and it is a text`,
		`{"owner":"ann"}`:                        `the field "owner": an object with "id" or "name" is expected, and it is a text`,
		`{"friends":{}}`:                         `the field "friends": a list is expected, and it is an object`,
		`{"friends":[1,"x"]}`:                    `the field "friends[1]": an object with "id" or "name" is expected, and it is a text`,
		`{"parts":[{"parts":[{},{"name":[]}]}]}`: `the field "parts[0].parts[1].name": a text is expected, and it is a list`,
		`{"parts":` + strings.Repeat(`[{"parts":`, 1000) + `[]` + strings.Repeat(`}]`, 1000) + `}`: `more than 64 objects stand within each other`,
	} {
		_, err := thing.Decode([]byte(in), Lenient)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60s: %v, want %s", in, err, want)
		}
		if fault.KindOf(err) != fault.Invalid {
			t.Errorf("%.60s: the error is of kind %v", in, fault.KindOf(err))
		}
	}
	if _, err := thing.Decode([]byte(`{"name":"x","nmae":"y"}`), Strict); err == nil || !strings.Contains(err.Error(), `"nmae": is not known here`) {
		t.Errorf("a field that is not known: %v", err)
	}
}

func TestCell(t *testing.T) {
	o, err := thing.Decode([]byte(`{"name":"x","owner":{"id":3},"friends":[3,4],"parts":[{"name":"a"},{"name":"b"}],"hidden":"pw"}`), Lenient)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"name": "x", "size": "7", "on": "false", "open": "0", "owner/name": "ann", "owner.id": "3", "owner": "3",
		"friends/name": "ann,", "parts/name": "a,b", "id": "9", "maker/name": "ann", "made": "2026-11-22T08:00:00Z",
	} {
		if got, ok := o.Cell(path, head, users); !ok || got != want || !thing.HasPath(path) {
			t.Errorf("%s is %q (%v), want %q", path, got, ok, want)
		}
	}
	for _, path := range []string{"hidden", "nobody", "name/length", "owner/age", "parts/nobody", ""} {
		if got, ok := o.Cell(path, head, users); ok || thing.HasPath(path) {
			t.Errorf("%s is %q", path, got)
		}
	}
}

func TestDiff(t *testing.T) {
	was, _ := thing.Decode([]byte(`{"name":"x","hidden":"a","owner":3}`), Lenient)
	now, _ := thing.Decode([]byte(`{"name":"y","hidden":"b","owner":4,"size":7}`), Lenient)
	want := []Difference{{"name", "x", "y"}, {"owner", `{"id":3,"name":"ann"}`, `{"id":4}`}, {"hidden", "(secret)", "(secret)"}}
	if diff := cmp.Diff(want, Diff(was, now, users)); diff != "" {
		t.Error(diff)
	}
}

func TestEach(t *testing.T) {
	o, err := thing.Decode([]byte(`{"owner":{"name":"ann"},"friends":[{"name":"ann"}],"parts":[{"thing":{"owner":{"name":"bob"}}}]}`), Lenient)
	if err != nil {
		t.Fatal(err)
	}
	before := string(o.Store())
	c := o.Clone()
	err = c.Each(func(kind string, r Ref) (Ref, error) {
		switch r.Name {
		case "ann":
			return Ref{ID: 3}, nil
		}
		return r, Bad("", "nobody is called %s", r.Name)
	})
	if err == nil || err.Error() != `the field "parts[0].thing.owner": nobody is called bob` || fault.KindOf(err) != fault.Invalid {
		t.Errorf("error is %v", err)
	}
	if got := string(o.Store()); got != before {
		t.Errorf("the original has become %s", got)
	}
}

// TestStore: what is stored is what is loaded, and has one form.
func TestStore(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := draw(t, thing, 0)
		b := o.Store()
		if !json.Valid(b) {
			t.Fatalf("not JSON: %s", b)
		}
		again, err := thing.Load(b)
		if err != nil {
			t.Fatal(err)
		}
		if c := again.Store(); !bytes.Equal(b, c) {
			t.Fatalf("%s\nis loaded as\n%s", b, c)
		}
		seen := o.Append(nil, head, users)
		if !json.Valid(seen) || bytes.Contains(seen, []byte("hidden")) {
			t.Fatalf("shown as %s", seen)
		}
	})
}

// TestSplit: what is secret stands in the second part only, and both together
// are the object.
func TestSplit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := draw(t, safe, 0)
		open, secret := o.Split()
		if bytes.Contains(open, []byte("pin")) || bytes.Contains(open, []byte("places")) || bytes.Contains(secret, []byte("name")) {
			t.Fatalf("split into %s and %s", open, secret)
		}
		if said := o.Has("pin") || o.Has("places"); said != (secret != nil) {
			t.Fatalf("%s is split into %s and %s", o.Store(), open, secret)
		}
		again, err := safe.Load(open, secret)
		if err != nil || !bytes.Equal(again.Store(), o.Store()) {
			t.Fatalf("%s and %s are loaded as %s, %v", open, secret, again.Store(), err)
		}
		if whole, err := safe.Load(o.Store()); err != nil || !bytes.Equal(whole.Store(), o.Store()) {
			t.Fatalf("%s is loaded as %s, %v", o.Store(), whole.Store(), err)
		}
		if shown := o.Append(nil, head, users); bytes.Contains(shown, []byte("pin")) {
			t.Fatalf("shown as %s", shown)
		}
	})
	if _, err := parse("a\n\tb b\nb\n\tpin string secret"); err == nil || !strings.Contains(err.Error(), "secrets within objects") {
		t.Errorf("a secret within an object: %v", err)
	}
}

func draw(t *rapid.T, s *Shape, depth int) *Object {
	o := New(s)
	for i := range s.Fields {
		f := &s.Fields[i]
		if f.Type == Head || depth > 2 || rapid.Bool().Draw(t, "left out") {
			continue
		}
		if !f.List {
			o.Set(f.Name, drawOne(t, f, depth))
			continue
		}
		list := []any{}
		for range rapid.IntRange(0, 3).Draw(t, "length") {
			list = append(list, drawOne(t, f, depth))
		}
		o.Set(f.Name, list)
	}
	return o
}

func drawOne(t *rapid.T, f *Field, depth int) any {
	switch f.Type {
	case Number:
		return rapid.Int64().Draw(t, "n")
	case Bool, Flag:
		return rapid.Bool().Draw(t, "b")
	case Date:
		return time.Unix(rapid.Int64Range(0, 4e9).Draw(t, "s"), 0).UTC()
	case Enum:
		return rapid.SampledFrom(f.Values).Draw(t, "e")
	case Any:
		return json.RawMessage(`{"a":[1,"é"]}`)
	case Reference:
		return Ref{ID: rapid.Int64Min(0).Draw(t, "r")}
	case Nested:
		return draw(t, f.Of, depth+1)
	}
	return rapid.String().Draw(t, "s")
}

// TestText: our JSON strings are those of the standard library.
func TestText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := string(rapid.SliceOf(rapid.Byte()).Draw(t, "s"))
		theirs, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		var got, want string
		if err := errors.Join(json.Unmarshal(theirs, &want), json.Unmarshal(AppendText(nil, s), &got)); err != nil || got != want {
			t.Fatalf("%q is read back as %q, want %q: %v", s, got, want, err)
		}
	})
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"name":"x","parts":[{"name":"p"}],"owner":{"id":3}}`))
	f.Add([]byte(`{"raw":{"a":1},"until":"Never","open":1}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		o, err := thing.Decode(body, Lenient)
		if err != nil {
			return
		}
		if b := o.Append(nil, head, users); !json.Valid(b) {
			t.Errorf("%q becomes %q", body, b)
		}
		if again, err := thing.Load(o.Store()); err != nil || !bytes.Equal(again.Store(), o.Store()) {
			t.Errorf("%q is stored as %q: %v", body, o.Store(), err)
		}
	})
}

func TestShapes(t *testing.T) {
	if len(Shapes()) < 45 {
		t.Errorf("only %d shapes", len(Shapes()))
	}
	for text, want := range map[string]string{
		"a\n\tx blue\n":                  "nowhere described",
		"a\n\tx string\n\tx number\n":    "line 3: a second field x",
		"a\n\tx string\na\n\ty string\n": "line 3: a second shape a",
		"a\n\tx number =no\n":            "not a number",
		"a\n\tx string loud\n":           `"loud" is not known`,
		"a\n\tx\n":                       "a name and a type",
	} {
		if _, err := parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

// TestOptional: of a field whose zero says something, nothing is said until
// somebody says it.
func TestOptional(t *testing.T) {
	codes := mustParse("codes\n\tone number opt\n\ttwo number\nof\n\tcodes codes\n")
	for in, want := range map[string]struct{ out, cell, diff string }{
		`{}`:                     {`{"two":0}`, "", ""},
		`{"one":0}`:              {`{"one":0,"two":0}`, "0", "one"},
		`{"one":null,"two":"0"}`: {`{"two":0}`, "", ""},
		`{"one":-1}`:             {`{"one":-1,"two":0}`, "-1", "one"},
	} {
		o, err := codes["codes"].Decode([]byte(in), Strict)
		if err == nil {
			o, err = codes["codes"].Load(o.Store())
		}
		if err != nil {
			t.Fatal(err)
		}
		out := New(codes["of"])
		out.Set("codes", o)
		cell, ok := out.Cell("codes/one", Header{}, nil)
		var diff string
		for _, d := range Diff(New(codes["codes"]), o, nil) {
			diff += d.Field
		}
		if got := string(out.Append(nil, Header{}, nil)); got != `{"codes":`+want.out+`}` || cell != want.cell || !ok || diff != want.diff {
			t.Errorf("%s is written %s, as a cell %q %v, and differs in %q", in, got, cell, ok, diff)
		}
	}
}
