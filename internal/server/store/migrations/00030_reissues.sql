-- +goose Up
-- Which questions were asked for a saved question, and within which rights.
CREATE TABLE reissues (
	question_id       INTEGER PRIMARY KEY REFERENCES questions (id) ON DELETE CASCADE,
	saved_question_id INTEGER NOT NULL,
	scope             TEXT    NOT NULL, -- which machines it could reach at all; empty: every one
	asked             INTEGER NOT NULL
) STRICT;
CREATE INDEX reissues_of ON reissues (saved_question_id, scope, question_id);

-- +goose Down
DROP TABLE reissues;
