package api

import (
	"context"
	"time"

	"catenary/internal/server/setting"
)

const (
	forgetEvery  = time.Hour
	forgetAtOnce = 5000 // entries; other changes wait meanwhile
)

// runRetention deletes entries of the audit that are older than the setting
// says.
func (s *server) runRetention(ctx context.Context) error {
	tick := time.NewTicker(forgetEvery)
	defer tick.Stop()
	for {
		if err := s.forgetAudits(ctx, time.Now()); err != nil && ctx.Err() == nil {
			s.log.ErrorContext(ctx, "old entries of the audit not deleted", "err", err) // tried again in an hour
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (s *server) forgetAudits(ctx context.Context, now time.Time) error {
	days := s.settingNumber(setting.AuditDays)
	if days == 0 {
		return nil // kept for ever
	}
	for {
		n, err := s.store.ForgetAudits(ctx, now.AddDate(0, 0, -int(days)), forgetAtOnce)
		if err != nil || n < forgetAtOnce {
			return err
		}
	}
}
