package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"catenary/internal/fault"
	"catenary/internal/sim"
)

func simCommand() *cobra.Command {
	var seed, runs uint64
	var endpoints, length int
	cmd := &cobra.Command{
		Use:   "sim",
		Short: "Play the protocol in virtual time",
		Long: `Play the protocol in virtual time: the real code of clients and server, an
invented network, crashes, restarts, firewalls and slow machines, and checks
after every step. A seed is a story that can be told again.`,
		Example: `  catenary sim --runs 2000                 many seeds; the first that fails ends it
  catenary sim --seed 17                   one seed, with everything that happens
  catenary sim --endpoints 10000           one question through chains of 100`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case endpoints > 0 && length > 0:
				return simScale(cmd, sim.Scale{Endpoints: endpoints, Chain: length, Seed: max(seed, 1)})
			case endpoints < 0 || length < 1:
				return fault.New(fault.Invalid, "--endpoints and --chain must be positive")
			case seed > 0:
				rep, err := sim.Run(seed, sim.Options{Trace: cmd.OutOrStdout()})
				if err == nil {
					_, err = fmt.Fprintf(cmd.OutOrStdout(), "%+v\n", rep)
				}
				return err
			}
			return simRuns(cmd, runs)
		},
	}
	f := cmd.Flags()
	f.Uint64Var(&seed, "seed", 0, "play this seed, with a trace")
	f.Uint64Var(&runs, "runs", 100, "how many seeds to play")
	f.IntVar(&endpoints, "endpoints", 0, "instead of storms: one question through so many endpoints")
	f.IntVar(&length, "chain", 100, "with --endpoints: how many stand in one chain")
	return cmd
}

func simRuns(cmd *cobra.Command, runs uint64) error {
	var events, questions, answers int
	var virtual time.Duration
	began := time.Now()
	for seed := uint64(1); seed <= runs; seed++ {
		if cmd.Context().Err() != nil {
			return cmd.Context().Err()
		}
		rep, err := sim.Run(seed, sim.Options{})
		if err != nil {
			return fmt.Errorf("%w\nreplay with: catenary sim --seed %d", err, seed)
		}
		events += rep.Events
		questions += rep.Questions
		answers += rep.Answers
		virtual += rep.Virtual
	}
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "%d seeds, %v of chain life, %d events, %d questions, %d answers: no law broken (%v)\n",
		runs, virtual.Round(time.Minute), events, questions, answers, time.Since(began).Round(time.Millisecond))
	return err
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
