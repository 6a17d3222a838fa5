-- +goose Up
-- A question that was cut off when the server ended is asked again under a new
-- number: clients know the old one. The new number's row names the first here.
ALTER TABLE questions ADD COLUMN repeats INTEGER NOT NULL DEFAULT 0; -- 0: is a first
CREATE INDEX questions_repeats ON questions (repeats) WHERE repeats > 0;

-- What has become of a question on each machine.
CREATE TABLE question_accounts (
	question_id INTEGER PRIMARY KEY REFERENCES questions (id) ON DELETE CASCADE,
	account     BLOB NOT NULL -- JSON
) STRICT;

-- +goose Down
DROP TABLE question_accounts;
DROP INDEX questions_repeats;
ALTER TABLE questions DROP COLUMN repeats;
