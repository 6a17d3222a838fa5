package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"catenary/internal/cli"
	"catenary/internal/demo"
	"catenary/internal/fault"
	"catenary/internal/server"
	"catenary/internal/server/api"
	"catenary/internal/server/certificate"
	"catenary/internal/server/depot"
	"catenary/internal/server/diagnosis"
	"catenary/internal/server/people"
	"catenary/internal/server/signin"
	"catenary/internal/server/store"
)

// serverOptions are the flags of `catenary server`.
type serverOptions struct {
	server.Config
	api      string
	announce bool
	debug    bool
	cardCAs  string // files; empty: none
	cardCRLs string
	lifeline bool // ends when standard input closes
}

func serverCommand() *cobra.Command {
	var o serverOptions
	cmd := &cobra.Command{
		Use:   "server",
		Short: "Run a server",
		Long: `Run a server. The first start makes the installation's keys, a user "admin"
with a random password (in initial-password in the data folder), and
catenary-init.dat, which lets clients in.`,
		Example: `  catenary server --data-dir /var/lib/catenary --server catenary.example.org:17472
  catenary server --data-dir /var/lib/catenary --database postgres://catenary@db.example.org/catenary
  catenary server bundle --data-dir /var/lib/catenary --uses 500 --expires 48h > catenary-init.dat`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.Version, o.Database = programVersion(), databaseAddress(o.Config)
			return runServer(cmd.Context(), o, cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	f := cmd.Flags()
	databaseFlags(f, &o.Config)
	f.StringVar(&o.Listen, "listen", ":17472", "address for clients")
	f.StringVar(&o.api, "api", ":443", "address of the API (HTTPS)")
	f.StringVar(&o.cardCAs, "login-authorities", "", "`file` (PEM) of the authorities whose client certificates let people into the API")
	f.StringVar(&o.cardCRLs, "login-revocations", "", "`file` (PEM) of what these have revoked; read again when it changes")
	f.StringSliceVar(&o.Servers, "server", nil, "host:port that new clients are told to dial (default: --listen, or this machine's name)")
	f.DurationVar(&o.Intervals.NormalMin, "register-min", server.DefaultIntervals.NormalMin, "clients register again after at least")
	f.DurationVar(&o.Intervals.NormalMax, "register-max", server.DefaultIntervals.NormalMax, "clients register again after at most")
	f.DurationVar(&o.Intervals.InitialMin, "reset-min", server.DefaultIntervals.InitialMin, "clients ask for everything anew after at least")
	f.DurationVar(&o.Intervals.InitialMax, "reset-max", server.DefaultIntervals.InitialMax, "clients ask for everything anew after at most")
	f.BoolVar(&o.announce, "announce", false, "print one JSON line when ready")
	f.BoolVar(&o.debug, "debug", false, "log more")
	f.BoolVar(&o.lifeline, "until-stdin-closes", false, "end when standard input is closed")
	f.Lookup("announce").Hidden, f.Lookup("until-stdin-closes").Hidden = true, true // for the demo
	cmd.AddCommand(bundleCommand())
	cmd.AddCommand(cli.ServerCommands()...)
	return cmd
}

func (o *serverOptions) complete() error {
	i := o.Intervals
	if i.NormalMin <= 0 || i.NormalMax < i.NormalMin || i.InitialMin <= 0 || i.InitialMax < i.InitialMin {
		return fault.New(fault.Invalid, "registration intervals must be positive and in order: %v to %v, %v to %v",
			i.NormalMin, i.NormalMax, i.InitialMin, i.InitialMax)
	}
	if o.cardCRLs != "" && o.cardCAs == "" {
		return fault.New(fault.Invalid, "--login-revocations needs --login-authorities")
	}
	if i.NormalMax > server.NormalMax {
		return fault.New(fault.Invalid, "--register-max %v: at most %v, or clients count as off between two registrations", i.NormalMax, server.NormalMax)
	}
	if len(o.Servers) > 0 {
		return nil
	}
	host, port, err := net.SplitHostPort(o.Listen)
	if err != nil {
		return fault.New(fault.Invalid, "--listen: %w", err)
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		if host, err = os.Hostname(); err != nil {
			return err
		}
	}
	o.Servers = []string{net.JoinHostPort(host, port)}
	return nil
}

func runServer(ctx context.Context, o serverOptions, in io.Reader, out, logTo io.Writer) error {
	if err := o.complete(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if o.lifeline {
		// Ends with the process at the latest: a read cannot be called off.
		go func() { io.Copy(io.Discard, in); cancel() }()
	}
	level := slog.LevelInfo
	if o.debug {
		level = slog.LevelDebug
	}
	log := slog.New(slog.NewTextHandler(logTo, &slog.HandlerOptions{Level: level}))
	s, err := server.New(ctx, o.Config, log)
	if err != nil {
		return err
	}
	ln, a, err := prepare(ctx, s, o, log)
	if err != nil {
		return err
	}
	return serve(ctx, cancel, s, ln, a, o, log, out)
}

// prepare makes what the first start needs, and opens the API's socket.
func prepare(ctx context.Context, s *server.Server, o serverOptions, log *slog.Logger) (net.Listener, demo.Announcement, error) {
	a := demo.Announcement{Clients: s.Addr().String(), CA: s.Keys().CAPath(), User: firstUser}
	var err error
	if a.PasswordFile, err = ensureUser(ctx, s, o.DataDir, log); err != nil {
		return nil, a, err
	}
	if a.Init, err = s.FirstBundle(ctx); err != nil {
		return nil, a, err
	}
	ln, err := net.Listen("tcp", o.api)
	if err != nil {
		return nil, a, fmt.Errorf("listen for the API: %w", err)
	}
	host, _, err := net.SplitHostPort(o.api)
	if err != nil {
		return nil, a, err
	}
	_, port, err := net.SplitHostPort(ln.Addr().String())
	if err != nil {
		return nil, a, err
	}
	if host == "" {
		host = "localhost"
	}
	a.API = "https://" + net.JoinHostPort(host, port)
	return ln, a, nil
}

// serve runs the server and its API until one of them ends or ctx does.
func serve(ctx context.Context, cancel func(), s *server.Server, ln net.Listener, a demo.Announcement, o serverOptions, log *slog.Logger, out io.Writer) error {
	cert, err := s.Keys().APICertificate(time.Now(), apiHosts(a.API))
	if err != nil {
		return err
	}
	files, reports, err := openFolders(o.DataDir)
	if err != nil {
		return err
	}
	defer files.Close() // nothing is being written any more
	defer reports.Close()
	name, err := os.Hostname()
	if err != nil {
		return err
	}
	certificates, err := certificate.Open(s.Keys().Dir(), cert)
	if err != nil {
		return err
	}
	tlsConfig := &tls.Config{MinVersion: tls.VersionTLS13, GetCertificate: certificates.ForConnection}
	cards, err := o.cards(tlsConfig)
	if err != nil {
		return err
	}
	service := api.Handler(s, s.Store(), api.Options{
		Version: o.Version, Log: log, Metrics: s.Metrics(), Shelves: s.Shelves(),
		Runtimes: s.Runtimes, Exports: filepath.Join(o.DataDir, "exports"), Files: files, Sealer: s, Hostname: name, Certificates: certificates,
		Cards: cards, Reports: reports,
	})
	web := api.NewServer(service, tlsConfig)
	web.BaseContext = func(net.Listener) context.Context { return ctx }
	web.ErrorLog = slog.NewLogLogger(log.Handler(), slog.LevelDebug)

	var parts sync.WaitGroup
	var webErr, serviceErr error
	parts.Go(func() {
		defer cancel()
		serviceErr = service.Run(ctx)
	})
	parts.Go(func() {
		defer cancel()
		if err := web.ServeTLS(ln, "", ""); !errors.Is(err, http.ErrServerClosed) {
			webErr = err
		}
	})
	parts.Go(func() {
		<-ctx.Done()
		grace, stop := context.WithTimeout(context.WithoutCancel(ctx), apiGrace)
		defer stop()
		if web.Shutdown(grace) != nil {
			web.Close()
		}
	})
	if o.announce {
		if err := json.NewEncoder(out).Encode(a); err != nil {
			return err
		}
	}
	log.Info("API served", "url", a.API, "database", s.Store().Name())
	err = s.Run(ctx)
	cancel()
	parts.Wait()
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		err = nil
	}
	return errors.Join(err, webErr, serviceErr)
}

// openFolders opens what the API keeps in the data folder.
func openFolders(dir string) (*depot.Depot, *diagnosis.Folder, error) {
	files, err := depot.Open(filepath.Join(dir, "package-files"))
	if err != nil {
		return nil, nil, err
	}
	reports, err := diagnosis.Open(filepath.Join(dir, "diagnostics"))
	if err != nil {
		return nil, nil, errors.Join(err, files.Close())
	}
	return files, reports, nil
}

// cards are whose client certificates let people in; nil: nobody's do, and nobody
// is asked for one.
func (o serverOptions) cards(c *tls.Config) (*signin.Cards, error) {
	if o.cardCAs == "" {
		return nil, nil
	}
	cards, err := signin.OpenCards(o.cardCAs, o.cardCRLs)
	if err != nil {
		return nil, err
	}
	// Asked for, not demanded, and looked at by one route only.
	c.ClientAuth, c.ClientCAs = tls.RequestClientCert, cards.Authorities()
	return cards, nil
}

// apiGrace is how long requests under way may take when the server stops.
const apiGrace = time.Second

func apiHosts(url string) []string {
	hosts := []string{"localhost", "127.0.0.1", "::1"}
	if name, err := os.Hostname(); err == nil {
		hosts = append(hosts, name)
	}
	if host, _, err := net.SplitHostPort(url[len("https://"):]); err == nil && host != "0.0.0.0" && host != "::" && !slices.Contains(hosts, host) {
		hosts = append(hosts, host)
	}
	return hosts
}

const (
	firstUser    = "admin"
	passwordFile = "initial-password"
)

// ensureUser makes the first user, who administers everything, with a random password that lies in the
// data folder until somebody removes it.
func ensureUser(ctx context.Context, s *server.Server, dir string, log *slog.Logger) (string, error) {
	path := filepath.Join(dir, passwordFile)
	users, err := s.Store().Users(ctx)
	if err != nil || len(users) > 0 {
		return path, err
	}
	password := rand.Text()
	hash, err := api.HashPassword(password)
	if err != nil {
		return path, err
	}
	if err := os.WriteFile(path, []byte(password+"\n"), 0o600); err != nil {
		return path, err
	}
	if err := people.First(ctx, s.Shelves(), firstUser, hash); err != nil {
		return path, err
	}
	log.Info("first user made", "user", firstUser, "password in", path)
	return path, nil
}

func bundleCommand() *cobra.Command {
	var cfg server.Config
	var uses int
	var expires time.Duration
	var name string
	cmd := &cobra.Command{
		Use:     "bundle",
		Short:   "Print a new catenary-init.dat, which lets clients in",
		Example: `  catenary server bundle --server catenary.example.org:17472 --uses 500 --expires 48h > catenary-init.dat`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if uses < 1 || expires <= 0 || len(cfg.Servers) == 0 {
				return fault.New(fault.Invalid, "give --server, and positive --uses and --expires")
			}
			keys, err := server.OpenKeys(filepath.Join(cfg.DataDir, "keys"), time.Now())
			if err != nil {
				return err
			}
			db, err := store.Open(cmd.Context(), databaseAddress(cfg))
			if err != nil {
				return err
			}
			defer db.Close()
			b, err := server.MakeBundle(cmd.Context(), keys, db, cfg.Servers, name, uses, time.Now().Add(expires))
			if err != nil {
				return err
			}
			data, err := b.Marshal()
			if err != nil {
				return err
			}
			_, err = cmd.OutOrStdout().Write(data)
			return err
		},
	}
	f := cmd.Flags()
	databaseFlags(f, &cfg)
	f.StringSliceVar(&cfg.Servers, "server", nil, "host:port that clients are told to dial")
	f.IntVar(&uses, "uses", 1000, "how many machines it enrols")
	f.DurationVar(&expires, "expires", 7*24*time.Hour, "how long it enrols machines")
	f.StringVar(&name, "name", "bundle", "what the bundle is for")
	return cmd
}
