ALTER TABLE parked_record
    ADD COLUMN version int NOT NULL DEFAULT 0,
    ADD COLUMN fingerprint text COLLATE "C",
    ADD COLUMN class text COLLATE "C",
    ADD COLUMN code text COLLATE "C",
    ADD COLUMN edit bytea;
COMMENT ON COLUMN parked_record.version IS
    'Counts what people must know of before they decide about a row: failed tries, edits, its end and its return';
COMMENT ON COLUMN parked_record.fingerprint IS 'Groups failures of one cause';
COMMENT ON COLUMN parked_record.class IS 'Copied out of the failure for selections, like code';
COMMENT ON COLUMN parked_record.edit IS 'What people put in place of value and headers; see crates/ledger/schema/README.md';
UPDATE parked_record SET class = failure::jsonb ->> 'class', code = failure::jsonb ->> 'code' WHERE failure IS NOT NULL;
CREATE INDEX parked_record_order ON parked_record (parked_ms, slice, sequence, no);
CREATE INDEX parked_record_fingerprint ON parked_record (fingerprint) WHERE fingerprint IS NOT NULL;

CREATE TABLE job (
    id text COLLATE "C" PRIMARY KEY,
    spec text COLLATE "C" NOT NULL,
    course text COLLATE "C" NOT NULL,
    stopped text COLLATE "C",
    created_ms bigint NOT NULL,
    updated_ms bigint NOT NULL
);
COMMENT ON TABLE job IS 'What people decided to do with parked records; spec is JSON';

CREATE TABLE job_item (
    job text COLLATE "C" NOT NULL,
    slice int NOT NULL,
    sequence text COLLATE "C" NOT NULL,
    no bigint NOT NULL,
    version int NOT NULL,
    edit bytea,
    holds boolean NOT NULL,
    state text COLLATE "C" NOT NULL,
    ended text COLLATE "C",
    code text COLLATE "C",
    fingerprint text COLLATE "C",
    prediction text COLLATE "C",
    note text COLLATE "C",
    changed_ms bigint NOT NULL,
    PRIMARY KEY (job, slice, sequence, no)
) WITH (fillfactor = 70);
CREATE UNIQUE INDEX job_item_held ON job_item (slice, sequence, no) WHERE holds;
CREATE INDEX job_item_state ON job_item (job, state, slice, sequence, no);
COMMENT ON TABLE job_item IS 'The frozen items of a job';
COMMENT ON COLUMN job_item.holds IS 'No other job may have the row meanwhile';

CREATE TABLE letter_group (
    fingerprint text COLLATE "C" PRIMARY KEY,
    state text COLLATE "C" NOT NULL,
    until_ms bigint,
    who text COLLATE "C" NOT NULL,
    note text COLLATE "C",
    updated_ms bigint NOT NULL
);
COMMENT ON TABLE letter_group IS 'What people think of all failures of one fingerprint';
