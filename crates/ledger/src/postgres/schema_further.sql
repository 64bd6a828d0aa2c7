-- Only in builds with the feature `further-migration`: what a later version may do to tables that a build before it still writes.
-- Columns that it does not name, an index, a table of its own; nothing is taken away.
ALTER TABLE document ADD COLUMN looked_at_ms bigint;
ALTER TABLE journal ADD COLUMN remark text NOT NULL DEFAULT '';
CREATE INDEX document_looked_at ON document (looked_at_ms) WHERE looked_at_ms IS NOT NULL;
CREATE TABLE remark (no bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body text NOT NULL);
