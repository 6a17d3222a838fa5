-- +goose Up
CREATE TABLE subnets (
	id           INTEGER PRIMARY KEY AUTOINCREMENT,
	kind         TEXT    NOT NULL CHECK (kind IN ('separated', 'isolated', 'intentional')),
	networks     TEXT    NOT NULL, -- in CIDR notation, comma separated
	neighborhood TEXT    NOT NULL, -- of intentional ones; empty: none
	name         TEXT    NOT NULL,
	comment      TEXT    NOT NULL,
	created      INTEGER NOT NULL,
	created_by   INTEGER NOT NULL, -- no reference: a subnet outlives its maker
	modified     INTEGER NOT NULL,
	modified_by  INTEGER NOT NULL
) STRICT;

-- Where a client was at its last registration: its slot is its own also after
-- the server has started again.
ALTER TABLE clients ADD COLUMN lan  TEXT    NOT NULL DEFAULT ''; -- empty: unknown
ALTER TABLE clients ADD COLUMN slot INTEGER NOT NULL DEFAULT 0;

-- +goose Down
ALTER TABLE clients DROP COLUMN slot;
ALTER TABLE clients DROP COLUMN lan;
DROP TABLE subnets;
