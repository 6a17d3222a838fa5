-- +goose Up
-- Names without regard to case, as the program folds them (value.Fold): the two
-- databases do not agree on what a letter's other case is. Empty: not yet filled
-- in, which is done when the database is opened.
ALTER TABLE users   ADD COLUMN name_key TEXT NOT NULL DEFAULT '';
ALTER TABLE sensors ADD COLUMN name_key TEXT NOT NULL DEFAULT '';
CREATE UNIQUE INDEX users_name   ON users   (name_key) WHERE name_key <> '';
CREATE UNIQUE INDEX sensors_name ON sensors (name_key) WHERE name_key <> '';

-- +goose Down
DROP INDEX sensors_name;
DROP INDEX users_name;
ALTER TABLE sensors DROP COLUMN name_key;
ALTER TABLE users   DROP COLUMN name_key;
