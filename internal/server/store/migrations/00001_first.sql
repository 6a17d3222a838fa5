-- Times are microseconds since 1970 in UTC, 0 is never. Hashes are SHA-256.

-- +goose Up
CREATE TABLE users (
	id         INTEGER PRIMARY KEY AUTOINCREMENT,
	name       TEXT    NOT NULL COLLATE NOCASE UNIQUE,
	password   TEXT    NOT NULL, -- argon2id in PHC form
	created    INTEGER NOT NULL,
	last_login INTEGER NOT NULL
) STRICT;

CREATE TABLE tokens (
	id        INTEGER PRIMARY KEY AUTOINCREMENT,
	hash      BLOB    NOT NULL UNIQUE, -- of the token string, which nobody keeps
	user_id   INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
	name      TEXT    NOT NULL,
	notes     TEXT    NOT NULL,
	trusted   TEXT    NOT NULL, -- addresses and networks, comma separated; empty: any
	days      INTEGER NOT NULL, -- life time, kept for rotation
	created   INTEGER NOT NULL,
	expires   INTEGER NOT NULL,
	last_used INTEGER NOT NULL
) STRICT;
CREATE INDEX tokens_user ON tokens (user_id);

CREATE TABLE sensors (
	id          INTEGER PRIMARY KEY AUTOINCREMENT,
	name        TEXT    NOT NULL COLLATE NOCASE UNIQUE,
	hash        INTEGER NOT NULL UNIQUE, -- programs know sensors by this number
	builtin     INTEGER NOT NULL,        -- 1: computed by the client's own code
	definition  BLOB    NOT NULL,        -- canonical; empty for a builtin
	signed      BLOB    NOT NULL,        -- definition with the server's signature
	created     INTEGER NOT NULL,
	modified    INTEGER NOT NULL,
	modified_by TEXT    NOT NULL
) STRICT;

-- AUTOINCREMENT matters: clients remember question numbers, so that a number
-- must not come back after the newest question was deleted.
CREATE TABLE questions (
	id          INTEGER PRIMARY KEY AUTOINCREMENT,
	text        TEXT    NOT NULL, -- canonical
	user_id     INTEGER NOT NULL, -- no reference: a question outlives its asker
	plan        BLOB    NOT NULL,
	computer_id INTEGER NOT NULL, -- 1: one row per machine was asked for
	issued      INTEGER NOT NULL,
	expires     INTEGER NOT NULL,
	closed      INTEGER NOT NULL
) STRICT;
CREATE INDEX questions_closed ON questions (closed);

-- Apart from questions, so that lists do not read past large results.
CREATE TABLE question_results (
	question_id INTEGER PRIMARY KEY REFERENCES questions (id) ON DELETE CASCADE,
	result      BLOB NOT NULL
) STRICT;

CREATE TABLE clients (
	id          BLOB    PRIMARY KEY,     -- endpoint id, 16 bytes
	computer_id INTEGER NOT NULL UNIQUE, -- 32 bits, in the public API
	name        TEXT    NOT NULL,
	key         BLOB    NOT NULL UNIQUE, -- SHA-256 of the public key's SPKI form
	enrolled    INTEGER NOT NULL,
	registered  INTEGER NOT NULL,
	incarnation INTEGER NOT NULL, -- unsigned 64 bits in two's complement
	sequence    INTEGER NOT NULL  -- likewise
) STRICT, WITHOUT ROWID;

CREATE TABLE secrets (
	hash    BLOB    PRIMARY KEY,
	name    TEXT    NOT NULL,
	created INTEGER NOT NULL,
	expires INTEGER NOT NULL,
	uses    INTEGER NOT NULL CHECK (uses >= 0) -- left
) STRICT, WITHOUT ROWID;

CREATE TABLE settings (
	key   TEXT PRIMARY KEY,
	value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- +goose Down
DROP TABLE settings;
DROP TABLE secrets;
DROP TABLE clients;
DROP TABLE question_results;
DROP TABLE questions;
DROP TABLE sensors;
DROP TABLE tokens;
DROP TABLE users;
