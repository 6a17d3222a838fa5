-- +goose Up
-- The computer group whose machines a question was asked for, by the server
-- itself; 0: somebody wanted its answer.
ALTER TABLE questions ADD COLUMN tracks_group_id INTEGER NOT NULL DEFAULT 0;

-- The computer groups whose machines the server asks for now and again.
CREATE TABLE group_trackings (
	group_id    INTEGER PRIMARY KEY,
	meaning     TEXT    NOT NULL, -- stands for the group's condition: of another one its members are unknown
	question_id INTEGER NOT NULL, -- that was asked last
	asked       INTEGER NOT NULL,
	heard       INTEGER NOT NULL  -- when the last was asked that has been answered; 0: none has
) STRICT;

-- The machines that have said that they are in such a group, and when they were
-- asked.
CREATE TABLE group_members (
	group_id    INTEGER NOT NULL REFERENCES group_trackings (group_id) ON DELETE CASCADE,
	computer_id INTEGER NOT NULL REFERENCES clients (computer_id) ON DELETE CASCADE,
	answered    INTEGER NOT NULL,
	PRIMARY KEY (group_id, computer_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX group_members_computer ON group_members (computer_id);

-- +goose Down
DROP TABLE group_members;
DROP TABLE group_trackings;
ALTER TABLE questions DROP COLUMN tracks_group_id;
