-- +goose Up
-- Within which machines a question was asked: '' is all; else "within", and the
-- numbers of the groups that its asker's rights named.
ALTER TABLE questions ADD COLUMN scope TEXT NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE questions DROP COLUMN scope;
