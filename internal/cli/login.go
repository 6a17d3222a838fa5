package cli

import (
	"bufio"
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"catenary/internal/fault"
)

// tokenDays is how long a token of `catenary login` lives unless told
// otherwise: a forgotten one should not outlive a job.
const tokenDays = 30

type entry struct {
	flags
	user          string
	passwordStdin bool
	yes           bool // to the text before the login
	certificate   string
	key           string // of certificate; empty: in the same file
	days          int
}

func (d *desk) login() *cobra.Command {
	e := &entry{}
	cmd := &cobra.Command{
		Use:   "login [URL]",
		Short: "Log in to a server and remember it",
		Long: `Login asks for user and password, makes an API token on the server, and writes
the server's address and the token to the configuration file, which only you
can read. The password is not kept.

The server's certificate must be vouched for by the system's roots, by the CA
in --ca, or by its --fingerprint. If it is by none, login shows the fingerprint
and asks; the one that you accept is remembered, and no other is accepted from
then on.

With --certificate no password is asked for: the server knows whose it is, if it
lets people in by certificates.

If the server has a text that everybody has to agree with, login shows it and
asks; --yes agrees with it.`,
		Example: `  catenary login https://catenary.example.com
  catenary login https://10.0.0.5:8443 --ca ca.pem
  catenary login https://catenary.example.com --certificate ada.pem --key ada.key
  catenary login 10.0.0.5:8443 --user deploy --password-stdin --fingerprint 3F:92:… < password`,
		Args: words(0, 1, "at most one URL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 && e.flags.URL != "" {
				return UsageError(cmd, errors.New("give the URL once: as the argument or by --url"))
			}
			if len(args) == 1 {
				e.flags.URL = args[0]
			}
			if e.passwordStdin && e.user == "" {
				return UsageError(cmd, errors.New("--password-stdin needs --user"))
			}
			if e.certificate != "" && (e.user != "" || e.passwordStdin) || e.certificate == "" && e.key != "" {
				return UsageError(cmd, errors.New("give either --certificate, and --key if that is in another file, or --user and a password"))
			}
			if e.days < 1 {
				return UsageError(cmd, fmt.Errorf("--days %d is not a number of days", e.days))
			}
			return d.runLogin(cmd, e)
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	e.flags.bind(cmd)
	f := cmd.Flags()
	f.StringVar(&e.user, "user", "", "`name` of the user; asked for if not given")
	f.BoolVar(&e.passwordStdin, "password-stdin", false, "read the password from standard input")
	f.BoolVar(&e.yes, "yes", false, "agree with the text that the server shows before a login")
	f.StringVar(&e.certificate, "certificate", "", "log in by the client certificate in this `file` (PEM)")
	f.StringVar(&e.key, "key", "", "its private key, if it is in another `file`")
	f.IntVar(&e.days, "days", tokenDays, "the token is valid for so many `days`")
	return cmd
}

func (d *desk) runLogin(cmd *cobra.Command, e *entry) error {
	ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt)
	defer stop()
	path, err := d.configPath(&e.flags)
	if err != nil {
		return err
	}
	conf, _, err := d.config(&e.flags)
	if err != nil {
		return err
	}
	if conf.URL == "" {
		return UsageError(cmd, errors.New("which server? For example: catenary login https://catenary.example.com"))
	}
	if conf.CA != "" {
		if conf.CA, err = filepath.Abs(conf.CA); err != nil { // it is read from other folders later
			return err
		}
	}
	ask := &dialogue{desk: d, in: cmd.InOrStdin(), out: cmd.ErrOrStderr()}
	if conf.CA == "" && conf.Fingerprint == "" {
		if conf.Fingerprint, err = ask.trust(ctx, conf.URL); err != nil {
			return err
		}
	}
	conf.Token = ""
	c, err := newClient(conf)
	if err != nil {
		return err
	}
	if _, person := ask.terminal(ask.in); !person && !e.passwordStdin && e.certificate == "" {
		return fault.New(fault.Invalid, "standard input is not a terminal: give --user, and the password with --password-stdin")
	}
	if err := ask.agree(ctx, c, e.yes); err != nil {
		return err
	}
	user, err := ask.enter(ctx, c, e)
	if err != nil {
		return err
	}
	token, err := c.makeToken(ctx, d.tokenName(), e.days)
	if err == nil {
		conf.Token, conf.TokenID = token.Token, token.ID
		err = SaveConfig(path, conf)
	}
	// The session has done its work, also when that failed.
	if err := errors.Join(err, c.closeSession(ctx)); err != nil {
		return fmt.Errorf("login: %w", err)
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "Logged in to %s as %s for %d days (%s).\n", conf.URL, printable(user), e.days, path)
	return nil
}

// tokenName lets its owner recognise the token in the server's list.
func (d *desk) tokenName() string {
	host, err := d.hostname()
	if err != nil {
		return "catenary login" // a computer without a name can log in, too
	}
	return "catenary login on " + host
}

// A dialogue asks the operator for what the command line does not say.
type dialogue struct {
	*desk
	in    io.Reader
	out   io.Writer
	lines *bufio.Reader // of in, once something was read
}

// trust decides whether a server that was named without a CA or fingerprint is
// the right one. It returns the fingerprint to insist on, or "" if the
// system's roots vouch for the server.
func (q *dialogue) trust(ctx context.Context, base string) (string, error) {
	cert, known, err := meet(ctx, base)
	if err != nil || known {
		return "", err
	}
	seen := fingerprint(sha256.Sum256(cert.Raw))
	if _, person := q.terminal(q.in); !person {
		return "", fault.New(fault.Stranger, "nobody vouches for the certificate of %s; its fingerprint is %v\nif that is the right one, add --fingerprint; or name its CA with --ca", base, seen)
	}
	fmt.Fprintf(q.out, `Nobody vouches for the certificate of %s:
  for          %s
  issued by    %s
  valid until  %s
  SHA-256      %v
Compare the last line with what the server's operator tells you.
`, base, printable(subject(cert)), printable(cert.Issuer.String()), cert.NotAfter.UTC().Format(time.DateOnly), seen)
	yes, err := q.yes(ctx, "Trust it from now on?")
	if err != nil {
		return "", err
	}
	if !yes {
		return "", fault.New(fault.Stranger, "%s is not trusted; nothing was sent to it", base)
	}
	return seen.String(), nil
}

// yes asks a question whose answer is no unless it is yes.
func (q *dialogue) yes(ctx context.Context, question string) (bool, error) {
	answer, err := q.ask(ctx, question+" [y/N] ")
	a := strings.ToLower(strings.TrimSpace(answer))
	return a == "y" || a == "yes", err
}

// agree shows what everybody is shown who logs in to this server, if there is
// such a text, and returns an error unless the person agrees with it.
func (q *dialogue) agree(ctx context.Context, c *client, yes bool) error {
	text, err := c.preLogin(ctx)
	if err != nil {
		return fmt.Errorf("login: %w", err)
	}
	if strings.TrimSpace(text) == "" {
		return nil
	}
	fmt.Fprintln(q.out, printableLines(strings.TrimRight(text, "\r\n")))
	if yes {
		return nil
	}
	if _, person := q.terminal(q.in); !person {
		return fault.New(fault.Invalid, "whoever logs in to %s has to agree with the text above: add --yes if you do", c.base)
	}
	if yes, err = q.yes(ctx, "Do you agree?"); err == nil && !yes {
		err = fault.New(fault.Denied, "you are not logged in to %s: you have not agreed", c.base)
	}
	return err
}

func subject(cert *x509.Certificate) string {
	if len(cert.DNSNames) > 0 {
		return strings.Join(cert.DNSNames, ", ")
	}
	return cert.Subject.String()
}

// enter opens a session by what e says, or by what the person does, and returns
// whose it is.
func (q *dialogue) enter(ctx context.Context, c *client, e *entry) (user string, err error) {
	if e.certificate != "" {
		pair, err := tls.LoadX509KeyPair(e.certificate, cmp.Or(e.key, e.certificate))
		if err != nil {
			return "", fault.New(fault.Invalid, "--certificate: %w", err)
		}
		c.session, err = c.openByCertificate(ctx, pair)
		if err != nil {
			return "", fmt.Errorf("login: %w", err)
		}
		return pair.Leaf.Subject.String(), nil
	}
	user, password, err := q.credentials(ctx, e)
	if err != nil {
		return "", err
	}
	if c.session, err = c.openSession(ctx, user, password); err != nil {
		return "", fmt.Errorf("login: %w", err)
	}
	return user, nil
}

func (q *dialogue) credentials(ctx context.Context, e *entry) (user, password string, err error) {
	if e.passwordStdin {
		password, err = q.line(ctx)
		if err != nil {
			return "", "", fault.New(fault.Invalid, "no password on standard input: %w", err)
		}
		return e.user, password, nil
	}
	if user = e.user; user == "" {
		if user, err = q.ask(ctx, "User: "); err != nil {
			return "", "", err
		}
	}
	fmt.Fprint(q.out, "Password: ")
	password, err = q.secret(ctx, q.in)
	fmt.Fprintln(q.out) // the reader's own line end was not echoed
	return strings.TrimSpace(user), password, err
}

func (q *dialogue) ask(ctx context.Context, prompt string) (string, error) {
	fmt.Fprint(q.out, prompt)
	return q.line(ctx)
}

// line reads one line without its end.
func (q *dialogue) line(ctx context.Context) (string, error) {
	if q.lines == nil {
		q.lines = bufio.NewReader(q.in)
	}
	return abandon(ctx, func() (string, error) {
		text, err := q.lines.ReadString('\n')
		if errors.Is(err, io.EOF) && text != "" {
			err = nil
		}
		return strings.TrimRight(text, "\r\n"), err
	})
}

type farewell struct {
	flags
	local bool
}

func (d *desk) logout() *cobra.Command {
	w := &farewell{}
	cmd := &cobra.Command{
		Use:   "logout",
		Short: "Delete the token of the last login, on the server and here",
		Long: `Logout deletes the API token that login made, on the server and in the
configuration file. The server's address stays there, and what is trusted of
its certificate.`,
		Example: `  catenary logout
  catenary logout --local    # the server is gone: only forget the token here`,
		Args:              words(0, 0, "no arguments"),
		RunE:              func(cmd *cobra.Command, _ []string) error { return d.runLogout(cmd, w) },
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.Flags().StringVar(&w.path, "config", "", "configuration `file`")
	cmd.Flags().BoolVar(&w.local, "local", false, "forget the token here only; on the server it lives until its day")
	return cmd
}

// runLogout looks at the file alone: a token from the environment or the
// command line is not login's.
func (d *desk) runLogout(cmd *cobra.Command, w *farewell) error {
	path, err := d.configPath(&w.flags)
	if err != nil {
		return err
	}
	conf, err := readConfig(path)
	if err != nil {
		return err
	}
	if conf.Token == "" {
		return fault.New(fault.Stranger, "not logged in: %s holds no token", path)
	}
	said := "Logged out of " + conf.URL + "."
	if !w.local {
		known, err := d.revoke(cmd.Context(), conf)
		if err != nil {
			return fmt.Errorf("logout: %w\nto forget the token here only: catenary logout --local", err)
		}
		if !known {
			said += " The server knew the token no longer."
		}
	}
	conf.Token, conf.TokenID = "", 0
	if err := SaveConfig(path, conf); err != nil {
		return fmt.Errorf("logout: %w", err)
	}
	fmt.Fprintln(cmd.ErrOrStderr(), said)
	return nil
}

// revoke deletes conf's token on its server. known is false if the server did
// not know it any more.
func (d *desk) revoke(ctx context.Context, conf Config) (known bool, err error) {
	if conf.URL == "" || conf.TokenID == 0 {
		return false, fault.New(fault.Invalid, "the configuration file does not say which token of which server it holds")
	}
	c, err := newClient(conf)
	if err != nil {
		return false, err
	}
	err = c.deleteToken(ctx, conf.TokenID)
	switch fault.KindOf(err) {
	case fault.Stranger, fault.Denied, fault.NotFound:
		return false, nil
	default:
		return true, err
	}
}
