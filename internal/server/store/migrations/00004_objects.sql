-- +goose Up
-- Nouns that have no table of their own: packages, saved questions, groups …
CREATE TABLE objects (
	kind        TEXT    NOT NULL,
	id          INTEGER NOT NULL,
	name        TEXT    NOT NULL,
	name_key    TEXT    NOT NULL, -- name without regard to case
	body        BLOB    NOT NULL, -- JSON
	created     INTEGER NOT NULL,
	created_by  INTEGER NOT NULL, -- no reference: an object outlives its maker
	created_as  INTEGER NOT NULL,
	modified    INTEGER NOT NULL,
	modified_by INTEGER NOT NULL,
	modified_as INTEGER NOT NULL,
	deleted     INTEGER NOT NULL, -- 1: kept for the audit and for references
	PRIMARY KEY (kind, id)
) STRICT;
CREATE UNIQUE INDEX objects_name ON objects (kind, name_key) WHERE deleted = 0 AND name_key <> '';

-- The highest number that an object of a kind has ever had.
CREATE TABLE object_numbers (
	kind TEXT    PRIMARY KEY,
	last INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Who reads before he writes takes a turn, so that nobody writes in between.
CREATE TABLE turns (
	name  TEXT    PRIMARY KEY,
	taken INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO turns (name, taken) VALUES ('objects', 0), ('subnets', 0);

-- Without references: what was done outlives who did it and to what.
CREATE TABLE audit (
	id          INTEGER PRIMARY KEY AUTOINCREMENT,
	at          INTEGER NOT NULL,
	user_id     INTEGER NOT NULL,
	persona_id  INTEGER NOT NULL,
	user_name   TEXT    NOT NULL,
	address     TEXT    NOT NULL,
	type        TEXT    NOT NULL,
	kind        TEXT    NOT NULL,
	object_id   INTEGER NOT NULL,
	object_name TEXT    NOT NULL,
	details     TEXT    NOT NULL
) STRICT;
CREATE INDEX audit_object ON audit (kind, object_id, id);
CREATE INDEX audit_at ON audit (at);

-- +goose Down
DROP TABLE audit;
DROP TABLE turns;
DROP TABLE object_numbers;
DROP TABLE objects;
