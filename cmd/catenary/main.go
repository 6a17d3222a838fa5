// Command catenary is the server of an installation, and the operator's tool.
package main

import (
	"context"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"

	"catenary/internal/cli"
)

// version is set by the linker; a plain build says what it was built from.
var version = ""

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	root := command()
	err := root.ExecuteContext(ctx)
	stop()
	os.Exit(cli.Exit(os.Stderr, err))
}

// command is the whole command line.
func command() *cobra.Command {
	root := &cobra.Command{
		Use:   "catenary",
		Short: "See and control every machine of an organisation within seconds",
		Example: `  catenary demo                       a whole installation on this machine
  catenary login https://catenary.example.org
  catenary ask 'Get Computer Name and Operating System from all machines'`,
		Version:       programVersion(),
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetFlagErrorFunc(cli.UsageError)
	root.AddCommand(serverCommand(), demoCommand(), labCommand(), simCommand(), dbCommand())
	root.AddCommand(cli.Commands()...)
	cli.Group(root)
	return root
}

// programVersion is what the program calls itself.
func programVersion() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "0.1.0-unknown"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 8 {
			return "0.1.0-" + s.Value[:8]
		}
	}
	return "0.1.0-dev"
}
