use super::*;
use secrecy::ExposeSecret;
use std::{io::Write, time::Duration};

#[derive(Debug)]
struct Example {
    name: String,
    poll: Poll,
    tags: BTreeMap<String, u32>,
}

#[derive(Debug)]
struct Poll {
    timeout: Duration,
    session: Duration,
    max: Bytes,
    topics: Vec<String>,
    token: Option<secrecy::SecretString>,
    fast: bool,
}

impl Config for Example {
    fn read(s: &mut Section<'_>) -> Self {
        Self {
            name: s.required("name", "what it is called"),
            poll: s.section("poll"),
            tags: s.map("tags", "free tags"),
        }
    }
}

impl Config for Poll {
    fn read(s: &mut Section<'_>) -> Self {
        let config = Self {
            timeout: s.or("timeout", Duration::from_secs(1), "how long one poll waits"),
            session: s.or("session", Duration::from_secs(45), "session time-out"),
            max: s.or("max", Bytes::mib(1), "largest record"),
            topics: s.or("topics", vec!["a".to_owned()], "topics to read"),
            token: s.secret("token", "bearer token"),
            fast: s.choice("mode", "slow", &[("slow", false), ("fast", true)], "how fast"),
        };
        let rule = config.timeout < config.session;
        s.rule(&["timeout", "session"], rule, "the poll must be shorter than the session", "lower `timeout`");
        config
    }
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

fn read(text: &str, env: &[(&str, &str)]) -> Result<Loaded<Example>, Problems> {
    let file = file(text);
    let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    load(&Source { file: Some(file.path().to_owned()), env })
}

#[test]
fn the_environment_wins_over_the_file_and_the_file_over_the_default() {
    let text = "name = 'x'\n[poll]\ntimeout = '2s'\nmax = '3 MiB'\n[tags]\na = 1";
    let env =
        [("THROUGHLINE_POLL_TIMEOUT", "3 s"), ("THROUGHLINE_POLL_TOPICS", "b, c"), ("THROUGHLINE_SERVICE_PORT", "1")];
    let loaded = read(text, &env).unwrap();
    let config = &loaded.config;
    assert_eq!(config.name, "x");
    assert_eq!(config.poll.timeout, Duration::from_secs(3));
    assert_eq!(config.poll.session, Duration::from_secs(45));
    assert_eq!(config.poll.max, Bytes::mib(3));
    assert_eq!(config.poll.topics, ["b", "c"]);
    assert_eq!(config.tags["a"], 1);
    assert_eq!(loaded.unused_env, ["THROUGHLINE_SERVICE_PORT"]);
}

#[test]
fn every_problem_is_reported_at_once_with_path_and_hint() {
    let text = "nmae = 'x'\n[poll]\ntimeout = '10 parsecs'\nmax = 5\nmode = 'quick'\nextra = 1\ntoken = 'abc'\n[tags]\na = 'b'";
    let problems = read(text, &[("THROUGHLINE_POLL_SESSION", "45")]).unwrap_err();
    let shown = problems.to_string();
    let shown = shown.split_once(": ").unwrap().1;
    let expected = r#"9 problems
  name: is missing, wanted a string
    hint: what it is called: set it in the file, or THROUGHLINE_NAME in the environment
  poll.timeout = "10 parsecs": unknown unit `parsecs`: use us, ms, s, m, min, h or d
    hint: how long one poll waits: a duration such as "10s" or "250ms"
  poll.session = "45" (from THROUGHLINE_POLL_SESSION): a duration without a unit: add us, ms, s, m, min, h or d
    hint: session time-out: a duration such as "10s" or "250ms"
  poll.max = 5: is not a size such as "5MiB" or "512B" but of type integer
    hint: largest record: a size such as "5MiB" or "512B"
  poll.token: a secret must not be in the configuration file
    hint: put it in a file that only the service can read, and name that in `token_file`
  poll.mode = "quick": unknown word
    hint: use one of slow, fast
  poll.extra: unknown key
    hint: known here: max, mode, session, timeout, token, token_file, topics
  tags.a = "b": is not a whole number but of type string
    hint: free tags: a whole number
  nmae: unknown key
    hint: did you mean `name`?"#;
    assert_eq!(shown, expected);
}

#[test]
fn a_rule_between_settings_is_judged_beside_other_problems() {
    let problems = read("name = 'x'\n[poll]\ntimeout = '1m'\nextra = 1", &[]).unwrap_err();
    let paths: Vec<_> = problems.problems.iter().map(|problem| problem.path.as_str()).collect();
    assert_eq!(paths, ["poll.timeout, poll.session", "poll.extra"]);
}

#[test]
fn a_secret_comes_from_its_file_and_is_never_shown() {
    let secret = file("s3cret\n");
    let text = format!("name = 'x'\n[poll]\ntoken_file = '{}'", secret.path().display());
    let loaded = read(&text, &[]).unwrap();
    assert_eq!(loaded.config.poll.token.as_ref().unwrap().expose_secret(), "s3cret");
    assert!(!format!("{loaded:?}").contains("s3cret"));
    assert!(loaded.settings.iter().any(|setting| setting.path == "poll.token" && setting.value == "***"));
}

#[test]
fn a_secret_file_that_is_missing_or_empty_is_a_problem() {
    let empty = file("\n");
    let missing = read("name = 'x'\n[poll]\ntoken_file = '/no/such/file'", &[]).unwrap_err();
    assert_eq!(missing.problems[0].path, "poll.token_file");
    let text = format!("name = 'x'\n[poll]\ntoken_file = '{}'", empty.path().display());
    assert_eq!(read(&text, &[]).unwrap_err().problems[0].message, "the secret is empty");
}

#[test]
fn broken_syntax_and_a_missing_file_are_said_plainly() {
    let problems = read("name = 'x", &[]).unwrap_err();
    assert!(problems.to_string().contains("TOML parse error at line 1"), "{problems}");
    let source = Source { file: Some("/no/such/file.toml".into()), env: BTreeMap::new() };
    let problems = load::<Example>(&source).unwrap_err();
    assert!(problems.to_string().contains("/no/such/file.toml: 1 problem\n  file: cannot be read:"), "{problems}");
}

#[test]
fn every_setting_in_force_is_listed_with_its_origin() {
    let loaded = read("name = 'x'\n[poll]\ntimeout = '2s'", &[("THROUGHLINE_POLL_MODE", "fast")]).unwrap();
    assert!(loaded.config.poll.fast);
    let shown: Vec<_> = loaded.settings.iter().map(|s| format!("{}={} [{}]", s.path, s.value, s.origin)).collect();
    let expected = [
        "name=x [file]",
        "poll.timeout=2s [file]",
        "poll.session=45s [default]",
        "poll.max=1MiB [default]",
        "poll.topics=a [default]",
        "poll.token_file= [default]",
        "poll.mode=fast [env THROUGHLINE_POLL_MODE]",
    ];
    assert_eq!(shown, expected);
}
