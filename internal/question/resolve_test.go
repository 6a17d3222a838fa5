package question

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"catenary/internal/expr"
	"catenary/internal/fault"
	"catenary/internal/value"
)

func TestResolve(t *testing.T) {
	online := Test{Ref: Ref{Sensor: "ONLINE"}, Op: Equals, Value: "x"}
	resolved := Test{Ref: Ref{Sensor: "Online"}, Op: Equals, Value: "x"}
	for text, q := range map[string]Question{
		"Get number of machines": {},
		"Get Online and Folder Contents[/etc]:Size from all machines": {Selects: showing(
			Ref{Sensor: "online"}, Ref{Sensor: "folder  CONTENTS", Params: []string{"/etc"}, Column: "size"})},
		"Get Computer Name from all machines":                               {Selects: showing(Ref{Sensor: "computer name", Column: "Computer Name"})},
		"Get number of machines from all machines with Online equals x":     {Where: And{Or{And{online}}}},
		"Get number of machines from all machines with Online not equals x": {Where: Or{Not{And{online}}}},
	} {
		got, err := Resolve(q, catalogue(t), nil)
		if err != nil || got.String() != text {
			t.Errorf("%+v is resolved to %s, %v, want %s", q, got, err, text)
		}
	}
	got, err := Resolve(Question{Where: And{online, Or{online, Not{online}}}}, catalogue(t), nil)
	if want := (Question{Where: And{resolved, Or{resolved, Not{resolved}}}}); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("resolved to %+v, %v", got, err)
	}
}

// TestResolveSelects: what parsing would have made of it.
func TestResolveSelects(t *testing.T) {
	apps := func(column string) Ref { return Ref{Sensor: "installed applications", Column: column} }
	for text, s := range map[string]Select{
		"Get Online contains x from all machines":     {Ref: Ref{Sensor: "ONLINE"}, Filter: &Predicate{Op: Contains, Value: "x"}},
		"Get Online from all machines":                {Ref: Ref{Sensor: "online", Type: value.String}, Filter: &Predicate{Op: Less}},
		"Get Online not has hash 5 from all machines": {Ref: Ref{Sensor: "online"}, Filter: &Predicate{Op: HasHash, Value: "5", Not: true, MatchCase: true}},
		"Get Installed Applications?maxAge=9 having Installed Applications?type=Version:Name > 2 matching case from all machines": {
			Ref:    Ref{Sensor: "installed applications", MaxAge: 9 * time.Second, Type: value.Version},
			Having: []Having{{Ref{Sensor: "installed applications", Column: "NAME", Type: value.Version}, Predicate{Op: Greater, Value: "2", MatchCase: true}}},
		},
		"Get Folder Contents[/a] having Folder Contents equals x from all machines": {
			Ref:    Ref{Sensor: "folder contents", Params: []string{"/a"}},
			Having: []Having{{Ref{Sensor: "folder contents", Params: []string{"/a"}}, Predicate{Op: Equals, Value: "x"}}},
		},
	} {
		got, err := Resolve(Question{Selects: []Select{s}}, catalogue(t), nil)
		if err != nil || got.String() != text {
			t.Errorf("%+v is resolved to %s, %v, want %s", s, got, err, text)
		}
		if again, err := Parse(text, catalogue(t), nil); err != nil || !reflect.DeepEqual(again, got) {
			t.Errorf("%s is read as %+v, %v, want %+v", text, again, err, got)
		}
	}
	having := func(r Ref) Select { return Select{Ref: apps(""), Having: []Having{{r, Predicate{Op: Equals}}}} }
	for want, s := range map[string]Select{
		`"having" is about the rows of Installed Applications`: having(Ref{Sensor: "online"}),
		`about the rows of Installed App`:                      having(Ref{Sensor: "installed applications", Params: []string{"x"}}),
		`how old an answer may be stands with the sensor`:      having(Ref{Sensor: "installed applications", MaxAge: time.Second}),
		`has no column "x"`:                                    having(apps("x")),
		`has 17 conditions after "having", more than 16`:       {Ref: apps(""), Having: make([]Having, 17)},
		"has no operator":                                      {Ref: apps(""), Filter: &Predicate{}},
		"a hash is a whole number from 0":                      {Ref: apps(""), Filter: &Predicate{Op: HasHash}},
		"a number of whole seconds":                            {Ref: Ref{Sensor: "online", MaxAge: time.Millisecond}},
		"whole seconds, at most 315360000":                     {Ref: Ref{Sensor: "online", MaxAge: 20 * ageMax}},
		"whole seconds, at ":                                   {Ref: Ref{Sensor: "online", MaxAge: -time.Second}},
		"Online: Type(99) is no type":                          {Ref: Ref{Sensor: "online", Type: 99}},
		"Online: piece 1 of a text that is cut at ":            {Ref: Ref{Sensor: "online", Part: value.Part{Index: 1}}},
	} {
		if got, err := Resolve(Question{Selects: []Select{s}}, catalogue(t), nil); err == nil || !strings.Contains(err.Error(), want) || fault.KindOf(err) != fault.Invalid {
			t.Errorf("got %s, %v, want %s", got, err, want)
		}
	}
	many := make([]Select, 64)
	for i := range many {
		many[i] = Select{Ref: Ref{Sensor: "online"}, Having: slices.Repeat([]Having{{Ref{Sensor: "online"}, Predicate{Op: Equals}}}, 16)}
	}
	if _, err := Resolve(Question{Selects: many}, catalogue(t), nil); err == nil || !strings.Contains(err.Error(), "more than 1000 parts") {
		t.Errorf("1024 conditions on rows: %v", err)
	}
}

func TestResolveGroups(t *testing.T) {
	c := catalogue(t)
	got, err := ResolveCondition(Or{Member{ID: 2, Name: "whatever"}, Not{Member{Name: "ALL computers"}}}, c, everydayGroups)
	if want := (Or{Member{2, "Sales"}, Not{Member{1, "All Computers"}}}); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err := ResolveCondition(nil, c, nil); got != nil || err != nil {
		t.Errorf("all machines are resolved to %+v, %v", got, err)
	}
	for want, m := range map[string]Member{
		"there is no computer group 99": {ID: 99, Name: "Sales"}, `there is no computer group "selas"`: {Name: "selas"}, `computer group ""`: {},
	} {
		if _, err := ResolveCondition(m, c, everydayGroups); err == nil || !strings.Contains(err.Error(), want) || fault.KindOf(err) != fault.Invalid {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	if _, err := ResolveCondition(Member{ID: 2}, c, nil); err == nil {
		t.Error("without groups one is found")
	}
}

func TestResolveRefuses(t *testing.T) {
	online := Test{Ref: Ref{Sensor: "Online"}, Op: Equals, Value: "x"}
	var deep Condition = online
	for range DepthMax {
		deep = Not{deep}
	}
	wide := make(And, NodesMax)
	for i := range wide {
		wide[i] = online
	}
	long := make(And, 17)
	for i := range long {
		long[i] = Test{Ref: online.Ref, Op: Equals, Value: strings.Repeat("x", expr.ValueMax)}
	}
	with := func(change func(*Test)) Question {
		t := online
		change(&t)
		return Question{Where: Not{t}}
	}
	for want, q := range map[string]Question{
		`no sensor is called "Onlin"; did you mean "Online"`:               {Selects: showing(Ref{Sensor: "Onlin"})},
		`no sensor is called "computr name"; did you mean "Computer Name"`: with(func(t *Test) { t.Ref.Sensor = "computr name" }),
		`no sensor is called ""`:                                           {Selects: showing(Ref{})},
		"Folder Contents takes 1 parameter":                                {Selects: showing(Ref{Sensor: "Folder Contents"})},
		`Online has no column "x"`:                                         {Selects: showing(Ref{Sensor: "Online", Column: "x"})},
		"a parameter of Folder Contents is not UTF-8":                      {Selects: showing(Ref{Sensor: "Folder Contents", Params: []string{"\xff"}})},
		"at most 64 sensors, not 65":                                       {Selects: make([]Select, 65)},
		"nested more than 64 deep":                                         {Where: deep},
		"more than 1000 parts":                                             {Where: wide},
		"a list of conditions is empty":                                    {Where: Not{And{}}},
		"a condition lacks an operand":                                     {Where: Or{Not{}}},
		"the test of Online has no operator":                               with(func(t *Test) { t.Op = 0 }),
		"Online is compared with is not UTF-8":                             with(func(t *Test) { t.Value = "\xff" }),
		"longer than 4096 bytes":                                           with(func(t *Test) { t.Value = strings.Repeat("x", expr.ValueMax+1) }),
		"the question's text is longer than 64 KiB":                        {Where: long},
	} {
		got, err := Resolve(q, catalogue(t), nil)
		if err == nil || !strings.Contains(err.Error(), want) || fault.KindOf(err) != fault.Invalid {
			t.Errorf("got %v, %v, want %s", got, err, want)
		}
	}
}

func TestPattern(t *testing.T) {
	for op, want := range map[Op]string{
		Contains: ".*x.*", StartsWith: "x.*", EndsWith: ".*x", Matches: "x", Equals: "", Less: "", LessEqual: "", Greater: "", GreaterEqual: "", HasHash: "",
	} {
		if got, ok := op.Pattern("x"); got != want || ok != (want != "") {
			t.Errorf("%v: %q, %v, want %q", op, got, ok, want)
		}
	}
	for value, want := range map[string]string{
		"a|b": ".*(?:a|b).*", "Google (Search|Chrome)": ".*Google (Search|Chrome).*", "(a)|(b)": ".*(?:(a)|(b)).*", `a\|b`: `.*a\|b.*`, `\\|b`: `.*(?:\\|b).*`,
		"[|]": ".*[|].*", "[]|]": ".*[]|].*", "[^]|]": ".*[^]|].*", "[[:alpha:]|]": ".*[[:alpha:]|].*", `[\]|]`: `.*[\]|].*`, "[a]|b": ".*(?:[a]|b).*",
		`\Q(\E|b`: `.*(?:\Q(\E|b).*`, "[": ".*[.*", "((a|b)": ".*((a|b).*", "(": ".*(.*", `\`: `.*\.*`, "[[:x|": ".*[[:x|.*", "a)|b": ".*(?:a)|b).*",
	} {
		if got, _ := Contains.Pattern(value); got != want {
			t.Errorf("contains %s is %s, want %s", value, got, want)
		}
	}
	if got := Op(99).String() + Op(0).String(); got != "??" {
		t.Errorf("no operators print as %q", got)
	}
}
