CREATE TABLE letter_rule (
    id text COLLATE "C" PRIMARY KEY,
    spec text COLLATE "C" NOT NULL,
    ends_ms bigint NOT NULL
);
COMMENT ON TABLE letter_rule IS 'Standing rules about letters; spec is JSON';

CREATE TABLE letter_outlook (
    slice int NOT NULL,
    fingerprint text COLLATE "C" NOT NULL,
    spec text COLLATE "C" NOT NULL,
    PRIMARY KEY (slice, fingerprint)
);
COMMENT ON TABLE letter_outlook IS 'What today''s code would do about the letters of one cause in one slice; spec is JSON';
