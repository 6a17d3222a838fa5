package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"catenary/internal/cli"
	"catenary/internal/sim"
)

// simFlags are what `catenary sim` is told.
type simFlags struct {
	seed, trial, herd, runs, trials uint64
	herds, first                    uint64
	byzantine                       bool
	control                         string
	workers                         int
	svg                             string
	from, until                     time.Duration
	endpoints, chain                int
}

func simCommand() *cobra.Command {
	var o simFlags
	cmd := &cobra.Command{
		Use:   "sim",
		Short: "Play the protocol in virtual time",
		Long: `Play the protocol in virtual time: the real code of clients and server in an
invented network, with checks after every step. A seed is a story that can be
told again. There are five families of stories:

  storms      a few LANs for a quarter of an hour: crashes, losses of power, half-open
              links, firewalls, partitions, slow machines, a server that restarts
  trials      one chain, one or two questions, and bad luck around them: many
              small worlds, to count double and missing answers
  byzantine   storms in which some machines lie to their neighbours
  herds       a hundred machines on one processor, all of whose links break at once
  endpoints   one question through a large, calm installation

The first story that breaks a law ends the run, and says how to see it again. A
control takes away what a law rests on: then it must be broken.`,
		Example: `  catenary sim --runs 2000                       many storms
  catenary sim --trials 100000                   many trials, about five minutes on two cores
  catenary sim --trials 10000 --control no-set-rule
  catenary sim --byzantine --runs 2000           many storms with liars
  catenary sim --herds 100 [--control no-reached]
  catenary sim --seed 17                         one storm, with everything that happens
  catenary sim --trial 4711 --from 2s --until 4s
  catenary sim --seed 17 --svg seed-17.svg       … as a picture
  catenary sim --endpoints 1000000               one question through chains of 100`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.check(cmd); err != nil {
				return cli.UsageError(cmd, err)
			}
			return o.run(cmd)
		},
	}
	f := cmd.Flags()
	f.Uint64Var(&o.runs, "runs", 100, "play so many seeds")
	f.Uint64Var(&o.trials, "trials", 0, "play so many trials")
	f.Uint64Var(&o.seed, "seed", 0, "play one seed, with a trace")
	f.Uint64Var(&o.herds, "herds", 0, "play so many herds")
	f.Uint64Var(&o.trial, "trial", 0, "play one trial, with a trace")
	f.Uint64Var(&o.herd, "herd", 0, "play one herd, with a trace")
	f.BoolVar(&o.byzantine, "byzantine", false, "with --runs, --seed: some machines lie")
	f.Uint64Var(&o.first, "first", 1, "with --runs, --trials, --herds: number of the first")
	f.IntVar(&o.workers, "workers", runtime.NumCPU(), "with --runs, --trials, --herds: how many are played at a time")
	f.StringVar(&o.control, "control", "", "with --trials, --trial, --herds, --herd: take away "+strings.Join(sim.ControlNames, ", ")+" (with commas between)")
	f.StringVar(&o.svg, "svg", "", "with --seed, --trial, --herd: draw the story into this file instead of a trace")
	f.DurationVar(&o.from, "from", 0, "with --seed, --trial, --herd: virtual time from which on the trace, or the picture, goes")
	f.DurationVar(&o.until, "until", 0, "… and to which (default: the end; a picture: where something happens)")
	f.IntVar(&o.endpoints, "endpoints", 0, "ask one question in so many endpoints")
	f.IntVar(&o.chain, "chain", 100, "with --endpoints: how many stand in one chain")
	return cmd
}

// simStories are the flags of which one says what is played; without any, it is
// --runs.
var simStories = []string{"runs", "trials", "herds", "seed", "trial", "herd", "endpoints"}

// simNeeds are the stories with which other flags make sense.
var simNeeds = []struct{ flag, with string }{
	{"byzantine", "runs seed"},
	{"first", "runs trials herds"},
	{"workers", "runs trials herds"},
	{"control", "trials trial herds herd"},
	{"svg", "seed trial herd"},
	{"from", "seed trial herd"},
	{"until", "seed trial herd"},
	{"chain", "endpoints"},
}

// story is what is to be played.
func (o *simFlags) story(cmd *cobra.Command) (string, error) {
	story := ""
	for _, name := range simStories {
		switch {
		case !cmd.Flags().Changed(name):
		case story != "" && !(name == "endpoints" && story == "seed"): // the large installation has a seed, too
			return "", fmt.Errorf("--%s and --%s are two stories: say one", story, name)
		default:
			story = name
		}
	}
	if story == "" {
		story = "runs"
	}
	return story, nil
}

// check finds flags that contradict each other.
func (o *simFlags) check(cmd *cobra.Command) error {
	story, err := o.story(cmd)
	if err != nil {
		return err
	}
	for _, need := range simNeeds {
		if with := strings.Fields(need.with); cmd.Flags().Changed(need.flag) && !strings.Contains(" "+need.with+" ", " "+story+" ") {
			return fmt.Errorf("--%s goes with --%s, not with --%s", need.flag, strings.Join(with, " or --"), story)
		}
	}
	switch {
	case o.workers < 1:
		return errors.New("--workers must be positive")
	case cmd.Flags().Changed("endpoints") && (o.endpoints < 1 || o.chain < 1):
		return errors.New("--endpoints and --chain must be positive")
	case o.from < 0 || o.until < 0 || o.until > 0 && o.until <= o.from:
		return errors.New("--until must be after --from, and neither below 0")
	case (story == "runs" && o.runs == 0) || (story == "trials" && o.trials == 0) || (story == "herds" && o.herds == 0):
		return fmt.Errorf("--%s must be positive", story)
	}
	_, err = sim.ParseControl(o.control)
	return err
}

func (o *simFlags) run(cmd *cobra.Command) error {
	story, err := o.story(cmd)
	if err != nil {
		return err
	}
	switch story {
	case "endpoints":
		return simScale(cmd, sim.Scale{Endpoints: o.endpoints, Chain: o.chain, Seed: max(o.seed, 1)})
	case "seed", "trial", "herd":
		return o.one(cmd, story)
	}
	return o.many(cmd, story)
}

// one plays one story, and shows it.
func (o *simFlags) one(cmd *cobra.Command, story string) error {
	out := cmd.OutOrStdout()
	opt := sim.Options{Trace: out, From: o.from, Until: o.until}
	if o.svg != "" {
		opt = sim.Options{History: new(sim.History)}
	}
	c, err := sim.ParseControl(o.control)
	if err != nil {
		return err
	}
	var rep any
	var broken error
	switch {
	case story == "trial":
		rep, broken = sim.RunTrial(o.trial, c, opt)
	case story == "herd":
		rep, broken = sim.RunHerd(o.herd, c, opt)
	case o.byzantine:
		rep, broken = sim.RunByzantine(o.seed, opt)
	default:
		rep, broken = sim.Run(o.seed, opt)
	}
	if o.svg != "" {
		if err := drawInto(o.svg, opt.History, o.from, o.until); err != nil {
			return errors.Join(broken, err)
		}
		rep = "drawn into " + o.svg
	}
	if _, err := fmt.Fprintf(out, "%+v\n", rep); err != nil {
		return err
	}
	return broken
}

func drawInto(file string, h *sim.History, from, until time.Duration) (err error) {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return h.Draw(f, from, until)
}

// many plays many stories, and says what happened in them.
func (o *simFlags) many(cmd *cobra.Command, story string) error {
	seeds := sim.Seeds{First: o.first, Count: o.runs, Workers: o.workers, Progress: progressTo(cmd.ErrOrStderr())}
	c, err := sim.ParseControl(o.control)
	if err != nil {
		return err
	}
	var rep fmt.Stringer
	switch {
	case story == "trials":
		seeds.Count = o.trials
		rep, err = seeds.Trials(cmd.Context(), c)
	case story == "herds":
		seeds.Count = o.herds
		rep, err = seeds.Herds(cmd.Context(), c)
	case o.byzantine:
		rep, err = seeds.Byzantine(cmd.Context())
	default:
		rep, err = seeds.Storms(cmd.Context())
	}
	if _, printErr := fmt.Fprintln(cmd.OutOrStdout(), rep); printErr != nil {
		return errors.Join(err, printErr)
	}
	return err
}

// progressEvery is how often somebody who waits is told how far it is.
const progressEvery = 10 * time.Second

func progressTo(stderr io.Writer) func(sim.Progress) {
	told := time.Duration(0)
	return func(p sim.Progress) {
		if p.Wall-told >= progressEvery {
			told = p.Wall
			fmt.Fprintln(stderr, p)
		}
	}
}

func simScale(cmd *cobra.Command, s sim.Scale) error {
	s.Progress = func(at sim.Stage) { fmt.Fprintln(cmd.ErrOrStderr(), at) }
	rep, err := s.Run()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(cmd.OutOrStdout(), rep)
	return err
}
