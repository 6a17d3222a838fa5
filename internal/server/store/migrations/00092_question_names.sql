-- +goose Up
-- What its asker calls a question, the place that he gives it, as which persona
-- he asked it (0: as himself), and whether he asked it in words.
ALTER TABLE questions ADD COLUMN name TEXT NOT NULL DEFAULT '';
ALTER TABLE questions ADD COLUMN place INTEGER NOT NULL DEFAULT 0;
ALTER TABLE questions ADD COLUMN persona_id INTEGER NOT NULL DEFAULT 0;
ALTER TABLE questions ADD COLUMN in_words INTEGER NOT NULL DEFAULT 0;

-- +goose Down
ALTER TABLE questions DROP COLUMN in_words;
ALTER TABLE questions DROP COLUMN persona_id;
ALTER TABLE questions DROP COLUMN place;
ALTER TABLE questions DROP COLUMN name;
