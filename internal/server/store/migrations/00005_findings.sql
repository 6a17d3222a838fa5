-- +goose Up
-- Signs that answers to a question were tampered with on their way.
CREATE TABLE findings (
	id          INTEGER PRIMARY KEY AUTOINCREMENT,
	question_id INTEGER NOT NULL REFERENCES questions (id) ON DELETE CASCADE,
	kind        TEXT    NOT NULL,
	lan         TEXT    NOT NULL,
	first       INTEGER NOT NULL,
	last        INTEGER NOT NULL,
	times       INTEGER NOT NULL,
	clients     BLOB    NOT NULL, -- JSON, as are the suspects
	suspects    BLOB    NOT NULL,
	because     TEXT    NOT NULL,
	UNIQUE (question_id, kind, lan)
) STRICT;

-- +goose Down
DROP TABLE findings;
