package api

import (
	"context"
	"errors"
	"sync"
	"time"
)

// forgetEvery is how often it is looked for what is kept for some time only: what
// may lie a day, or a year, may lie an hour longer.
const forgetEvery = time.Hour

// run does what has to happen without anybody asking for it, until ctx ends.
// When it returns, all of it has ended.
func (s *server) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	tasks := []func(context.Context) error{s.runReissues, s.runDepot, s.fetcher.Run, s.runImports, s.runShipped, s.runDirectories, s.runForgetting, s.runTokens, s.runDiagnosis}
	errs := make([]error, len(tasks))
	var all sync.WaitGroup
	for i, task := range tasks {
		all.Go(func() {
			defer cancel() // one that fails ends the others
			errs[i] = task(ctx)
			if errs[i] == nil {
				<-ctx.Done() // one that has nothing to do does not
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// runForgetting deletes, at once and then every forgetEvery until ctx ends, what is
// kept for some time only.
func (s *server) runForgetting(ctx context.Context) error {
	tick := time.NewTicker(forgetEvery)
	defer tick.Stop()
	for {
		for what, forget := range map[string]func(context.Context, time.Time) error{
			"old entries of the audit": s.forgetAudits, "old answers": s.forgetStrings, "ad hoc groups that nobody needs": s.forgetAdHoc,
		} {
			if err := forget(ctx, time.Now()); err != nil && ctx.Err() == nil {
				s.log.ErrorContext(ctx, what+" not deleted", "err", err) // tried again in an hour
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}
