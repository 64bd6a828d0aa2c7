-- One row per slice; a write with an epoch that is not this one changes nothing.
CREATE TABLE slice (
    slice INTEGER PRIMARY KEY,
    epoch INTEGER NOT NULL,
    owner TEXT NOT NULL,
    taken_ms INTEGER NOT NULL,
    next_entry INTEGER NOT NULL,
    closed_entry INTEGER NOT NULL,
    stopped TEXT
) STRICT;

-- The next offset a slice will take from its partition of a topic; the partition is the slice.
CREATE TABLE position (
    slice INTEGER NOT NULL,
    topic TEXT NOT NULL,
    topic_id TEXT,
    next_offset INTEGER NOT NULL,
    PRIMARY KEY (slice, topic)
) STRICT;

-- How far the events a slice publishes are acknowledged by the broker.
CREATE TABLE published (
    slice INTEGER NOT NULL,
    topic TEXT NOT NULL,
    partition INTEGER NOT NULL,
    number INTEGER NOT NULL,
    "offset" INTEGER NOT NULL,
    PRIMARY KEY (slice, topic, partition)
) STRICT;

-- What each micro-batch of a slice did; body: see crates/ledger/schema/README.md.
CREATE TABLE journal (
    slice INTEGER NOT NULL,
    entry INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    publishes TEXT,
    body BLOB NOT NULL,
    PRIMARY KEY (slice, entry)
) STRICT;

-- Identities with a time in front of the uid, whose ranges are dropped by age.
CREATE TABLE identity (
    uid BLOB PRIMARY KEY,
    hash INTEGER NOT NULL,
    slice INTEGER NOT NULL,
    seen_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Identities without a time: kept, because nothing proves that they are old.
CREATE TABLE identity_untimed (
    uid BLOB PRIMARY KEY,
    hash INTEGER NOT NULL,
    slice INTEGER NOT NULL,
    seen_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What the service remembers of each thing; body is JSON.
CREATE TABLE document (
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    slice INTEGER NOT NULL,
    version INTEGER NOT NULL,
    status TEXT NOT NULL,
    account_id TEXT NOT NULL,
    body TEXT NOT NULL,
    updated_ms INTEGER NOT NULL,
    PRIMARY KEY (kind, key)
) STRICT;
CREATE INDEX document_account ON document (account_id);

-- Sequences set aside: why, and until when.
CREATE TABLE parked_sequence (
    slice INTEGER NOT NULL,
    sequence TEXT NOT NULL,
    class TEXT NOT NULL,
    code TEXT NOT NULL,
    reason TEXT NOT NULL,
    owner TEXT,
    field TEXT,
    awaits TEXT,
    attempts INTEGER NOT NULL,
    next_attempt_ms INTEGER,
    since_ms INTEGER NOT NULL,
    head_no INTEGER NOT NULL,
    tail_no INTEGER NOT NULL,
    depth INTEGER NOT NULL,
    PRIMARY KEY (slice, sequence)
) STRICT;

-- Records set aside, byte for byte, and how each ended.
CREATE TABLE parked_record (
    slice INTEGER NOT NULL,
    sequence TEXT NOT NULL,
    no INTEGER NOT NULL,
    topic TEXT NOT NULL,
    partition INTEGER NOT NULL,
    "offset" INTEGER NOT NULL,
    timestamp_ms INTEGER NOT NULL,
    key BLOB,
    value BLOB,
    headers BLOB NOT NULL,
    uid BLOB,
    hash INTEGER NOT NULL,
    parked_ms INTEGER NOT NULL,
    needed_ms INTEGER NOT NULL,
    state TEXT NOT NULL,
    failure TEXT,
    attempts INTEGER NOT NULL,
    receipts TEXT NOT NULL,
    unknown TEXT NOT NULL,
    changed_ms INTEGER NOT NULL,
    PRIMARY KEY (slice, sequence, no)
) STRICT;
CREATE INDEX parked_record_state ON parked_record (state, parked_ms);
CREATE INDEX parked_record_uid ON parked_record (uid) WHERE uid IS NOT NULL;

-- Effects that wait long: open, unknown or refused.
CREATE TABLE intent (
    slice INTEGER NOT NULL,
    effect_key TEXT NOT NULL,
    sequence TEXT NOT NULL,
    entity TEXT NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    code TEXT,
    reason TEXT,
    since_ms INTEGER NOT NULL,
    PRIMARY KEY (slice, effect_key)
) STRICT;

-- Inputs that are due at a time.
CREATE TABLE timer (
    slice INTEGER NOT NULL,
    id TEXT NOT NULL,
    due_ms INTEGER NOT NULL,
    sequence TEXT NOT NULL,
    payload TEXT NOT NULL,
    PRIMARY KEY (slice, id)
) STRICT;

-- Who did what and why; each hash covers the row and the hash before it.
CREATE TABLE audit (
    seq INTEGER PRIMARY KEY,
    at_ms INTEGER NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    subject TEXT NOT NULL,
    reason TEXT NOT NULL,
    before TEXT,
    after TEXT,
    hash TEXT NOT NULL
) STRICT;

-- What is older than the floor was dropped: a timed identity below it ends outside_horizon.
CREATE TABLE horizon (
    one INTEGER PRIMARY KEY DEFAULT 1 CHECK (one = 1),
    floor_ms INTEGER NOT NULL
) STRICT;
INSERT INTO horizon (floor_ms) VALUES (0);
