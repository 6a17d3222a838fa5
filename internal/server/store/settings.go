package store

import (
	"context"

	"github.com/uptrace/bun"
)

type settingRow struct {
	bun.BaseModel `bun:"table:settings"`

	Key   string `bun:",pk"`
	Value string
}

// Setting returns the value of a setting; one that was never set is NotFound.
func (s *Store) Setting(ctx context.Context, key string) (string, error) {
	r := settingRow{Key: key}
	if err := s.read.NewSelect().Model(&r).WherePK().Scan(ctx); err != nil {
		return "", failed(err, "setting %q", key)
	}
	return r.Value, nil
}

// SetSetting gives a setting its value, whether it had one or not.
func (s *Store) SetSetting(ctx context.Context, key, value string) error {
	r := settingRow{Key: key, Value: value}
	if _, err := s.write.NewInsert().Model(&r).On("CONFLICT (key) DO UPDATE").Set("value = EXCLUDED.value").Exec(ctx); err != nil {
		return failed(err, "setting %q", key)
	}
	return nil
}

// Settings returns all settings.
func (s *Store) Settings(ctx context.Context) (map[string]string, error) {
	var rows []settingRow
	if err := s.read.NewSelect().Model(&rows).Scan(ctx); err != nil {
		return nil, failed(err, "settings")
	}
	out := make(map[string]string, len(rows))
	for _, r := range rows {
		out[r.Key] = r.Value
	}
	return out, nil
}
