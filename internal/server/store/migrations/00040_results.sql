-- +goose Up
-- The group of machines that a question is about.
ALTER TABLE questions ADD COLUMN context_group_id INTEGER NOT NULL DEFAULT 0; -- 0: all machines

-- The last answer of each machine to a saved question, as it was asked in a scope
-- (see reissues). Only what has the shape of the newest answer is shown.
CREATE TABLE recent_answers (
	saved_question_id INTEGER NOT NULL,
	scope             TEXT    NOT NULL,
	computer_id       INTEGER NOT NULL,
	shape             INTEGER NOT NULL,
	answered          INTEGER NOT NULL,
	cells             BLOB    NOT NULL, -- JSON
	PRIMARY KEY (saved_question_id, scope, computer_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX recent_answers_answered ON recent_answers (answered);

-- What came of a saved question each time, in brief.
CREATE TABLE question_trends (
	question_id       INTEGER PRIMARY KEY,
	saved_question_id INTEGER NOT NULL,
	scope             TEXT    NOT NULL,
	closed            INTEGER NOT NULL,
	point             BLOB    NOT NULL -- JSON
) STRICT;
CREATE INDEX question_trends_saved ON question_trends (saved_question_id, scope, question_id);

-- How long sensors have run, by the hash of their name.
CREATE TABLE sensor_stats (
	hash INTEGER PRIMARY KEY,
	stat BLOB NOT NULL -- JSON
) STRICT;

-- +goose Down
DROP TABLE sensor_stats;
DROP TABLE question_trends;
DROP TABLE recent_answers;
ALTER TABLE questions DROP COLUMN context_group_id;
