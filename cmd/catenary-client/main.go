// Command catenary-client is the endpoint's program.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"

	"catenary/internal/client"
	"catenary/internal/trust"
)

// version is set by the linker; a plain build says what it was built from.
var version = ""

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := command().ExecuteContext(ctx)
	stop()
	if err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, "catenary-client:", err)
		os.Exit(1)
	}
}

func command() *cobra.Command {
	root := &cobra.Command{
		Use:           "catenary-client",
		Short:         "Answer an organisation's questions on this machine",
		Example:       `  catenary-client run --init /etc/catenary/catenary-init.dat --state /var/lib/catenary-client`,
		Version:       programVersion(),
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(runCommand())
	return root
}

func runCommand() *cobra.Command {
	var initFile, state, listen, source, name string
	var debugLog bool
	cmd := &cobra.Command{
		Use:     "run",
		Short:   "Join the chain and answer questions until stopped",
		Example: `  catenary-client run --init /etc/catenary/catenary-init.dat`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			data, err := os.ReadFile(initFile)
			if err != nil {
				return fmt.Errorf("%w\nAsk your administrator for catenary-init.dat (`catenary server bundle` makes it)", err)
			}
			cfg := client.Config{StateDir: state, Name: name, Version: programVersion()}
			if cfg.Init, err = trust.Parse(data); err != nil {
				return err
			}
			if cfg.Listen, err = netip.ParseAddrPort(listen); err != nil {
				return fmt.Errorf("--listen: %w", err)
			}
			if source != "" {
				if cfg.Source, err = netip.ParseAddr(source); err != nil {
					return fmt.Errorf("--source: %w", err)
				}
			}
			level := slog.LevelInfo
			if debugLog {
				level = slog.LevelDebug
			}
			c, err := client.New(cfg, slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: level})))
			if err != nil {
				return err
			}
			return c.Run(cmd.Context())
		},
	}
	dir := "/var/lib/catenary-client"
	if d, err := os.UserConfigDir(); err == nil && os.Getuid() != 0 {
		dir = filepath.Join(d, "catenary-client")
	}
	f := cmd.Flags()
	f.StringVar(&initFile, "init", filepath.Join("/etc/catenary", trust.FileName), "file that names and authenticates the server")
	f.StringVar(&state, "state", dir, "folder that keeps this machine's key and identity")
	f.StringVar(&listen, "listen", "0.0.0.0:17472", "address and port where neighbours dial")
	f.StringVar(&source, "source", "", "address to dial from (default: the system's choice)")
	f.StringVar(&name, "name", "", "computer name (default: the system's)")
	f.BoolVar(&debugLog, "debug", false, "log more")
	return cmd
}

// programVersion is what the program calls itself.
func programVersion() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" && len(s.Value) >= 8 {
				return "0.1.0-" + s.Value[:8]
			}
		}
	}
	return "0.1.0-dev"
}
