// Package plan is question + sensor catalogue → what each machine computes, and
// how that becomes the machine's part of the answer.
//
// The server compiles a question once with [Compile] and sends the plan, signed,
// along the chains. Each client decodes it, computes the sensors that the
// condition needs ([Plan.WhereUses]), then those that are shown, and gets its
// rows from [Plan.Answer]. Running sensors and merging rows are the business of
// others.
package plan

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"catenary/internal/expr"
	"catenary/internal/question"
	"catenary/internal/sensor"
	"catenary/internal/value"
)

const (
	// BytesMax bounds an encoded plan: it fits in one frame of 1 MiB with room
	// for its signature and the frame's head.
	BytesMax = 896 << 10
	// SensorsMax bounds the sensors of one plan: each costs every client a run.
	SensorsMax = 256
)

// Version is the newest form of plans that this program computes. A plan says
// the oldest that can compute it, so that a client which is too old for it can
// say just that:
//
//	0  all rows of sensors, of machines that a condition chooses
//	1  conditions on rows, parts of texts, hashes, and the asker's rights
const Version = 1

// A Plan is a question as machines compute it.
type Plan struct {
	Text    string   // the question in its canonical spelling
	Columns []Column // of the answer, without the count of machines
	Sensors []Use    // each sensor with its parameters once
	// Selects are which of Sensors the columns show, in their order. A sensor
	// whose rows are chosen in two ways is shown twice.
	Selects []int
	// Where decides whether the machine takes part; nil: it does. Its names are
	// made by testName.
	Where expr.Condition
	// Rights decides, before Where does, whether the asker may ask the machine at
	// all; nil: it may.
	Rights expr.Condition
	// Keeps are conditions on a single row of a sensor, which columns refer to.
	Keeps []expr.Condition
	Parts []value.Part // of texts, which columns and the names of tests refer to
	// ComputerID asks for one row per machine, whose first column is its
	// computer ID.
	ComputerID bool
}

// A Column is one column of the answer and where its texts come from.
type Column struct {
	SensorHash uint32 // the sensor's number in the public API
	Name       string
	Type       value.Type
	Use        int // in Plan.Sensors; ofComputerID: the machine's computer ID
	Field      int // which column of that sensor
	Keep       int // shows the rows that pass Plan.Keeps[Keep-1]; 0: all
	Part       int // shows Plan.Parts[Part-1] of each text; 0: all of it
}

// ofComputerID is the Use of the column that no sensor fills.
const ofComputerID = -1

// computerID is the name of that column, and of the sensor that gives the same.
const computerID = "Computer ID"

// A Use is one sensor as this question uses it.
type Use struct {
	Name           string
	Params         []string // one for each of the sensor's parameters
	MaxAge         time.Duration
	Definition     []byte // signed definition of a script sensor; empty for a native one
	Width          int    // how many columns the sensor has
	KeepDuplicates bool   // its rows are a list; else they are a set
}

// version is the oldest form that p has.
func (p Plan) version() uint64 {
	if p.Rights != nil || len(p.Keeps) > 0 || len(p.Parts) > 0 {
		return 1
	}
	hashes := false
	eachTest(p.Where, func(t expr.Test) { hashes = hashes || t.Op == expr.Hashed })
	if hashes {
		return 1
	}
	return 0
}

// WhereUses returns which of p.Sensors are needed to decide whether a machine
// takes part, ascending.
func (p Plan) WhereUses() []int {
	var out []int
	for _, c := range []expr.Condition{p.Rights, p.Where} {
		eachTest(c, func(t expr.Test) {
			if use, _, _, ok := p.tested(t.Name); ok {
				out = append(out, use)
			}
		})
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func eachTest(c expr.Condition, visit func(expr.Test)) {
	switch c := c.(type) {
	case expr.And:
		for _, part := range c {
			eachTest(part, visit)
		}
	case expr.Or:
		for _, part := range c {
			eachTest(part, visit)
		}
	case expr.Not:
		eachTest(c.Of, visit)
	case expr.Test:
		visit(c)
	}
}

// wholeRow is the field of a test of a sensor's rows, whose texts are then
// joined by rowJoint.
const (
	wholeRow = -1
	rowJoint = "|"
)

// testName is what a test calls a field of a use: 3:1, or 3 for its whole rows;
// and with a part of their texts 3:1/2, if that is the second of Plan.Parts.
func testName(use, field, part int) string {
	name := strconv.Itoa(use)
	if field != wholeRow {
		name += ":" + strconv.Itoa(field)
	}
	if part != 0 {
		name += "/" + strconv.Itoa(part)
	}
	return name
}

// tested is the reverse of testName for the uses of p.
func (p Plan) tested(name string) (use, field, part int, ok bool) {
	rest, right, parted := strings.Cut(name, "/")
	left, middle, both := strings.Cut(rest, ":")
	use, err := strconv.Atoi(left)
	if field = wholeRow; both && err == nil {
		if field, err = strconv.Atoi(middle); field < 0 {
			return 0, 0, 0, false
		}
	}
	if parted && err == nil {
		part, err = strconv.Atoi(right)
	}
	ok = err == nil && use >= 0 && use < len(p.Sensors) && field < p.Sensors[use].Width &&
		part >= 0 && part <= len(p.Parts) && testName(use, field, part) == name
	return use, field, part, ok
}

// part returns the piece of a text that a number refers to.
func (p Plan) part(number int, text string) string {
	if number == 0 {
		return text
	}
	return p.Parts[number-1].Of(text)
}

// A view is rows of a sensor that are shown together: those that pass one
// condition, in one or more columns.
type view struct {
	use, keep int
	columns   []int // of the answer
}

// views returns the views of columns, each once.
func views(columns []Column) []view {
	var out []view
	for i, c := range columns {
		if c.Use == ofComputerID {
			continue
		}
		at := slices.IndexFunc(out, func(v view) bool { return v.use == c.Use && v.keep == c.Keep })
		if at < 0 {
			at = len(out)
			out = append(out, view{use: c.Use, keep: c.Keep})
		}
		out[at].columns = append(out[at].columns, i)
	}
	return out
}

// shown returns the uses that columns show, one for each view.
func shown(columns []Column) []int {
	var out []int
	for _, v := range views(columns) {
		out = append(out, v.use)
	}
	return out
}

// Check reports what makes p a plan that no client can compute.
func (p Plan) Check() error {
	switch {
	case len(p.Text) > question.TextMax || !utf8.ValidString(p.Text):
		return fmt.Errorf("the question's text is not UTF-8 or longer than %d bytes", question.TextMax)
	case len(p.Sensors) > SensorsMax:
		return fmt.Errorf("the question needs %d sensors, more than %d", len(p.Sensors), SensorsMax)
	case !slices.Equal(p.Selects, shown(p.Columns)):
		return fmt.Errorf("the columns show other sensors than %v", p.Selects)
	case p.ComputerID != (len(p.Columns) > 0 && p.Columns[0].Use == ofComputerID):
		return fmt.Errorf("the column of the computer ID is not where it should be")
	}
	for i, u := range p.Sensors {
		if err := u.check(); err != nil {
			return fmt.Errorf("sensor %.60q: %w", u.Name, err)
		}
		if slices.ContainsFunc(p.Sensors[:i], u.same) {
			return fmt.Errorf("sensor %.60q is there twice", u.Name)
		}
	}
	for _, part := range p.Parts {
		if err := part.Check(); err != nil {
			return err
		}
	}
	for i, c := range p.Columns {
		if err := p.checkColumn(i, c); err != nil {
			return fmt.Errorf("column %.60q: %w", c.Name, err)
		}
	}
	return p.checkConditions()
}

func (u Use) check() error {
	switch {
	case u.Name == "" || len(u.Name) > sensor.NameMax || !utf8.ValidString(u.Name):
		return fmt.Errorf("a name has 1 to %d bytes of UTF-8", sensor.NameMax)
	case len(u.Params) > sensor.ParametersMax:
		return fmt.Errorf("%d parameters are more than %d", len(u.Params), sensor.ParametersMax)
	case u.Width < 1 || u.Width > sensor.ColumnsMax:
		return fmt.Errorf("a sensor has 1 to %d columns, not %d", sensor.ColumnsMax, u.Width)
	case u.MaxAge < 0:
		return fmt.Errorf("an answer cannot be %v old", u.MaxAge)
	}
	return nil
}

// same reports whether u and v are one sensor with the same parameters.
func (u Use) same(v Use) bool { return u.Name == v.Name && slices.Equal(u.Params, v.Params) }

func (p Plan) checkColumn(i int, c Column) error {
	switch {
	case len(p.Columns) > columnsMax:
		return fmt.Errorf("%d columns are more than %d", len(p.Columns), columnsMax)
	case !c.Type.Valid():
		return fmt.Errorf("%v is no type", c.Type)
	case c.Use == ofComputerID && i == 0 && c.Field == 0 && c.Keep == 0 && c.Part == 0:
		return nil
	case c.Use < 0 || c.Use >= len(p.Sensors) || c.Field < 0 || c.Field >= p.Sensors[c.Use].Width:
		return fmt.Errorf("there is no field %d of sensor %d", c.Field, c.Use)
	case c.Keep < 0 || c.Keep > len(p.Keeps):
		return fmt.Errorf("there is no condition %d on rows", c.Keep)
	case c.Part < 0 || c.Part > len(p.Parts):
		return fmt.Errorf("there is no part %d of a text", c.Part)
	}
	if c.Keep == 0 {
		return nil
	}
	var err error
	eachTest(p.Keeps[c.Keep-1], func(t expr.Test) {
		if use, _, _, ok := p.tested(t.Name); !ok || use != c.Use {
			err = fmt.Errorf("its rows are chosen by %.60q, which is none of its sensor's", t.Name)
		}
	})
	return err
}

// columnsMax bounds the columns of an answer: those of as many sensors as a
// question may show, and the computer ID.
const columnsMax = question.SelectsMax*sensor.ColumnsMax + 1

// conditionsMax bounds the conditions on rows and the parts of texts: no
// question has more of them than tests.
const conditionsMax = question.NodesMax

func (p Plan) checkConditions() error {
	if len(p.Keeps) > conditionsMax || len(p.Parts) > conditionsMax {
		return fmt.Errorf("%d conditions on rows and %d parts of texts are more than %d", len(p.Keeps), len(p.Parts), conditionsMax)
	}
	if slices.Contains(p.Keeps, nil) {
		return errors.New("a condition on rows is empty")
	}
	all := append([]expr.Condition{p.Rights, p.Where}, p.Keeps...)
	err := expr.Check(all...)
	for _, c := range all {
		eachTest(c, func(t expr.Test) {
			if _, _, _, ok := p.tested(t.Name); !ok && err == nil {
				err = fmt.Errorf("the condition tests %.60q, which is none of the sensors", t.Name)
			}
		})
	}
	return err
}
