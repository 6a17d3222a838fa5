package api

import (
	"context"
	"errors"
	"sync"
)

// run does what has to happen without anybody asking for it, until ctx ends.
// When it returns, all of it has ended.
func (s *server) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	tasks := []func(context.Context) error{s.runReissues, s.runDepot, s.fetcher.Run, s.runImports, s.runShipped, s.runDirectories, s.runRetention, s.runAdHoc, s.runStrings, s.runTokens, s.runDiagnosis}
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
