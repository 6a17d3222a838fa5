-- +goose Up
-- How much a question matters beside others: -1, 0 or 1.
ALTER TABLE questions ADD COLUMN priority INTEGER NOT NULL DEFAULT 0;

-- +goose Down
ALTER TABLE questions DROP COLUMN priority;
