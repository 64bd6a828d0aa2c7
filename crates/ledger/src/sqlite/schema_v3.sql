-- Counts what people must know of before they decide about a row: failed tries, edits, its end and its return.
ALTER TABLE parked_record ADD COLUMN version INTEGER NOT NULL DEFAULT 0;
-- Groups failures of one cause; class and code are copied out of the failure for selections.
ALTER TABLE parked_record ADD COLUMN fingerprint TEXT;
ALTER TABLE parked_record ADD COLUMN class TEXT;
ALTER TABLE parked_record ADD COLUMN code TEXT;
-- What people put in place of value and headers; see crates/ledger/schema/README.md.
ALTER TABLE parked_record ADD COLUMN edit BLOB;
UPDATE parked_record SET class = json_extract(failure, '$.class'), code = json_extract(failure, '$.code')
WHERE failure IS NOT NULL;
CREATE INDEX parked_record_order ON parked_record (parked_ms, slice, sequence, no);
CREATE INDEX parked_record_fingerprint ON parked_record (fingerprint) WHERE fingerprint IS NOT NULL;

-- What people decided to do with parked records; spec is JSON.
CREATE TABLE job (
    id TEXT PRIMARY KEY,
    spec TEXT NOT NULL,
    course TEXT NOT NULL,
    stopped TEXT,
    created_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL
) STRICT;

-- The frozen items of a job; holds: no other job may have the row meanwhile.
CREATE TABLE job_item (
    job TEXT NOT NULL,
    slice INTEGER NOT NULL,
    sequence TEXT NOT NULL,
    no INTEGER NOT NULL,
    version INTEGER NOT NULL,
    edit BLOB,
    holds INTEGER NOT NULL,
    state TEXT NOT NULL,
    ended TEXT,
    code TEXT,
    fingerprint TEXT,
    prediction TEXT,
    note TEXT,
    changed_ms INTEGER NOT NULL,
    PRIMARY KEY (job, slice, sequence, no)
) STRICT;
CREATE UNIQUE INDEX job_item_held ON job_item (slice, sequence, no) WHERE holds = 1;
CREATE INDEX job_item_state ON job_item (job, state, slice, sequence, no);

-- What people think of all failures of one fingerprint.
CREATE TABLE letter_group (
    fingerprint TEXT PRIMARY KEY,
    state TEXT NOT NULL,
    until_ms INTEGER,
    who TEXT NOT NULL,
    note TEXT,
    updated_ms INTEGER NOT NULL
) STRICT;
