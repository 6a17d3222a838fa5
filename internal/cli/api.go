package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"catenary/internal/fault"
)

// apiRoot is where nearly all paths begin.
const apiRoot = "/api/v2/"

var methods = []string{http.MethodGet, http.MethodPost, http.MethodPatch, http.MethodPut, http.MethodDelete}

// A rawCall is what the command line of api says.
type rawCall struct {
	flags
	method, path  string
	data, options string
	raw           bool
}

func (d *desk) api() *cobra.Command {
	r := &rawCall{}
	cmd := &cobra.Command{
		Use:   "api [METHOD] PATH",
		Short: "Send one request to the API and print its answer",
		Long: `Api sends one request with the token of the last login and prints the answer:
JSON indented, anything else as it is. The method is GET unless it is said. A
path that does not begin with / is one below /api/v2/.

What a server can do stands in its own description: catenary api /openapi.json`,
		Example: `  catenary api GET /api/v2/session/current
  catenary api sensors/by-name/Free%20Memory
  catenary api sensors --options '{"row_count":5,"cache_sort_fields":"-name"}'
  catenary api POST parse_question --data '{"text":"free memory"}'
  catenary api PATCH packages/7 --data @package.json
  catenary api GET keys/315 --raw > catenary-init.dat`,
		Args: words(1, 2, "a method and a path"),
		RunE: func(cmd *cobra.Command, args []string) error {
			r.method, r.path = http.MethodGet, args[len(args)-1]
			if len(args) == 2 {
				r.method = strings.ToUpper(args[0])
			}
			if !slices.Contains(methods, r.method) {
				return UsageError(cmd, fmt.Errorf("%q is no method: write GET, POST, PATCH, PUT or DELETE", args[0]))
			}
			if !strings.HasPrefix(r.path, "/") {
				r.path = apiRoot + r.path
			}
			if r.options != "" && !json.Valid([]byte(r.options)) {
				return UsageError(cmd, errors.New("--options is not JSON"))
			}
			return d.runAPI(cmd, r)
		},
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return methods, cobra.ShellCompDirectiveNoFileComp
		},
	}
	r.flags.bind(cmd)
	f := cmd.Flags()
	f.StringVar(&r.data, "data", "", "the `body`; @file reads it from a file, @- from standard input")
	f.StringVar(&r.options, "options", "", "`JSON` for the header tanium-options: pages, filters, sorting")
	f.BoolVar(&r.raw, "raw", false, "print the answer byte for byte")
	return cmd
}

// runAPI waits as long as the server does: an event stream ends when it ends,
// or with Ctrl-C.
func (d *desk) runAPI(cmd *cobra.Command, r *rawCall) error {
	var in any
	if r.data != "" {
		body := []byte(r.data)
		if path, isFile := strings.CutPrefix(r.data, "@"); isFile {
			var err error
			if body, err = readInput(cmd, path, objectFileMax); err != nil {
				return err
			}
		}
		in = verbatim(body)
	}
	c, err := d.connect(&r.flags)
	if err != nil {
		return err
	}
	c.options = r.options
	resp, err := c.send(cmd.Context(), r.method, r.path, in)
	if err != nil {
		c.options = ""
		return c.meant(cmd.Context(), r.path, err)
	}
	defer resp.Body.Close()
	kind, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err != nil {
		kind = "application/octet-stream"
	}
	out := cmd.OutOrStdout()
	_, seen := d.terminal(out)
	switch {
	case r.raw:
		_, err = io.Copy(out, resp.Body)
	case kind == "application/json":
		err = c.printJSON(out, resp.Body)
	case strings.HasPrefix(kind, "text/"):
		err = printText(out, resp.Body)
	case seen:
		return fault.New(fault.Invalid, "the answer is %s, which is nothing for a terminal: add --raw > FILE", printable(kind))
	default:
		_, err = io.Copy(out, resp.Body)
	}
	if err != nil {
		return fmt.Errorf("the answer of %s: %w", c.base, err)
	}
	return nil
}

// meant adds to the error about a path that is not there that it is one below
// /api/v2/, if it is.
func (c *client) meant(ctx context.Context, path string, err error) error {
	wanted, _, _ := strings.Cut(apiRoot+strings.TrimPrefix(path, "/"), "?")
	if fault.KindOf(err) != fault.NotFound || strings.HasPrefix(path, apiRoot) {
		return err
	}
	resp, askErr := c.send(ctx, http.MethodGet, "/openapi.json", nil)
	if askErr != nil {
		return err // there is no more to be said
	}
	defer resp.Body.Close()
	var known struct {
		Paths map[string]json.RawMessage `json:"paths"`
	}
	if json.NewDecoder(io.LimitReader(resp.Body, replyMax)).Decode(&known) != nil {
		return err
	}
	for template := range known.Paths {
		if fits(template, wanted) {
			return fmt.Errorf("%w\n%s is there: write it without the / at its beginning, or whole", err, wanted)
		}
	}
	return err
}

// fits reports whether a path is one of a template like /a/{id}/b.
func fits(template, path string) bool {
	parts, names := strings.Split(path, "/"), strings.Split(template, "/")
	return slices.EqualFunc(names, parts, func(name, part string) bool {
		return name == part || strings.HasPrefix(name, "{") && part != ""
	})
}

func (c *client) printJSON(out io.Writer, body io.Reader) error {
	text, err := io.ReadAll(io.LimitReader(body, replyMax+1))
	if err != nil {
		return err
	}
	if len(text) > replyMax {
		return fmt.Errorf("the answer is larger than %d MiB: add --raw", replyMax>>20)
	}
	return printObject(out, bytes.TrimSpace(text))
}

// printText makes each line harmless as it comes.
func printText(out io.Writer, body io.Reader) error {
	lines := bufio.NewReader(body)
	for {
		line, err := lines.ReadString('\n')
		if line != "" {
			text, end := strings.CutSuffix(line, "\n")
			text = printableLines(text)
			if end {
				text += "\n"
			}
			if _, err := io.WriteString(out, text); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
