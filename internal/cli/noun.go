package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"catenary/internal/fault"
)

// A noun is a kind of object that operators look after. One row of the table
// nouns makes a command of it, with list, show, create, change and delete.
type noun struct {
	name   string // of the command: "user-group"
	what   string // in sentences: "user group"
	path   string // of its routes below /api/v2/: "user_groups"
	short  string // what the command is for
	long   string // more of that, if there is more
	sample string // the name of one, for examples
	set    string // what makes the sample: "--set name=…", for an example
	verbs  deeds
	// columns are those of the list besides the number, as title and field. A
	// field may be a path: "user.name".
	columns [][2]string
	// unnamed ones have no route by name: a name is looked for in the list.
	unnamed bool
	// more are further commands of the noun.
	more func(n *noun, d *desk, f *flags) []*cobra.Command
}

// deeds are what can be done with a noun.
type deeds uint8

const (
	canList deeds = 1 << iota
	canShow
	canCreate
	canChange
	canDelete

	canAll = canList | canShow | canCreate | canChange | canDelete
)

const objectFileMax = 16 << 20 // bytes of a file with an object, as the server takes them

// command makes the noun's command.
func (n *noun) command(d *desk) *cobra.Command {
	f := &flags{}
	cmd := &cobra.Command{Use: n.name, Short: n.short, Long: n.long}
	cmd.AddCommand(n.deeds(d, f)...)
	if n.more != nil {
		cmd.AddCommand(n.more(n, d, f)...)
	}
	var examples []string
	for _, child := range cmd.Commands() {
		first, _, _ := strings.Cut(child.Example, "\n")
		examples = append(examples, first)
	}
	cmd.Example = strings.Join(examples, "\n")
	Group(cmd)
	f.bind(cmd)
	return cmd
}

// deeds are the commands for what can be done with the noun.
func (n *noun) deeds(d *desk, f *flags) (out []*cobra.Command) {
	for _, deed := range []struct {
		can  deeds
		make func(*desk, *flags) *cobra.Command
	}{{canList, n.list}, {canShow, n.show}, {canCreate, n.create}, {canChange, n.change}, {canDelete, n.remove}} {
		if n.verbs&deed.can != 0 {
			out = append(out, deed.make(d, f))
		}
	}
	return out
}

// call is a command line of the noun, for examples.
func (n *noun) call(words ...string) string {
	line := "  catenary " + n.name
	for _, w := range words {
		line += " " + w
	}
	return line
}

// quoted is the sample as a shell wants it.
func (n *noun) quoted() string {
	if strings.ContainsAny(n.sample, " '&|") {
		return "'" + n.sample + "'"
	}
	return n.sample
}

func (n *noun) list(d *desk, f *flags) *cobra.Command {
	var how format
	var filter string
	var hidden bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List each " + n.what,
		Long: `List prints a table; --format json prints the objects as the API says them, with
all fields.`,
		Example: n.call("list") + "\n" + n.call("list", "--format json | jq -r '.[].name'"),
		Args:    words(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := d.connect(f)
			if err != nil {
				return err
			}
			if hidden {
				c.options = `{"include_hidden_flag":1}`
			}
			all, err := c.objects(cmd.Context(), n.path)
			if err != nil {
				return err
			}
			return n.print(d, cmd, how, all, filter, &userNames{ctx: cmd.Context(), c: c})
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	how.bind(cmd)
	cmd.Flags().StringVar(&filter, "filter", "", "only those with this `text` in a column")
	cmd.Flags().BoolVar(&hidden, "hidden", false, "hidden ones, too")
	return cmd
}

// print writes a list. A line of the table has what the columns say; JSON has
// whole objects.
func (n *noun) print(d *desk, cmd *cobra.Command, how format, all []apiObject, filter string, users *userNames) error {
	g := grid{columns: []column{{name: "ID", right: true, number: true}}}
	for _, col := range n.columns {
		g.columns = append(g.columns, column{name: col[0]})
	}
	var chosen []json.RawMessage
	for _, o := range all {
		row := []cell{{o.text("id")}}
		for _, col := range n.columns {
			row = append(row, users.cell(o, col[1]))
		}
		if !shows(row, filter) {
			continue
		}
		g.rows = append(g.rows, row)
		chosen = append(chosen, o.raw)
	}
	if how != formatJSON {
		return d.print(cmd, how, g)
	}
	if len(chosen) == 0 {
		chosen = []json.RawMessage{}
	}
	whole, err := json.Marshal(chosen)
	if err != nil {
		return err
	}
	return printObject(cmd.OutOrStdout(), whole)
}

// shows reports whether a row has a text in it, whatever the case.
func shows(row []cell, filter string) bool {
	for _, c := range row {
		if strings.Contains(strings.ToLower(strings.Join(c, "\n")), strings.ToLower(filter)) {
			return true
		}
	}
	return false
}

func (n *noun) show(d *desk, f *flags) *cobra.Command {
	var raw bool
	cmd := &cobra.Command{
		Use:     "show NAME|ID",
		Short:   "Show one " + n.what,
		Example: n.call("show", n.quoted()) + "\n" + n.call("show", "--json 7"),
		Args:    words(1, 1, "one name or number"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, o, err := n.reach(d, f, cmd, args[0])
			if err != nil {
				return err
			}
			if raw {
				return printObject(cmd.OutOrStdout(), o.raw)
			}
			return d.printMembers(cmd, o, &userNames{ctx: cmd.Context(), c: c})
		},
		ValidArgsFunction: n.complete(d, f),
	}
	cmd.Flags().BoolVar(&raw, "json", false, "print the object as the API says it")
	return cmd
}

// printMembers writes what an object says of itself, a line for each member
// that says something.
func (d *desk) printMembers(cmd *cobra.Command, o apiObject, users *userNames) error {
	members, err := o.members()
	if err != nil {
		return err
	}
	var header, row []cell
	for _, m := range members {
		values := users.of(m.name, m.value)
		if len(values) == 0 || len(values) == 1 && values[0] == "" {
			continue
		}
		var lines cell
		for _, v := range values {
			for line := range strings.SplitSeq(strings.TrimRight(v, "\n"), "\n") {
				lines = append(lines, printable(line))
			}
		}
		header, row = append(header, cell{printable(m.name)}), append(row, lines)
	}
	out := cmd.OutOrStdout()
	width, seen := d.terminal(out)
	return writeRecords(out, header, [][]cell{row}, look{width: width, bold: seen && d.styled()})
}

// A draft of an object, from a file and the command line.
type objectDraft struct {
	file string
	sets []string
}

func (o *objectDraft) bind(cmd *cobra.Command) {
	cmd.Flags().StringVar(&o.file, "file", "", "JSON `file` with the object (- is standard input)")
	cmd.Flags().StringArrayVar(&o.sets, "set", nil, "`field=text` to say, or field:=JSON; a field may be within another, like content_set.name")
}

const draftHelp = `The object comes from a JSON file, from --set, or from both: --set says single
fields, above what the file says. Text, numbers, true and false are written as
they are: --set name=Desk --set issue_seconds=600. Lists and whole objects are
JSON behind := as in --set 'user_list:=[{"name":"ann"}]'.`

func (n *noun) create(d *desk, f *flags) *cobra.Command {
	var draft objectDraft
	cmd := &cobra.Command{
		Use:   "create",
		Short: "Make one " + n.what,
		Long:  "Create makes an object of this kind.\n\n" + draftHelp,
		Example: n.call("create", n.set) + "\n" + n.call("create", "--file "+n.name+".json") + "\n" +
			n.call("show", "--json", n.quoted(), "| catenary", n.name, "create --file - --set name=Copy"),
		Args: words(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			body, err := draft.read(cmd)
			if err != nil {
				return err
			}
			c, err := d.connect(f)
			if err != nil {
				return err
			}
			var made json.RawMessage
			if err := c.call(cmd.Context(), http.MethodPost, "/api/v2/"+n.path, body, &made); err != nil {
				return err
			}
			n.told(cmd, "Made", apiObject{raw: made}, apiObject{raw: body})
			if token := (apiObject{raw: made}).text("token_string"); token != "" { // said this once
				fmt.Fprintln(cmd.OutOrStdout(), printable(token))
			}
			return nil
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	draft.bind(cmd)
	return cmd
}

func (n *noun) change(d *desk, f *flags) *cobra.Command {
	var draft objectDraft
	cmd := &cobra.Command{
		Use:   "change NAME|ID",
		Short: "Change one " + n.what,
		Long:  "Change says fields of an object anew; the others stay as they are.\n\n" + draftHelp,
		Example: n.call("change", n.quoted(), "--set name='Another Name'") + "\n" +
			n.call("change", "7", "--file "+n.name+".json"),
		Args: words(1, 1, "one name or number"),
		RunE: func(cmd *cobra.Command, args []string) error {
			body, err := draft.read(cmd)
			if err != nil {
				return err
			}
			return n.alter(d, f, cmd, args[0], http.MethodPatch, body, "Changed")
		},
		ValidArgsFunction: n.complete(d, f),
	}
	draft.bind(cmd)
	return cmd
}

func (n *noun) remove(d *desk, f *flags) *cobra.Command {
	return &cobra.Command{
		Use:     "delete NAME|ID",
		Short:   "Delete one " + n.what,
		Example: n.call("delete", n.quoted()),
		Args:    words(1, 1, "one name or number"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return n.alter(d, f, cmd, args[0], http.MethodDelete, nil, "Deleted")
		},
		ValidArgsFunction: n.complete(d, f),
	}
}

// alter does something to the object that a word means, and says so.
func (n *noun) alter(d *desk, f *flags, cmd *cobra.Command, word, method string, body any, deed string) error {
	c, o, err := n.reach(d, f, cmd, word)
	if err != nil {
		return err
	}
	if err := c.call(cmd.Context(), method, n.route(o), body, nil); err != nil {
		return err
	}
	n.told(cmd, deed, o, o)
	return nil
}

// reach connects, and finds the object that a word means.
func (n *noun) reach(d *desk, f *flags, cmd *cobra.Command, word string) (*client, apiObject, error) {
	c, err := d.connect(f)
	if err != nil {
		return nil, apiObject{}, err
	}
	o, err := n.find(cmd.Context(), c, word)
	return c, o, err
}

func (n *noun) route(o apiObject) string {
	return "/api/v2/" + n.path + "/" + url.PathEscape(o.text("id"))
}

// told says what has been done to which object.
func (n *noun) told(cmd *cobra.Command, deed string, numbered, named apiObject) {
	text := deed + " the " + n.what
	if name := named.text("name"); name != "" {
		text += " " + printable(name)
	}
	if id := numbered.text("id"); id != "" {
		text += " (" + printable(id) + ")"
	}
	fmt.Fprintln(cmd.ErrOrStderr(), text+".")
}

// find returns the object that a word on the command line means: the one of
// that number, or of that name.
func (n *noun) find(ctx context.Context, c *client, word string) (apiObject, error) {
	var o apiObject
	_, err := strconv.ParseUint(word, 10, 63)
	switch {
	case err == nil:
		err = c.call(ctx, http.MethodGet, "/api/v2/"+n.path+"/"+word, nil, &o.raw)
	case !n.unnamed:
		err = c.call(ctx, http.MethodGet, "/api/v2/"+n.path+"/by-name/"+url.PathEscape(word), nil, &o.raw)
	default:
		return n.search(ctx, c, word)
	}
	if err != nil {
		return apiObject{}, fmt.Errorf("%s %q: %w", n.what, word, err)
	}
	return o, nil
}

func (n *noun) search(ctx context.Context, c *client, name string) (apiObject, error) {
	all, err := c.objects(ctx, n.path)
	if err != nil {
		return apiObject{}, err
	}
	var found []apiObject
	for _, o := range all {
		if strings.EqualFold(o.text("name"), name) {
			found = append(found, o)
		}
	}
	switch len(found) {
	case 0:
		return apiObject{}, fault.New(fault.NotFound, "no %s is called %q; `catenary %s list` names them", n.what, name, n.name)
	case 1:
		return found[0], nil
	}
	ids := make([]string, len(found))
	for i, o := range found {
		ids[i] = o.text("id")
	}
	return apiObject{}, fault.New(fault.Invalid, "%d are called %q: say which by its number, %s", len(found), name, strings.Join(ids, " or "))
}

// complete offers the names that there are.
func (n *noun) complete(d *desk, f *flags) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), completionTimeout)
		defer cancel()
		c, err := d.connect(f)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		all, err := c.objects(ctx, n.path)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		var names []cobra.Completion
		for _, o := range all {
			if name := o.text("name"); name != "" && printable(name) == name {
				names = append(names, name)
			}
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}

// ---- drafts ----

// read returns the object that the draft describes.
func (o *objectDraft) read(cmd *cobra.Command) (json.RawMessage, error) {
	if o.file == "" && len(o.sets) == 0 {
		return nil, UsageError(cmd, errors.New("what is to be said? give --set or --file"))
	}
	whole := map[string]any{}
	if o.file != "" {
		text, err := readInput(cmd, o.file, objectFileMax)
		if err != nil {
			return nil, err
		}
		dec := json.NewDecoder(bytes.NewReader(text))
		dec.UseNumber()
		if err := dec.Decode(&whole); err != nil {
			return nil, fault.New(fault.Invalid, "%s is no JSON object: %w", o.file, err)
		}
	}
	for _, text := range o.sets {
		if err := setMember(whole, text); err != nil {
			return nil, UsageError(cmd, err)
		}
	}
	return json.Marshal(whole)
}

// setMember puts what "a.b=text" or "a.b:=JSON" says into an object.
func setMember(whole map[string]any, text string) error {
	field, said, ok := strings.Cut(text, "=")
	var value any = said
	if inner, isJSON := strings.CutSuffix(field, ":"); isJSON {
		dec := json.NewDecoder(strings.NewReader(said))
		dec.UseNumber()
		if err := dec.Decode(&value); err != nil || dec.More() {
			return fmt.Errorf("--set %q: what follows := is not JSON", text)
		}
		field = inner
	}
	names := strings.Split(field, ".")
	for _, name := range names {
		if !ok || name == "" {
			return fmt.Errorf("--set %q: write field=text or field:=JSON", text)
		}
	}
	for _, name := range names[:len(names)-1] {
		inner, isObject := whole[name].(map[string]any)
		if !isObject {
			inner = map[string]any{}
			whole[name] = inner
		}
		whole = inner
	}
	whole[names[len(names)-1]] = value
	return nil
}
