-- +goose Up
-- What is secret is encrypted, with a key that is not in the database.
ALTER TABLE objects ADD COLUMN secrets BLOB; -- encrypted JSON; NULL: it has none

-- The key in use, by a name that tells nothing of it. Without a row nothing is
-- encrypted yet: bodies of objects have secrets in them, and second factors are
-- there as they are.
CREATE TABLE sealing (
	id       INTEGER PRIMARY KEY, -- always 1
	key_name TEXT    NOT NULL,
	since    INTEGER NOT NULL
) STRICT;

-- +goose Down
DROP TABLE sealing;
ALTER TABLE objects DROP COLUMN secrets;
