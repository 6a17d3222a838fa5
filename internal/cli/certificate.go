package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/spf13/cobra"
)

const (
	certificatesPath = "/api/v2/https_certificates"
	requestPath      = "/api/v2/https_certificate_signing_request"

	certificateFileMax = 512 << 10 // bytes: ten certificates and a key have a tenth of it
)

// certificate makes the commands for the certificate that the API shows.
func (d *desk) certificate() *cobra.Command {
	f := &flags{}
	cmd := &cobra.Command{
		Use:   "certificate",
		Short: "Look after the certificate that the server shows",
		Long: `The server shows a certificate of its own until another is installed. Either make
a key and a certificate elsewhere, or let the server make a key, which never
leaves it, and a request for your authority. What is installed counts from the
next connection on.`,
		Example: `  catenary certificate list
  catenary certificate request --name catenary.example.org > catenary.csr
  catenary certificate install chain.pem`,
	}
	cmd.AddCommand(d.certificateList(f), d.certificateRequest(f), d.certificateInstall(f), d.certificateRemove(f))
	Group(cmd)
	f.bind(cmd)
	return cmd
}

func (d *desk) certificateList(f *flags) *cobra.Command {
	return d.listing(f, &cobra.Command{
		Use:     "list",
		Short:   "List the certificates that the server shows, its own first",
		Example: `  catenary certificate list`,
	}, func(cmd *cobra.Command, c *client, how format) (grid, error) {
		all, err := c.objects(cmd.Context(), strings.TrimPrefix(certificatesPath, "/api/v2/"))
		g := grid{columns: []column{{name: "Subject"}, {name: "For"}, {name: "Issuer"}, {name: "Not After"}, {name: "Installed"}, {name: "SHA-256"}}}
		for _, o := range all {
			installed := "yes"
			if o.text("installed_flag") != "true" {
				installed = "no: it is the server's own"
			}
			var names struct {
				Names []struct {
					Name string `json:"name"`
				} `json:"names"`
			}
			if err := json.Unmarshal(o.raw, &names); err != nil {
				return g, err
			}
			var of cell
			for _, n := range names.Names {
				of = append(of, n.Name)
			}
			g.rows = append(g.rows, []cell{{o.text("subject")}, of, {o.text("issuer")}, {o.text("not_after")}, {installed}, {o.text("fingerprint_sha256")}})
		}
		return g, err
	})
}

func (d *desk) certificateRequest(f *flags) *cobra.Command {
	var show, withdraw bool
	said := map[string]*string{}
	var names []string
	cmd := &cobra.Command{
		Use:   "request",
		Short: "Make a key on the server, and print a request",
		Long: `Request prints a request in PEM, which an authority makes a certificate of. Its key
stays on the server, until the certificate is installed or the request is
withdrawn; another request takes its place.`,
		Example: `  catenary certificate request --name catenary.example.org --name 10.1.2.3 --organization Example > catenary.csr
  catenary certificate request --show`,
		Args: words(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if show && withdraw {
				return UsageError(cmd, errors.New("give --show or --withdraw"))
			}
			c, err := d.connect(f)
			if err != nil {
				return err
			}
			if withdraw {
				if err := c.call(cmd.Context(), http.MethodDelete, requestPath, nil, nil); err != nil {
					return err
				}
				fmt.Fprintln(cmd.ErrOrStderr(), "Withdrew the request.")
				return nil
			}
			method, in := http.MethodGet, any(nil)
			if !show {
				body := map[string]any{"names": names}
				for field, text := range said {
					body[field] = *text
				}
				method, in = http.MethodPost, body
			}
			var out struct {
				PEM string `json:"pem"`
			}
			if err := c.call(cmd.Context(), method, requestPath, in, &out); err != nil {
				return err
			}
			_, err = fmt.Fprint(cmd.OutOrStdout(), printableLines(out.PEM))
			return err
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	fl := cmd.Flags()
	fl.StringArrayVar(&names, "name", nil, "a `name` or address at which the server is reached (default: the host of public_url, or the machine's)")
	for _, part := range [][2]string{{"common_name", ""}, {"organization", ""}, {"organizational_unit", ""}, {"locality", "city"}, {"state", ""}, {"country", "two letters"}} {
		said[part[0]] = fl.String(strings.ReplaceAll(part[0], "_", "-"), "", "of the subject; "+part[1])
	}
	fl.BoolVar(&show, "show", false, "print the request that waits for its certificate")
	fl.BoolVar(&withdraw, "withdraw", false, "forget that request, and its key")
	return cmd
}

func (d *desk) certificateInstall(f *flags) *cobra.Command {
	var key string
	cmd := &cobra.Command{
		Use:   "install FILE",
		Short: "Show another certificate from the next connection on",
		Long: `Install takes a file in PEM (- is standard input): the server's certificate first,
then those of its issuers. The private key may stand in the file, or in another
(--key); without it the key of the request is meant. The server refuses what
browsers would not accept, and says why. The key is encrypted on its way by TLS,
lies on the server in a file that only it reads, and is never shown.`,
		Example: `  catenary certificate install chain.pem
  catenary certificate install chain.pem --key server.key`,
		Args: words(1, 1, "one file"),
		RunE: func(cmd *cobra.Command, args []string) error {
			var texts []string
			for _, path := range []string{args[0], key} {
				if path == "" {
					continue
				}
				text, err := readInput(cmd, path, certificateFileMax)
				if err != nil {
					return err
				}
				texts = append(texts, string(text))
			}
			return d.showCertificate(cmd, f, http.MethodPost, texts)
		},
	}
	cmd.Flags().StringVar(&key, "key", "", "`file` with the private key, in PEM and not encrypted")
	return cmd
}

func (d *desk) certificateRemove(f *flags) *cobra.Command {
	return &cobra.Command{
		Use:     "remove",
		Short:   "Show the server's own certificate again",
		Example: `  catenary certificate remove`,
		Args:    words(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return d.showCertificate(cmd, f, http.MethodDelete, nil)
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
}

func (d *desk) showCertificate(cmd *cobra.Command, f *flags, method string, texts []string) error {
	c, err := d.connect(f)
	if err != nil {
		return err
	}
	var in any
	if texts != nil {
		in = texts
	}
	var out apiObject
	if err := c.call(cmd.Context(), method, certificatesPath, in, &out.raw); err != nil {
		return err
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "New connections are shown %s, good until %s (SHA-256 %s).\n",
		printable(out.text("subject")), printable(out.text("not_after")), printable(out.text("fingerprint_sha256")))
	return nil
}
