package cli

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"catenary/internal/content"
	"catenary/internal/fault"
)

const (
	// importTimeout is how long a server may take to import: a folder of
	// thousands of sensors, each signed.
	importTimeout = 5 * time.Minute
	// uploadTimeout is for one file of a package, over a slow line.
	uploadTimeout = 2 * time.Hour
)

func (d *desk) content() *cobra.Command {
	f := &flags{}
	cmd := &cobra.Command{
		Use:   "content",
		Short: "Keep sensors, packages, saved questions and groups as files",
		Long: `Content keeps what operators make as a folder of YAML files: to be reviewed, kept
in a repository, and applied to one installation or several. docs/content.md
says what the files look like.`,
		Example: `  catenary content export desk
  catenary content diff desk
  catenary content apply desk`,
	}
	cmd.AddCommand(d.contentApply(f), d.contentDiff(f), d.contentCheck(), d.contentExport(f), d.contentImport(f), d.contentList(f))
	Group(cmd)
	f.bind(cmd)
	return cmd
}

// applyFlags are those of apply and diff.
type applyFlags struct {
	dryRun, prune, keepEdits bool
}

func (a *applyFlags) bind(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&a.prune, "prune", false, "delete what the folder once made and holds no more")
	cmd.Flags().BoolVar(&a.keepEdits, "keep-edits", false, "leave alone what was changed on the server since, or was made there")
}

func (d *desk) contentApply(f *flags) *cobra.Command {
	var a applyFlags
	cmd := &cobra.Command{
		Use:   "apply DIR",
		Short: "Make the server hold what a folder says",
		Long: `Apply makes and changes what the folder says, all of it or nothing, and prints
what it has done. What the folder does not speak of stays as it is; --prune
deletes what the same folder (by the name in its content.yaml) made before.
Applied again, it changes nothing.`,
		Example: `  catenary content apply desk
  catenary content apply desk --dry-run
  catenary content apply desk --prune`,
		Args: words(1, 1, "one folder"),
		RunE: func(cmd *cobra.Command, args []string) error { return d.applyContent(cmd, f, args[0], a) },
	}
	a.bind(cmd)
	cmd.Flags().BoolVar(&a.dryRun, "dry-run", false, "change nothing, only show what would be changed")
	return cmd
}

func (d *desk) contentDiff(f *flags) *cobra.Command {
	a := applyFlags{dryRun: true}
	cmd := &cobra.Command{
		Use:     "diff DIR",
		Short:   "Show what apply would change",
		Example: `  catenary content diff desk`,
		Args:    words(1, 1, "one folder"),
		RunE:    func(cmd *cobra.Command, args []string) error { return d.applyContent(cmd, f, args[0], a) },
	}
	a.bind(cmd)
	return cmd
}

func (d *desk) contentCheck() *cobra.Command {
	return &cobra.Command{
		Use:     "check DIR",
		Short:   "Read a folder, without a server",
		Example: `  catenary content check desk`,
		Args:    words(1, 1, "one folder"),
		RunE: func(cmd *cobra.Command, args []string) error {
			folder, err := readContent(args[0])
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "%s %s: %d objects can be read.\n", printable(folder.Name), printable(folder.Version), len(folder.Objects))
			return nil
		},
	}
}

func readContent(dir string) (content.Folder, error) {
	info, err := os.Stat(dir)
	if err != nil || !info.IsDir() {
		return content.Folder{}, fault.New(fault.Invalid, "%s is not a folder", dir)
	}
	return content.Read(os.DirFS(dir))
}

// What import takes, and answers.
type (
	importBody struct {
		Version    int                          `json:"version"`
		ObjectList map[string][]json.RawMessage `json:"object_list"`
		Content    *importSource                `json:"content,omitempty"`
	}
	importSource struct {
		Name        string `json:"name"`
		Version     string `json:"version"`
		Description string `json:"description"`
		KeepEdits   bool   `json:"keep_edits"`
		Prune       bool   `json:"prune"`
	}
	importDone struct {
		Applied bool         `json:"applied"`
		Deeds   []importDeed `json:"deeds"`
	}
	importDeed struct {
		Type string       `json:"type"`
		Name string       `json:"name"`
		Deed string       `json:"deed"`
		Diff []importDiff `json:"diff"`
	}
	importDiff struct {
		Field string `json:"field"`
		Was   string `json:"was"`
		Now   string `json:"now"`
	}
)

// importVersion is the version of content's form in the API.
const importVersion = 2

// What import does with an object that is there already.
var conflictOptions = []string{"error", "overwrite", "copy", "ignore", "merge", "disable"}

func (d *desk) applyContent(cmd *cobra.Command, f *flags, dir string, a applyFlags) error {
	folder, err := readContent(dir)
	if err != nil {
		return err
	}
	c, err := d.connect(f)
	if err != nil {
		return err
	}
	body := importBody{Version: importVersion, ObjectList: map[string][]json.RawMessage{}, Content: &importSource{
		Name: folder.Name, Version: folder.Version, Description: folder.Description, KeepEdits: a.keepEdits, Prune: a.prune,
	}}
	for _, o := range folder.Objects {
		if len(o.Files) > 0 {
			if o.Body, err = c.packageFiles(cmd.Context(), dir, o, !a.dryRun); err != nil {
				return err
			}
		}
		body.ObjectList[o.Type.Plural] = append(body.ObjectList[o.Type.Plural], o.Body)
	}
	done, err := c.importContent(cmd.Context(), body, "overwrite", a.dryRun)
	if err != nil {
		return err
	}
	return d.printDeeds(cmd, done)
}

// packageFiles fills in what the server wants to know of a package's files, and
// uploads those that it has not.
func (c *client) packageFiles(ctx context.Context, dir string, o content.Object, upload bool) (json.RawMessage, error) {
	var whole map[string]json.RawMessage
	if err := json.Unmarshal(o.Body, &whole); err != nil {
		return nil, err
	}
	var files []map[string]any
	if err := json.Unmarshal(whole["files"], &files); err != nil {
		return nil, err
	}
	for _, file := range o.Files {
		hash, size, err := c.uploadFile(ctx, filepath.Join(dir, filepath.FromSlash(file.Path)), upload)
		if err != nil {
			return nil, fmt.Errorf("%s: %s: %w", o.Path, file.Path, err)
		}
		i := slices.IndexFunc(files, func(f map[string]any) bool { return f["name"] == file.Name && f["hash"] == nil })
		if i < 0 {
			return nil, fault.New(fault.Invalid, "%s: two files are called %q", o.Path, file.Name)
		}
		files[i]["hash"], files[i]["size"] = hash, size
	}
	list, err := json.Marshal(files)
	if err != nil {
		return nil, err
	}
	whole["files"] = list
	return json.Marshal(whole)
}

// uploadFile brings a file to the server, unless it is there.
func (c *client) uploadFile(ctx context.Context, path string, upload bool) (hash string, size int64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return "", 0, fault.New(fault.Invalid, "%w", err)
	}
	defer f.Close() // it was only read
	sum := sha256.New()
	if size, err = io.Copy(sum, f); err != nil {
		return "", 0, err
	}
	hash = hex.EncodeToString(sum.Sum(nil))
	if !upload {
		return hash, size, nil
	}
	if size == 0 {
		return "", 0, fault.New(fault.Invalid, "the file is empty")
	}
	var there struct {
		File struct {
			Cached bool `json:"file_cached"`
		} `json:"upload_file"`
	}
	ask := map[string]any{"id": -1, "file_size": size, "start_pos": 0, "bytes": "", "hash": hash}
	if err := c.call(ctx, http.MethodPost, "/api/v2/upload_file", ask, &there); err != nil {
		return "", 0, err
	}
	if there.File.Cached {
		return hash, size, nil
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return "", 0, err
	}
	return hash, size, c.sendFile(ctx, f, size)
}

// sendFile sends a file as it is.
func (c *client) sendFile(ctx context.Context, r io.Reader, size int64) error {
	ctx, cancel := context.WithTimeout(ctx, uploadTimeout)
	defer cancel()
	resp, err := c.send(ctx, http.MethodPost, "/api/v2/upload_file_stream", octets{r, size})
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, io.LimitReader(resp.Body, replyMax))
	return errors.Join(err, resp.Body.Close())
}

func (c *client) importContent(ctx context.Context, body any, conflicts string, dryRun bool) (done importDone, err error) {
	options, err := json.Marshal(map[string]int{
		"default_import_conflict_option": slices.Index(conflictOptions, conflicts), "import_analyze_conflicts_only": map[bool]int{true: 1}[dryRun],
	})
	if err != nil {
		return done, err
	}
	patient := *c
	patient.options = string(options)
	return done, patient.callWithin(ctx, importTimeout, http.MethodPost, "/api/v2/import", body, &done)
}

func (d *desk) contentImport(f *flags) *cobra.Command {
	var conflicts string
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "import FILE",
		Short: "Import content from a JSON file",
		Long: `Import takes a file as POST /api/v2/export answers it ("-" is standard input), and
as other systems of this kind export it. What is there already is a conflict,
and then nothing is imported, unless --conflicts says what is to become of it:
overwrite, copy, ignore, merge, or disable (overwrite, and let it do nothing).`,
		Example: `  catenary content import content.json
  catenary content import content.json --conflicts overwrite --dry-run`,
		Args: words(1, 1, "one file"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !slices.Contains(conflictOptions, conflicts) {
				return UsageError(cmd, fmt.Errorf("--conflicts %q: write one of %s", conflicts, strings.Join(conflictOptions, ", ")))
			}
			text, err := readInput(cmd, args[0], objectFileMax)
			if err != nil {
				return err
			}
			var whole struct {
				Data json.RawMessage `json:"data"` // as the API wraps it
			}
			if json.Unmarshal(text, &whole) == nil && len(whole.Data) > 0 {
				text = whole.Data
			}
			if !json.Valid(text) {
				return fault.New(fault.Invalid, "%s is not JSON", args[0])
			}
			c, err := d.connect(f)
			if err != nil {
				return err
			}
			done, err := c.importContent(cmd.Context(), json.RawMessage(text), conflicts, dryRun)
			if err != nil {
				return err
			}
			return d.printDeeds(cmd, done)
		},
	}
	cmd.Flags().StringVar(&conflicts, "conflicts", "error", "`what` becomes of objects that are there already: "+strings.Join(conflictOptions, ", "))
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "change nothing, only show what would be changed")
	return cmd
}

func (d *desk) contentList(f *flags) *cobra.Command {
	return d.listing(f, &cobra.Command{
		Use:     "list",
		Short:   "List the folders that have been applied",
		Example: `  catenary content list`,
	}, func(cmd *cobra.Command, c *client, _ format) (grid, error) {
		all, err := c.objects(cmd.Context(), "content_sources")
		g := grid{columns: []column{{name: "Name"}, {name: "Version"}, {name: "Objects", right: true, number: true}, {name: "Applied"}, {name: "By"}, {name: "Description"}}}
		users := &userNames{ctx: cmd.Context(), c: c}
		for _, o := range all {
			by := strings.Join(users.cell(o, "applied_by"), "")
			g.add(o.text("name"), o.text("version"), fmt.Sprint(len(o.cell("objects"))), o.text("applied_time"), by, o.text("description"))
		}
		return g, err
	})
}

// An exportFlags are those of export.
type exportFlags struct {
	types   []string
	name    string
	version string
	asJSON  bool
}

func (d *desk) contentExport(f *flags) *cobra.Command {
	var e exportFlags
	cmd := &cobra.Command{
		Use:   "export DIR",
		Short: "Write what the server holds as a folder",
		Long: `Export writes a folder that apply takes: what operators have made, without what
every installation has of itself. Files that are there already are written
over; others in the folder stay.`,
		Example: `  catenary content export desk
  catenary content export desk --type saved_questions,groups --name 'Desk questions'
  catenary content export --json > content.json`,
		Args: words(0, 1, "one folder"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if e.asJSON != (len(args) == 0) {
				return UsageError(cmd, errors.New("give a folder, or --json"))
			}
			c, err := d.connect(f)
			if err != nil {
				return err
			}
			if e.asJSON {
				var raw json.RawMessage
				if err := c.export(cmd.Context(), e.types, &raw); err != nil {
					return err
				}
				return printObject(cmd.OutOrStdout(), raw)
			}
			return d.exportContent(cmd, c, args[0], e)
		},
	}
	p := cmd.Flags()
	var all []string
	for _, t := range content.Types {
		all = append(all, t.Plural)
	}
	p.StringSliceVar(&e.types, "type", all, "which `types` of objects")
	p.StringVar(&e.name, "name", "", "`name` of the content (default: the folder's)")
	p.StringVar(&e.version, "version", "1", "`version` of the content")
	p.BoolVar(&e.asJSON, "json", false, "print JSON as import takes it, instead of writing a folder")
	return cmd
}

func (c *client) export(ctx context.Context, types []string, out any) error {
	body := map[string]any{}
	for _, t := range types {
		body[t] = map[string]bool{"include_all": true}
	}
	return c.callWithin(ctx, importTimeout, http.MethodPost, "/api/v2/export", body, out)
}

func (d *desk) exportContent(cmd *cobra.Command, c *client, dir string, e exportFlags) error {
	var exported importBody
	if err := c.export(cmd.Context(), e.types, &exported); err != nil {
		return err
	}
	if e.name == "" {
		whole, err := filepath.Abs(dir)
		if err != nil {
			return err
		}
		e.name = filepath.Base(whole)
	}
	folder := content.Folder{Name: e.name, Version: e.version}
	for _, t := range content.Types {
		for _, body := range exported.ObjectList[t.Plural] {
			o := apiObject{raw: body}
			folder.Objects = append(folder.Objects, content.Object{Type: t, Name: o.text(t.Key), Body: body})
		}
	}
	files, err := content.Write(&folder)
	if err != nil {
		return err
	}
	for name, text := range files {
		if err := writeBelow(dir, name, bytes.NewReader(text)); err != nil {
			return err
		}
	}
	for _, o := range folder.Objects {
		for _, file := range o.Files {
			if err := c.fetchFile(cmd.Context(), dir, o, file); err != nil {
				return fmt.Errorf("%s: %s: %w", o.Name, file.Name, err)
			}
		}
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "Wrote %d objects to %s.\n", len(folder.Objects), dir)
	return nil
}

// writeBelow writes a file below a folder.
func writeBelow(dir, name string, r io.Reader) error {
	if !fs.ValidPath(name) {
		return fault.New(fault.Invalid, "%q is not the path of a file below the folder", name)
	}
	whole := filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(whole), 0o755); err != nil {
		return err
	}
	f, err := os.Create(whole)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	return errors.Join(err, f.Close())
}

// fetchFile writes a file of a package below the folder.
func (c *client) fetchFile(ctx context.Context, dir string, o content.Object, file content.File) error {
	all, err := c.objects(ctx, "package_files")
	if err != nil {
		return err
	}
	var body struct {
		Files []struct{ Name, Hash string } `json:"files"`
	}
	if err := json.Unmarshal(o.Body, &body); err != nil {
		return err
	}
	i := slices.IndexFunc(body.Files, func(f struct{ Name, Hash string }) bool { return f.Name == file.Name })
	if i < 0 {
		return fault.New(fault.NotFound, "the package has no such file")
	}
	at := slices.IndexFunc(all, func(f apiObject) bool {
		return f.text("name") == file.Name && f.text("hash") == body.Files[i].Hash && f.text("cache_status") == "Cached"
	})
	if at < 0 {
		return fault.New(fault.NotFound, "the server does not have it")
	}
	ctx, cancel := context.WithTimeout(ctx, uploadTimeout)
	defer cancel()
	resp, err := c.send(ctx, http.MethodGet, "/api/v2/package_files/"+all[at].text("id")+"/content", nil)
	if err != nil {
		return err
	}
	return errors.Join(writeBelow(dir, file.Path, resp.Body), resp.Body.Close())
}
