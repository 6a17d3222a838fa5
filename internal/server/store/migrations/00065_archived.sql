-- +goose Up
-- The question to which a machine has given its last answer; 0: it was given
-- before that was written down.
ALTER TABLE recent_answers ADD COLUMN question_id INTEGER NOT NULL DEFAULT 0;

-- +goose Down
ALTER TABLE recent_answers DROP COLUMN question_id;
