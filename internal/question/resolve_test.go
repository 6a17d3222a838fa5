package question

import (
	"reflect"
	"strings"
	"testing"

	"catenary/internal/expr"
	"catenary/internal/fault"
)

func TestResolve(t *testing.T) {
	online := Test{Ref: Ref{Sensor: "ONLINE"}, Op: Equals, Value: "x"}
	resolved := Test{Ref: Ref{Sensor: "Online"}, Op: Equals, Value: "x"}
	for text, q := range map[string]Question{
		"Get number of machines": {},
		"Get Online and Folder Contents[/etc]:Size from all machines": {Selects: []Ref{
			{Sensor: "online"}, {Sensor: "folder  CONTENTS", Params: []string{"/etc"}, Column: "size"}}},
		"Get Computer Name from all machines":                               {Selects: []Ref{{Sensor: "computer name", Column: "Computer Name"}}},
		"Get number of machines from all machines with Online equals x":     {Where: And{Or{And{online}}}},
		"Get number of machines from all machines with Online not equals x": {Where: Or{Not{And{online}}}},
	} {
		got, err := Resolve(q, catalogue(t))
		if err != nil || got.String() != text {
			t.Errorf("%+v is resolved to %s, %v, want %s", q, got, err, text)
		}
	}
	got, err := Resolve(Question{Where: And{online, Or{online, Not{online}}}}, catalogue(t))
	if want := (Question{Where: And{resolved, Or{resolved, Not{resolved}}}}); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("resolved to %+v, %v", got, err)
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
		`no sensor is called "Onlin"; did you mean "Online"`:               {Selects: []Ref{{Sensor: "Onlin"}}},
		`no sensor is called "computr name"; did you mean "Computer Name"`: with(func(t *Test) { t.Ref.Sensor = "computr name" }),
		`no sensor is called ""`:                                           {Selects: []Ref{{}}},
		"Folder Contents takes 1 parameter":                                {Selects: []Ref{{Sensor: "Folder Contents"}}},
		`Online has no column "x"`:                                         {Selects: []Ref{{Sensor: "Online", Column: "x"}}},
		"a parameter of Folder Contents is not UTF-8":                      {Selects: []Ref{{Sensor: "Folder Contents", Params: []string{"\xff"}}}},
		"at most 64 sensors, not 65":                                       {Selects: make([]Ref, 65)},
		"nested more than 64 deep":                                         {Where: deep},
		"more than 1000 parts":                                             {Where: wide},
		"a list of conditions is empty":                                    {Where: Not{And{}}},
		"a condition lacks an operand":                                     {Where: Or{Not{}}},
		"the test of Online has no operator":                               with(func(t *Test) { t.Op = 0 }),
		"Online is compared with is not UTF-8":                             with(func(t *Test) { t.Value = "\xff" }),
		"longer than 4096 bytes":                                           with(func(t *Test) { t.Value = strings.Repeat("x", expr.ValueMax+1) }),
		"the question's text is longer than 64 KiB":                        {Where: long},
	} {
		got, err := Resolve(q, catalogue(t))
		if err == nil || !strings.Contains(err.Error(), want) || fault.KindOf(err) != fault.Invalid {
			t.Errorf("got %v, %v, want %s", got, err, want)
		}
	}
}

func TestPattern(t *testing.T) {
	for op, want := range map[Op]string{
		Contains: ".*x.*", StartsWith: "x.*", EndsWith: ".*x", Matches: "x", Equals: "", Less: "", LessEqual: "", Greater: "", GreaterEqual: "",
	} {
		if got, ok := op.Pattern("x"); got != want || ok != (want != "") {
			t.Errorf("%v: %q, %v, want %q", op, got, ok, want)
		}
	}
	if got, _ := Contains.Pattern("a|b"); got != ".*(?:a|b).*" {
		t.Errorf("alternatives: %q", got)
	}
	if got := Op(99).String() + Op(0).String(); got != "??" {
		t.Errorf("no operators print as %q", got)
	}
}
