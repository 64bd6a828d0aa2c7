-- Standing rules about letters; spec is JSON.
CREATE TABLE letter_rule (
    id TEXT PRIMARY KEY,
    spec TEXT NOT NULL,
    ends_ms INTEGER NOT NULL
) STRICT;

-- What today's code would do about the letters of one cause in one slice; spec is JSON.
CREATE TABLE letter_outlook (
    slice INTEGER NOT NULL,
    fingerprint TEXT NOT NULL,
    spec TEXT NOT NULL,
    PRIMARY KEY (slice, fingerprint)
) STRICT;
