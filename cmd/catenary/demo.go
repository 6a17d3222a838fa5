package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"sync"

	"github.com/spf13/cobra"

	"catenary/internal/cli"
	"catenary/internal/client"
	"catenary/internal/demo"
	"catenary/internal/trust"
)

func demoCommand() *cobra.Command {
	o := demo.Options{}
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Run a whole installation on this machine",
		Long: `Run a whole installation on this machine: a server with its database and API,
and real clients on the loopback addresses 127.10.S.K, which form at least
three LANs with a chain each. Ctrl-C ends it.`,
		Example: `  catenary demo
  catenary demo --clients 200
  catenary demo --clients 1000 --json --api 127.0.0.1:9443 --client-port 27472`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if o.Program, err = os.Executable(); err != nil {
				return err
			}
			if o.Profile, err = cli.DemoConfigPath(); err != nil {
				return err
			}
			return demo.Run(cmd.Context(), o, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	f := cmd.Flags()
	f.IntVar(&o.Clients, "clients", 20, "number of clients")
	f.StringVar(&o.DataDir, "data-dir", "", "folder to keep everything in (default: a temporary one)")
	f.StringVar(&o.API, "api", "127.0.0.1:8443", "address of the API")
	f.IntVar(&o.ClientPort, "client-port", 17472, "port of the server and of every client")
	f.IntVar(&o.PerProcess, "per-process", 0, "clients in one process (default: 1 each up to 32 clients, else 250)")
	f.BoolVar(&o.JSON, "json", false, "print one JSON line when every client has registered")
	cmd.AddCommand(demoClientsCommand())
	return cmd
}

// demoClientsCommand hosts the clients of one demo process. It is started by
// the demo and reads its Fleet from standard input, whose end ends it.
func demoClientsCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "clients",
		Short:  "Host demo clients (started by the demo)",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			signal.Ignore(os.Interrupt)
			dec := json.NewDecoder(cmd.InOrStdin())
			var fleet demo.Fleet
			if err := dec.Decode(&fleet); err != nil {
				return fmt.Errorf("fleet: %w", err)
			}
			ctx, cancel := context.WithCancel(cmd.Context())
			defer cancel()
			// Ends with the process at the latest: a read cannot be called off.
			go func() { io.Copy(io.Discard, cmd.InOrStdin()); cancel() }()
			return runFleet(ctx, fleet, slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil)))
		},
	}
}

func runFleet(ctx context.Context, fleet demo.Fleet, log *slog.Logger) error {
	data, err := os.ReadFile(fleet.Init)
	if err != nil {
		return err
	}
	bundle, err := trust.Parse(data)
	if err != nil {
		return err
	}
	var running sync.WaitGroup
	defer running.Wait()
	for _, seat := range fleet.Seats {
		c, err := client.New(client.Config{
			StateDir: seat.State, Init: bundle, Listen: seat.Listen, Source: seat.Listen.Addr(),
			Name: seat.Name, Version: programVersion(),
		}, log.With("client", seat.Name))
		if err != nil {
			return fmt.Errorf("%s: %w", seat.Name, err)
		}
		running.Go(func() {
			if err := c.Run(ctx); err != nil && !errors.Is(err, context.Canceled) {
				log.Error("client ended", "client", seat.Name, "because", err)
			}
		})
	}
	return nil
}
