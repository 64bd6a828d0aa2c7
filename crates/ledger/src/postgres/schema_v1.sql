CREATE TABLE slice (
    slice int PRIMARY KEY,
    epoch bigint NOT NULL,
    owner text COLLATE "C" NOT NULL,
    taken_ms bigint NOT NULL,
    next_entry bigint NOT NULL,
    closed_entry bigint NOT NULL,
    stopped text COLLATE "C"
) WITH (fillfactor = 30);
COMMENT ON TABLE slice IS 'One row per slice; a write with an epoch that is not this one changes nothing';
COMMENT ON COLUMN slice.stopped IS 'Why the slice stands still until an operator lets it go on';

CREATE TABLE position (
    slice int NOT NULL,
    topic text COLLATE "C" NOT NULL,
    topic_id text COLLATE "C",
    next_offset bigint NOT NULL,
    PRIMARY KEY (slice, topic)
) WITH (fillfactor = 30);
COMMENT ON TABLE position IS 'The next offset a slice will take from its partition of a topic; the partition is the slice';

CREATE TABLE published (
    slice int NOT NULL,
    topic text COLLATE "C" NOT NULL,
    partition int NOT NULL,
    number bigint NOT NULL,
    "offset" bigint NOT NULL,
    PRIMARY KEY (slice, topic, partition)
) WITH (fillfactor = 30);
COMMENT ON TABLE published IS 'How far the events a slice publishes are acknowledged by the broker';

CREATE TABLE journal (
    slice int NOT NULL,
    entry bigint NOT NULL,
    epoch bigint NOT NULL,
    at_ms bigint NOT NULL,
    publishes text COLLATE "C",
    body bytea NOT NULL,
    PRIMARY KEY (slice, entry, at_ms)
) PARTITION BY RANGE (at_ms);
ALTER TABLE journal ALTER COLUMN body SET STORAGE EXTERNAL;
COMMENT ON TABLE journal IS 'What each micro-batch of a slice did; body: see crates/ledger/schema/README.md';
COMMENT ON COLUMN journal.publishes IS 'JSON [[topic, partition, highest number], ...] of the events in the body';
CREATE TABLE journal_default PARTITION OF journal DEFAULT;

CREATE TABLE identity (
    uid uuid PRIMARY KEY,
    hash bigint NOT NULL,
    slice int NOT NULL,
    seen_ms bigint NOT NULL
) PARTITION BY RANGE (uid);
COMMENT ON TABLE identity IS 'Identities with a time in front of the uid, in ranges that are dropped whole';
CREATE TABLE identity_default PARTITION OF identity DEFAULT;

CREATE TABLE identity_untimed (
    uid uuid PRIMARY KEY,
    hash bigint NOT NULL,
    slice int NOT NULL,
    seen_ms bigint NOT NULL
);
COMMENT ON TABLE identity_untimed IS 'Identities without a time: kept, because nothing proves that they are old';

CREATE TABLE document (
    kind text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    slice int NOT NULL,
    version bigint NOT NULL,
    status text COLLATE "C" NOT NULL,
    account_id text COLLATE "C" NOT NULL,
    body text COLLATE "C" NOT NULL,
    updated_ms bigint NOT NULL,
    PRIMARY KEY (kind, key)
) WITH (fillfactor = 70);
CREATE INDEX document_account ON document (account_id);
COMMENT ON TABLE document IS 'What the service remembers of each thing; body is JSON';

CREATE TABLE parked_sequence (
    slice int NOT NULL,
    sequence text COLLATE "C" NOT NULL,
    class text COLLATE "C" NOT NULL,
    code text COLLATE "C" NOT NULL,
    reason text COLLATE "C" NOT NULL,
    owner text COLLATE "C",
    field text COLLATE "C",
    awaits text COLLATE "C",
    attempts int NOT NULL,
    next_attempt_ms bigint,
    since_ms bigint NOT NULL,
    head_no bigint NOT NULL,
    tail_no bigint NOT NULL,
    depth bigint NOT NULL,
    PRIMARY KEY (slice, sequence)
) WITH (fillfactor = 50);
COMMENT ON TABLE parked_sequence IS 'Sequences set aside: why, and until when';

CREATE TABLE parked_record (
    slice int NOT NULL,
    sequence text COLLATE "C" NOT NULL,
    no bigint NOT NULL,
    topic text COLLATE "C" NOT NULL,
    partition int NOT NULL,
    "offset" bigint NOT NULL,
    timestamp_ms bigint NOT NULL,
    key bytea,
    value bytea,
    headers bytea NOT NULL,
    uid uuid,
    hash bigint NOT NULL,
    parked_ms bigint NOT NULL,
    needed_ms bigint NOT NULL,
    state text COLLATE "C" NOT NULL,
    failure text COLLATE "C",
    attempts int NOT NULL,
    receipts text COLLATE "C" NOT NULL,
    unknown text COLLATE "C" NOT NULL,
    changed_ms bigint NOT NULL,
    PRIMARY KEY (slice, sequence, no)
) WITH (fillfactor = 80);
CREATE INDEX parked_record_state ON parked_record (state, parked_ms);
CREATE INDEX parked_record_uid ON parked_record (uid) WHERE uid IS NOT NULL;
COMMENT ON TABLE parked_record IS 'Records set aside, byte for byte, and how each ended';
COMMENT ON COLUMN parked_record.needed_ms IS 'The oldest time it still needs while it is alive: the floor stays below';

CREATE TABLE intent (
    slice int NOT NULL,
    effect_key text COLLATE "C" NOT NULL,
    sequence text COLLATE "C" NOT NULL,
    entity text COLLATE "C" NOT NULL,
    state text COLLATE "C" NOT NULL,
    attempts int NOT NULL,
    code text COLLATE "C",
    reason text COLLATE "C",
    since_ms bigint NOT NULL,
    PRIMARY KEY (slice, effect_key)
) WITH (fillfactor = 50);
COMMENT ON TABLE intent IS 'Effects that wait long: open, unknown or refused';

CREATE TABLE timer (
    slice int NOT NULL,
    id text COLLATE "C" NOT NULL,
    due_ms bigint NOT NULL,
    sequence text COLLATE "C" NOT NULL,
    payload text COLLATE "C" NOT NULL,
    PRIMARY KEY (slice, id)
);
COMMENT ON TABLE timer IS 'Inputs that are due at a time';

CREATE TABLE audit (
    seq bigint PRIMARY KEY,
    at_ms bigint NOT NULL,
    actor text COLLATE "C" NOT NULL,
    action text COLLATE "C" NOT NULL,
    subject text COLLATE "C" NOT NULL,
    reason text COLLATE "C" NOT NULL,
    before text COLLATE "C",
    after text COLLATE "C",
    hash text COLLATE "C" NOT NULL
);
COMMENT ON TABLE audit IS 'Who did what and why; each hash covers the row and the hash before it';

CREATE TABLE horizon (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    floor_ms bigint NOT NULL
);
INSERT INTO horizon (floor_ms) VALUES (0);
COMMENT ON TABLE horizon IS 'What is older than the floor was dropped: a timed identity below it ends outside_horizon';
