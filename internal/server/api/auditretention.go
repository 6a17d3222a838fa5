package api

import (
	"context"
	"time"

	"catenary/internal/server/setting"
)

const forgetAtOnce = 5000 // entries of the audit; other changes wait meanwhile

// forgetAudits deletes entries of the audit that are older than the setting says.
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
