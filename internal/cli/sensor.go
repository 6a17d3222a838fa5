package cli

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"catenary/internal/answer"
	"catenary/internal/fault"
	"catenary/internal/sensor"
	"catenary/internal/value"
)

const (
	defaultMaxAge    = 15 * time.Minute // most facts of a machine change by the day
	defaultDelimiter = "|"              // rare in what programs print
	scriptMax        = 256 << 10        // bytes; the script travels to every machine
)

// A sensorObject is a sensor as the API says it.
type sensorObject struct {
	Name          string          `json:"name,omitempty"`
	Description   string          `json:"description,omitempty"`
	Category      string          `json:"category,omitempty"`
	Hidden        bool            `json:"hidden_flag,omitempty"`
	ValueType     string          `json:"value_type,omitempty"`
	Delimiter     string          `json:"delimiter,omitempty"`
	Subcolumns    []sensorColumn  `json:"subcolumns,omitempty"`
	MaxAgeSeconds int64           `json:"max_age_seconds"`
	Parameters    string          `json:"parameter_definition,omitempty"`
	Queries       []sensorProgram `json:"queries,omitempty"`
	Mode          string          `json:"answer_mode,omitempty"` // not said if merged
}

type sensorColumn struct {
	Index     int    `json:"index"`
	Name      string `json:"name"`
	ValueType string `json:"value_type"`
}

type sensorProgram struct {
	Platform   string `json:"platform"`
	Script     string `json:"script"`
	ScriptType string `json:"script_type"`
}

// A parameterList is what parameter_definition holds, as JSON in a string.
type parameterList struct {
	Type       string            `json:"parameterType"`
	Parameters []sensorParameter `json:"parameters"`
}

type sensorParameter struct {
	Key     string `json:"key"`
	Label   string `json:"label"`
	Help    string `json:"helpString"`
	Default string `json:"defaultValue"`
	Type    string `json:"parameterType"`
}

// The names of parameter types are part of the public API and bear the
// namespace of the system that it was made for.
const (
	parameterNamespace = "com.tanium.components.parameters::"
	parameterListType  = parameterNamespace + "ParametersArray"
	textParameterType  = parameterNamespace + "TextInputParameter"
)

func (s sensorObject) parameters() ([]sensorParameter, error) {
	if s.Parameters == "" {
		return nil, nil
	}
	var list parameterList
	if err := json.Unmarshal([]byte(s.Parameters), &list); err != nil {
		return nil, fmt.Errorf("parameters of sensor %s: %w", s.Name, err)
	}
	return list.Parameters, nil
}

// columns says the sensor's columns as `sensor create` takes them.
func (s sensorObject) columns() string {
	if len(s.Subcolumns) == 0 {
		return s.ValueType
	}
	names := make([]string, len(s.Subcolumns))
	for i, c := range s.Subcolumns {
		names[i] = c.Name + ":" + c.ValueType
	}
	return strings.Join(names, ", ")
}

// computed says by what the sensor is computed.
func (s sensorObject) computed() string {
	if len(s.Queries) == 0 {
		return "the client"
	}
	scripts := make([]string, len(s.Queries))
	for i, q := range s.Queries {
		scripts[i] = q.Platform + " " + q.ScriptType
	}
	return strings.Join(scripts, ", ")
}

func (s sensorObject) maxAge() string {
	return shortDuration(time.Duration(s.MaxAgeSeconds) * time.Second)
}

// shortDuration leaves out the zero parts that Go writes: 15m, not 15m0s.
func shortDuration(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// sensorNoun is what can be done with sensors as with any object.
var sensorNoun = noun{name: "sensor", what: "sensor", path: "sensors", sample: "Kernel Modules", verbs: canChange | canDelete}

func (d *desk) sensor() *cobra.Command {
	f := &flags{}
	cmd := &cobra.Command{
		Use:   "sensor",
		Short: "Look after the sensors",
		Example: `  catenary sensor list --filter disk
  catenary sensor show 'Free Memory'
  catenary sensor change 'Kernel Modules' --set max_age_seconds=60`,
	}
	cmd.AddCommand(d.sensorList(f), d.sensorShow(f), d.sensorCreate(f))
	cmd.AddCommand(sensorNoun.deeds(d, f)...)
	cmd.AddCommand(d.sensorStats(f), d.sensorQuarantine(f), d.sensorRelease(f))
	Group(cmd)
	f.bind(cmd)
	return cmd
}

func (d *desk) sensorList(f *flags) *cobra.Command {
	var how format
	var filter string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the sensors that questions can name",
		Example: `  catenary sensor list
  catenary sensor list --filter memory
  catenary sensor list --format json | jq -r '.[].Name'`,
		Args: words(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := d.connect(f)
			if err != nil {
				return err
			}
			sensors, err := c.sensors(cmd.Context())
			if err != nil {
				return err
			}
			g, err := sensorGrid(sensors, filter)
			if err != nil {
				return err
			}
			return d.print(cmd, how, g)
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	how.bind(cmd)
	cmd.Flags().StringVar(&filter, "filter", "", "only sensors with this `text` in name, category or description")
	return cmd
}

func sensorGrid(sensors []sensorObject, filter string) (grid, error) {
	slices.SortFunc(sensors, func(a, b sensorObject) int {
		return cmp.Or(cmp.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)), cmp.Compare(a.Name, b.Name))
	})
	g := grid{columns: []column{
		{name: "Name"}, {name: "Category"}, {name: "Parameters"}, {name: "Columns"}, {name: "Computed By"}, {name: "Max Age", right: true},
	}}
	for _, s := range sensors {
		if !strings.Contains(strings.ToLower(s.Name+"\n"+s.Category+"\n"+s.Description), strings.ToLower(filter)) {
			continue
		}
		params, err := s.parameters()
		if err != nil {
			return grid{}, err
		}
		keys := make([]string, len(params))
		for i, p := range params {
			keys[i] = p.Key
		}
		g.add(s.Name, s.Category, strings.Join(keys, ", "), s.columns(), s.computed(), s.maxAge())
	}
	return g, nil
}

func (d *desk) sensorShow(f *flags) *cobra.Command {
	var raw bool
	cmd := &cobra.Command{
		Use:   "show NAME",
		Short: "Show one sensor: columns, parameters, scripts",
		Example: `  catenary sensor show 'Free Memory'
  catenary sensor show --json 'Free Memory'    # the whole object of the API`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return UsageError(cmd, errors.New("which sensor? `catenary sensor list` names them"))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := d.connect(f)
			if err != nil {
				return err
			}
			name := strings.Join(args, " ") // a name of several words need not be quoted
			var object json.RawMessage
			if err := c.sensorByName(cmd.Context(), name, &object); err != nil {
				return fmt.Errorf("sensor %q: %w", name, err)
			}
			if raw {
				return printObject(cmd.OutOrStdout(), object)
			}
			var s sensorObject
			if err := json.Unmarshal(object, &s); err != nil {
				return fmt.Errorf("sensor %q: %w", name, err)
			}
			return d.printSensor(cmd, s)
		},
		ValidArgsFunction: d.completeSensor(f),
	}
	cmd.Flags().BoolVar(&raw, "json", false, "print the object as the API says it")
	return cmd
}

func (d *desk) printSensor(cmd *cobra.Command, s sensorObject) error {
	params, err := s.parameters()
	if err != nil {
		return err
	}
	header := []cell{{"Name"}, {"Description"}, {"Category"}, {"Columns"}, {"Delimiter"}, {"Max age"}, {"Computed by"}}
	row := []cell{{s.Name}, {s.Description}, {s.Category}, strings.Split(s.columns(), ", "), {s.Delimiter}, {s.maxAge()}, {s.computed()}}
	for _, p := range params {
		text := p.Label
		if p.Help != "" {
			text += ": " + p.Help
		}
		if p.Default != "" {
			text += fmt.Sprintf(" (default %q)", p.Default)
		}
		header, row = append(header, cell{"Parameter"}), append(row, cell{p.Key + "  " + text})
	}
	if s.Mode != "" && s.Mode != answer.Merged.String() {
		header, row = append(header, cell{"Answers travel"}), append(row, cell{s.Mode})
	}
	for i, c := range row {
		for j, v := range c {
			row[i][j] = printable(v)
		}
	}
	out := cmd.OutOrStdout()
	width, seen := d.terminal(out)
	if err := writeRecords(out, header, [][]cell{row}, look{width: width, bold: seen && d.styled()}); err != nil {
		return err
	}
	for _, q := range s.Queries {
		script := strings.TrimRight(printableLines(q.Script), "\n")
		if _, err := fmt.Fprintf(out, "\n# %s %s\n%s\n", printable(q.Platform), printable(q.ScriptType), script); err != nil {
			return err
		}
	}
	return nil
}

// A draft is what the command line of sensor create says.
type draft struct {
	name, description, category string
	platforms                   []string
	language, file, valueType   string
	columns, parameters         []string
	delimiter                   string
	maxAge                      time.Duration
	mode                        string
}

func (d *desk) sensorCreate(f *flags) *cobra.Command {
	w := &draft{}
	cmd := &cobra.Command{
		Use:   "create --name NAME --platform PLATFORM --language LANGUAGE --file SCRIPT",
		Short: "Make a sensor from a script",
		Long: `Create makes a sensor that every machine computes by running a script. Each
line that the script prints is a row of the answer; --delimiter parts it into
columns. In the script, ||key|| stands for the value of the parameter key.

Machines pass each other's answers on, and can read them. With --mode sealed
only the server can; with --mode attested each machine vouches for its own rows,
so that no other can change them. Both cost bytes for each machine.`,
		Example: `  catenary sensor create --name 'Kernel Modules' --platform Linux --language UnixShell --file lsmod.sh
  catenary sensor create --name 'Mounts' --platform Linux,Mac --language UnixShell --file mounts.sh \
      --column Device:String --column 'Mount Point:String' --column Size:DataSize --max-age 1h
  catenary sensor create --name 'File Size' --platform Linux --language UnixShell --file size.sh \
      --type NumericInteger --parameter 'path=Path of the file'
  catenary sensor create --name 'Local Administrators' --platform Linux --language UnixShell --file admins.sh \
      --mode sealed`,
		Args: words(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := w.sensor(cmd)
			if err != nil {
				return UsageError(cmd, err)
			}
			c, err := d.connect(f)
			if err != nil {
				return err
			}
			if err := c.createSensor(cmd.Context(), s); err != nil {
				return fmt.Errorf("sensor %q: %w", s.Name, err)
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "Made the sensor %s. Try: catenary ask 'Get %s from all machines'\n", s.Name, w.call())
			return nil
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	p := cmd.Flags()
	p.StringVar(&w.name, "name", "", "`name` of the sensor")
	p.StringVar(&w.description, "description", "", "what it says, for those who look it up")
	p.StringVar(&w.category, "category", "", "where it stands in lists")
	p.StringSliceVar(&w.platforms, "platform", nil, "where the script runs: Linux, Windows or Mac; several with commas")
	p.StringVar(&w.language, "language", "", "what the script is written in: UnixShell, Python or Powershell")
	p.StringVar(&w.file, "file", "", "the `script`; - is standard input")
	p.StringVar(&w.valueType, "type", value.String.String(), "`type` of the value, if the sensor has one column")
	p.StringArrayVar(&w.columns, "column", nil, "`name:type` of a column; once for each column, if there are several")
	p.StringVar(&w.delimiter, "delimiter", defaultDelimiter, "`text` between the columns of a line")
	p.DurationVar(&w.maxAge, "max-age", defaultMaxAge, "how long a machine may repeat an answer without running the script")
	p.StringVar(&w.mode, "mode", answer.Merged.String(), "how answers travel: merged, attested or sealed")
	p.StringArrayVar(&w.parameters, "parameter", nil, "`key=label` of a value that the asker gives; once for each")
	return cmd
}

// call is how a question names the sensor.
func (w *draft) call() string {
	if len(w.parameters) == 0 {
		return w.name
	}
	keys := make([]string, len(w.parameters))
	for i, text := range w.parameters {
		keys[i], _, _ = strings.Cut(text, "=")
	}
	return w.name + "[" + strings.Join(keys, ",") + "]"
}

// sensor checks the draft and reads its script.
func (w *draft) sensor(cmd *cobra.Command) (sensorObject, error) {
	if w.name == "" || len(w.platforms) == 0 || w.language == "" || w.file == "" {
		return sensorObject{}, errors.New("a sensor needs --name, --platform, --language and --file")
	}
	if w.maxAge < time.Second { // the API counts seconds, and 0 is its default
		return sensorObject{}, fmt.Errorf("--max-age %v: at least a second", w.maxAge)
	}
	s := sensorObject{Name: w.name, Description: w.description, Category: w.category, MaxAgeSeconds: int64(w.maxAge / time.Second)}
	if mode, ok := answer.ParseMode(w.mode); !ok {
		return sensorObject{}, fmt.Errorf("--mode %q: write merged, attested or sealed", w.mode)
	} else if mode != answer.Merged {
		s.Mode = w.mode
	}
	script, err := readScript(cmd, w.file)
	if err != nil {
		return sensorObject{}, err
	}
	if !slices.Contains([]sensor.Language{sensor.UnixShell, sensor.Python, sensor.Powershell}, sensor.Language(w.language)) {
		return sensorObject{}, fmt.Errorf("--language %q: write UnixShell, Python or Powershell", w.language)
	}
	for _, p := range w.platforms {
		if !slices.Contains([]sensor.Platform{sensor.Linux, sensor.Windows, sensor.Mac}, sensor.Platform(p)) {
			return sensorObject{}, fmt.Errorf("--platform %q: write Linux, Windows or Mac", p)
		}
		s.Queries = append(s.Queries, sensorProgram{Platform: p, ScriptType: w.language, Script: script})
	}
	if err := w.addColumns(&s); err != nil {
		return sensorObject{}, err
	}
	return s, w.addParameters(&s)
}

func readScript(cmd *cobra.Command, path string) (string, error) {
	b, err := readInput(cmd, path, scriptMax)
	if err == nil && len(b) == 0 {
		err = fmt.Errorf("%s is empty", path)
	}
	if err != nil {
		return "", fault.New(fault.Invalid, "the script: %w", err)
	}
	return string(b), nil
}

func (w *draft) addColumns(s *sensorObject) error {
	if _, ok := value.ParseType(w.valueType); !ok {
		return fmt.Errorf("--type %q is not a type of values", w.valueType)
	}
	s.ValueType = w.valueType
	if len(w.columns) == 0 {
		return nil
	}
	if len(w.columns) == 1 {
		return errors.New("a single column bears the sensor's name: give its type with --type, without --column")
	}
	if w.delimiter == "" {
		return errors.New("several columns need a --delimiter")
	}
	s.Delimiter = w.delimiter
	for i, text := range w.columns {
		at := strings.LastIndex(text, ":")
		if at < 1 {
			return fmt.Errorf("--column %q: write NAME:TYPE", text)
		}
		name, typ := text[:at], text[at+1:]
		if _, ok := value.ParseType(typ); !ok {
			return fmt.Errorf("--column %q: %q is not a type of values", text, typ)
		}
		s.Subcolumns = append(s.Subcolumns, sensorColumn{Index: i, Name: name, ValueType: typ})
	}
	return nil
}

func (w *draft) addParameters(s *sensorObject) error {
	if len(w.parameters) == 0 {
		return nil
	}
	list := parameterList{Type: parameterListType}
	for _, text := range w.parameters {
		key, label, ok := strings.Cut(text, "=")
		if !ok || key == "" || label == "" {
			return fmt.Errorf("--parameter %q: write KEY=LABEL", text)
		}
		list.Parameters = append(list.Parameters, sensorParameter{Key: key, Label: label, Type: textParameterType})
	}
	b, err := json.Marshal(list)
	s.Parameters = string(b)
	return err
}
