-- +goose Up
-- What people prove with, besides a password, that it is they.
CREATE TABLE second_factors (
	user_id   INTEGER PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
	secret    TEXT    NOT NULL, -- base32; codes are made from it, so that a hash would not do
	confirmed INTEGER NOT NULL, -- 1: asked for at each login
	period    INTEGER NOT NULL, -- of the last code that was taken: neither it nor an earlier one is taken again
	created   INTEGER NOT NULL
) STRICT;

CREATE TABLE recovery_codes (
	user_id INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
	hash    BLOB    NOT NULL,
	PRIMARY KEY (user_id, hash)
) STRICT, WITHOUT ROWID;

CREATE TABLE passkeys (
	id        INTEGER PRIMARY KEY AUTOINCREMENT,
	user_id   INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
	hash      BLOB    NOT NULL UNIQUE, -- of the ID that the authenticator has given
	name      TEXT    NOT NULL,
	body      BLOB    NOT NULL, -- JSON: public key, counter, flags
	created   INTEGER NOT NULL,
	last_used INTEGER NOT NULL
) STRICT;
CREATE INDEX passkeys_user ON passkeys (user_id);

ALTER TABLE tokens ADD COLUMN persona_id INTEGER NOT NULL DEFAULT 0;

-- +goose Down
ALTER TABLE tokens DROP COLUMN persona_id;
DROP TABLE passkeys;
DROP TABLE recovery_codes;
DROP TABLE second_factors;
