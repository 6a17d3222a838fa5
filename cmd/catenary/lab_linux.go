package main

import (
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"catenary/internal/cli"
	"catenary/internal/fault"
	"catenary/internal/lab"
)

func labCommand() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   "lab",
		Short: "Run sites, hosts and real networks on this machine",
		Long: `Run sites, hosts and real networks on this machine: network namespaces with a
LAN, a router and a WAN link for each site, the real client on every host, and
the server behind the WAN. Needs root, and nothing that it makes outlives it.

Hosts are called s1h3 (site 1, third host), s1h3..22 and s1h* are several, s1 is
a site and its WAN link, and server is the server.`,
		Example: `  catenary lab up --sites 3 --hosts 20        until Ctrl-C
  catenary lab kill s1h3..22                  in another terminal
  catenary lab status
  catenary lab run                            every story that the program knows`,
	}
	cmd.PersistentFlags().StringVar(&dir, "dir", "", "folder of the lab's data, kept at the end (default: a temporary one); tells running labs apart")
	cmd.AddCommand(labUp(&dir), labRun(&dir), labList(), labInside(), labDown(&dir), labStatus(&dir), labTraffic(&dir), labExec(&dir))
	for _, v := range labVerbs {
		cmd.AddCommand(v.command(&dir))
	}
	cli.Group(cmd)
	return cmd
}

// options are those of `lab up` and `lab run`.
func labOptions(dir string) (lab.Options, error) {
	program, err := os.Executable()
	return lab.Options{Dir: dir, Program: program}, err
}

func labUp(dir *string) *cobra.Command {
	var sites int
	var hosts, nat, ipv6, dual []int
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "up [-- flags of the server]",
		Short: "Run a lab until Ctrl-C",
		Example: `  catenary lab up --sites 3 --hosts 20
  catenary lab up --sites 2 --hosts 5,40 --nat 1 --ipv6 2 -- --register-min 5s --register-max 10s`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 && cmd.ArgsLenAtDash() != 0 {
				return cli.UsageError(cmd, fmt.Errorf("flags of the server stand behind --"))
			}
			o, err := labOptions(*dir)
			if err != nil {
				return err
			}
			if o.Layout, err = lab.NewLayout(sites, hosts, nat, ipv6, dual, args); err != nil {
				return err
			}
			if o.Profile, err = cli.DemoConfigPath(); err != nil {
				return err
			}
			o.JSON = asJSON
			return lab.Up(cmd.Context(), o, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	f := cmd.Flags()
	f.IntVar(&sites, "sites", 3, "number of sites")
	f.IntSliceVar(&hosts, "hosts", []int{20}, "hosts in each site: one number, or one for each site")
	f.IntSliceVar(&nat, "nat", nil, "numbers of sites whose router hides its hosts behind one address")
	f.IntSliceVar(&ipv6, "ipv6", nil, "numbers of sites with IPv6 only")
	f.IntSliceVar(&dual, "dual", nil, "numbers of sites with IPv4 and IPv6")
	f.BoolVar(&asJSON, "json", false, "print one JSON line when every client has registered")
	return cmd
}

// labInside is the process inside, which `lab up` and `lab run` start.
func labInside() *cobra.Command {
	return &cobra.Command{
		Use:    "inside",
		Short:  "Be a lab (started by the lab)",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			signal.Ignore(os.Interrupt)
			return lab.Inside(cmd.Context(), cmd.InOrStdin(), cmd.OutOrStdout())
		},
	}
}

func labRun(dir *string) *cobra.Command {
	var patience float64
	cmd := &cobra.Command{
		Use:   "run [scenario...]",
		Short: "Play stories, each in a lab of its own, and check their outcome",
		Long: `Play stories, each in a lab of its own, and check their outcome. A scenario is
the name of one that the program knows (see "catenary lab list") or the path of
a file; without any, all known ones are played.`,
		Example: `  catenary lab run
  catenary lab run twenty-killed ./my-story.txt
  catenary lab run --patience 5 quick         on a slow or busy machine`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if !(patience >= 1 && patience <= patienceMax) {
				return cli.UsageError(cmd, fmt.Errorf("--patience %v is not between 1 and %v", patience, patienceMax))
			}
			chosen, err := scenarios(args)
			if err != nil {
				return err
			}
			o, err := labOptions(*dir)
			if err != nil {
				return err
			}
			o.Patience = patience
			return lab.Run(cmd.Context(), o, chosen, cmd.OutOrStdout())
		},
	}
	cmd.Flags().Float64Var(&patience, "patience", 1, "wait so many `times` as long as the stories say for what they expect")
	return cmd
}

// patienceMax bounds the patience: a story that takes longer hangs.
const patienceMax = 100

// scenarios are those of the given names or files; of no name: all.
func scenarios(names []string) ([]lab.Scenario, error) {
	known, err := lab.Scenarios()
	if err != nil || len(names) == 0 {
		return known, err
	}
	var chosen []lab.Scenario
	for _, name := range names {
		i := slices.IndexFunc(known, func(s lab.Scenario) bool { return s.Name == name })
		if i >= 0 {
			chosen = append(chosen, known[i])
			continue
		}
		if !strings.ContainsAny(name, "./") {
			return nil, fault.New(fault.NotFound, "there is no scenario %q; `catenary lab list` has them, and a file is named by its path", name)
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, fault.New(fault.NotFound, "scenario: %w", err)
		}
		s, err := lab.ParseScenario(filepath.Clean(name), string(text))
		if err != nil {
			return nil, err
		}
		chosen = append(chosen, s)
	}
	return chosen, nil
}

func labList() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the stories that lab run knows",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			known, err := lab.Scenarios()
			if err != nil {
				return err
			}
			tab := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			for _, s := range known {
				fmt.Fprintf(tab, "%s\t%s\t%s\n", s.Name, s.Layout.Size(), s.Title)
			}
			return tab.Flush()
		},
	}
}

func labDown(dir *string) *cobra.Command {
	return &cobra.Command{
		Use:   "down",
		Short: "End the running lab, and remove what dead ones have left",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return lab.Down(cmd.Context(), *dir, cmd.OutOrStdout())
		},
	}
}

func labStatus(dir *string) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show sites, chains, and what is wrong with whom",
		Long: `Show sites, chains, and what is wrong with whom. The chains are what the kernels
of the hosts hold as connections at this moment, not what the server believes.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return lab.ShowStatus(cmd.Context(), *dir, asJSON, cmd.OutOrStdout())
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "as one line of JSON")
	return cmd
}

func labTraffic(dir *string) *cobra.Command {
	var asJSON, hosts, reset bool
	cmd := &cobra.Command{
		Use:   "traffic",
		Short: "Show what each WAN and LAN link has carried, as the kernel counts",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return lab.ShowTraffic(cmd.Context(), *dir, asJSON, hosts, reset, cmd.OutOrStdout())
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "as one line of JSON")
	cmd.Flags().BoolVar(&hosts, "hosts", false, "each host's link, not only the busiest")
	cmd.Flags().BoolVar(&reset, "reset", false, "count from now on")
	return cmd
}

func labExec(dir *string) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "exec HOST [-- program...]",
		Short: "Run a program in a host's network, or a shell",
		Example: `  catenary lab exec s1h3 -- ss -tn
  catenary lab exec server`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return lab.Enter(cmd.Context(), *dir, args[0], args[1:])
		},
	}
	return cmd
}

// A labVerb is a command that changes a running lab, as scenarios write it.
type labVerb struct{ use, short, example string }

var labVerbs = []labVerb{
	{"kill HOSTS", "Kill clients: their kernels close their connections", "kill s1h3..22"},
	{"drop HOSTS", "Take the power from hosts: nobody hears of it", "drop s2h7"},
	{"freeze HOSTS", "Stop clients, while their kernels still acknowledge", "freeze s1h4"},
	{"restart HOSTS", "Start clients again, with power", "restart s1h*"},
	{"cut HOSTS|SITE|server", "Let no frame pass a link: a site's is its WAN link", "cut s1"},
	{"heal HOSTS|SITE|server|all", "Undo cuts, delays, losses, freezes and blocks", "heal all"},
	{"delay HOSTS|SITE|server TIME", "Hold each frame on a link, in each direction", "delay s1 40ms"},
	{"loss HOSTS|SITE|server PERCENT", "Lose frames on a link, in each direction", "loss s1h3 5%"},
	{"block FROM TO", "Drop the packets one way", "block s1h3 s1h4"},
	{"block-dials FROM TO", "Drop what opens connections one way", "block-dials all s1h3..7"},
	{"move HOST SITE", "Plug a host into the LAN of another site", "move s1h3 s2"},
	{"server start|stop|restart|kill", "Do something to the server", "server restart"},
}

func (v labVerb) command(dir *string) *cobra.Command {
	name, _, _ := strings.Cut(v.use, " ")
	return &cobra.Command{
		Use:     v.use,
		Short:   v.short,
		Example: "  catenary lab " + v.example,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := lab.ParseCommand(append([]string{name}, args...))
			if err != nil {
				return cli.UsageError(cmd, err)
			}
			return lab.Act(cmd.Context(), *dir, c)
		},
	}
}
