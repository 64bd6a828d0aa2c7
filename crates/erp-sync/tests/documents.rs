//! docs/operate/configuration.md says exactly what the service reads. `make docs` writes it anew.

use std::{collections::BTreeMap, fmt::Write as _, path::Path};

use erp_sync::ServiceConfig;
use service::{
    Whole,
    config::{Origin, Problem, Setting, Source, env_name, load},
};

/// What cannot be left out.
const NEEDED: &[(&str, &str)] = &[
    ("kafka.brokers", "kafka-1:9092"),
    ("registry.url", "https://registry.example"),
    ("ledger.url", "postgres://erp_sync@db.example/throughline"),
    ("erp.base_url", "https://1234567.suitetalk.api.netsuite.com"),
    ("erp.client_id", "c"),
    ("erp.certificate_id", "k"),
    ("erp.private_key_file", "/key.pem"),
];

const INTRODUCTION: &str = "\
# Configuration

What `erp-sync` reads; sections other than `[erp]` are the same for every service; in its place `crm-sync` has
`[crm]`, `order-flow` `[flow]`, `[tax]` and `[billing]`, `provisioning` `[product]` and `[identity]`, and `analytics-feed` `[masking]` (README of their crates). This page is generated from the code (`make docs`).

A service takes its settings from defaults, then the TOML file that `--config` (or `THROUGHLINE_CONFIG`) names, then the
environment: `kafka.brokers` is `THROUGHLINE_KAFKA_BROKERS` there. Later ones win. `throughline config print erp-sync --config FILE`
shows every setting in force and where it comes from.

* Durations and sizes carry their unit: `\"300ms\"`, `\"20s\"`, `\"24h\"`, `\"24MiB\"`. A bare number is refused.
* Secrets are never in the file. `…_file` names a file that only the service can read; without `_file` the same name works in the
  environment. They are not printed, logged or shown.
* An unknown key, a bad unit or a broken rule keeps the service from starting (exit 64). All problems are listed at once, each with
  a hint.

The smallest file:

```toml
";

const AFTERWARDS: &str = "\
## [letters.auto_for]

`auto` for a class (business, contract, poison or bug) or a code, such as `poison = \"retry\"`; a code goes before its class. See
[auto-resolve](auto-resolve.md).

## [kafka.properties]

Further librdkafka properties that tune, such as `\"socket.timeout.ms\" = \"30000\"`. Those that carry the promises (group, offsets,
idempotence, security) are refused; the refusal lists what is allowed.

TLS and SCRAM to the brokers need a build with `cargo build --release --workspace --features kafka/tls`, which links the system's
OpenSSL.
";

fn settings(given: &[(&str, &str)], env: &[(&str, &str)]) -> Result<Vec<Setting>, Vec<Problem>> {
    let mut variables: BTreeMap<String, String> =
        given.iter().map(|(path, value)| (env_name(path), (*value).to_owned())).collect();
    variables.extend(env.iter().map(|(path, value)| (env_name(path), (*value).to_owned())));
    let loaded = load::<Whole<ServiceConfig>>(&Source { file: None, env: variables });
    loaded.map(|loaded| loaded.settings).map_err(|problems| problems.problems)
}

/// Whether it must be given: what is said when only this one is left out.
fn need(path: &str) -> Option<String> {
    let others: Vec<_> = NEEDED.iter().copied().filter(|(known, _)| *known != path).collect();
    let problems = settings(&others, &[]).expect_err("something needed is missing");
    let about = problems.into_iter().find(|problem| problem.path.split(", ").any(|one| one == path))?;
    if about.path == path {
        return Some("required".to_owned());
    }
    let keys: Vec<&str> = about.path.split(", ").map(|path| path.rsplit('.').next().unwrap_or(path)).collect();
    Some(format!("one of `{}`", keys.join("`, `")))
}

/// The words of a closed set, as the refusal of a word outside it names them.
fn words(path: &str) -> Option<String> {
    let problems = settings(NEEDED, &[(path, "no-such-word")]).err()?;
    let refusal = problems.into_iter().find(|problem| problem.message.contains("unknown word"))?;
    Some(refusal.hint.replace("use one of ", "one of "))
}

fn row(setting: &Setting) -> String {
    let key = setting.path.rsplit('.').next().unwrap_or_default();
    let default = match &setting.origin {
        Origin::Default if setting.value.is_empty() => String::new(),
        Origin::Default => format!("`{}`", setting.value),
        Origin::File | Origin::Env(_) => need(&setting.path).unwrap_or_default(),
    };
    let words = words(&setting.path).map(|words| format!(": {words}")).unwrap_or_default();
    format!("| `{key}` | {default} | {}{words} |\n", setting.help.replace('|', "\\|"))
}

fn page() -> String {
    let mut page = INTRODUCTION.to_owned();
    let mut section = "";
    for (path, value) in NEEDED {
        let (name, key) = path.split_once('.').expect("a section and a key");
        if name != section {
            let gap = if section.is_empty() { "" } else { "\n" };
            let _ = writeln!(page, "{gap}[{name}]");
            section = name;
        }
        let _ = writeln!(page, "{key} = \"{value}\"");
    }
    page.push_str("```\n");
    let all = settings(NEEDED, &[]).expect("the smallest file is enough");
    let mut section = String::new();
    for setting in &all {
        let name = setting.path.split('.').next().unwrap_or_default();
        if name != section {
            name.clone_into(&mut section);
            let _ = write!(page, "\n## [{name}]\n\n| setting | default | what it is |\n|---|---|---|\n");
        }
        page.push_str(&row(setting));
    }
    page.push('\n');
    page.push_str(AFTERWARDS);
    page
}

#[test]
fn the_page_of_settings_says_what_the_service_reads() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/operate/configuration.md");
    let page = page();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &page).expect("the page is written");
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == page,
        "docs/operate/configuration.md differs from the code: run `make docs` and commit the result"
    );
}
