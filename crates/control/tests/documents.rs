//! docs/operate/control.md and docs/operate/control-api.json say exactly what the code does. `make docs` writes them anew.

use control::{
    ControlConfig,
    rights::{Right, Role},
    routes::{Method, ROUTES},
};
use service::config::{Source, load};
use std::{fmt::Write as _, path::Path};

const HEAD: &str = "# Control\n\n\
    `control` is one HTTP API over the ledgers and topics of all services. `throughline dlq`, `throughline job` and\n\
    `throughline audit` are its clients. Reading needs no service to run; what changes letters is a job that the failing service\n\
    works off. This page and [control-api.json](control-api.json) (OpenAPI) are made from the code by `make docs`.\n\n\
    Everybody who asks sends `Authorization: Bearer TOKEN`: a token of the file `auth.token_file`, or a JWT of the issuer in\n\
    `[oidc]`. A role is given for all services (`operator`) or for one (`operator:erp-sync`): behind the name in the token file,\n\
    or in the JWT's roles claim. Whoever asks for more than they may gets 403 (exit 4 at the command line), and the attempt is in\n\
    the audit.\n";

const SMALLEST: &str = "[auth]\ntoken_file = \"t\"\n[kafka]\nbrokers = \"b:9092\"\n[registry]\nurl = \"http://r:8081\"\n\
    [ledger]\nurl = \"sqlite:///c.db\"\n[ledgers]\nerp-sync = \"sqlite:///e.db\"\n";

fn page() -> String {
    let mut page = HEAD.to_owned();
    page.push_str("\n## Roles\n\n| right |");
    Role::ALL.iter().for_each(|role| page.push_str(&format!(" {} |", role.as_str())));
    page.push_str("\n|---|");
    Role::ALL.iter().for_each(|_| page.push_str("---|"));
    for right in Right::ALL {
        let _ = write!(page, "\n| `{right}` |");
        Role::ALL.iter().for_each(|role| page.push_str(if role.allows(right) { " yes |" } else { " |" }));
    }
    page.push_str("\n\n## Routes\n\n| route | right | what it does |\n|---|---|---|\n");
    for route in ROUTES {
        let method = if route.method == Method::Get { "GET" } else { "POST" };
        let _ = writeln!(page, "| `{method} {}` | `{}` | {} |", route.path, route.right, route.about);
    }
    page.push_str("\n## Settings\n\nBesides `[http]`, `[log]` and `[shutdown]`, which every service has ([configuration](configuration.md)).\n");
    page.push_str("\n| setting | default | what it is |\n|---|---|---|\n");
    for (path, value, help) in settings() {
        let _ = writeln!(page, "| `{path}` | {value} | {help} |");
    }
    page
}

fn settings() -> Vec<(String, String, &'static str)> {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("control.toml");
    std::fs::write(&file, SMALLEST).expect("a file");
    let loaded =
        load::<ControlConfig>(&Source { file: Some(file), ..Source::default() }).expect("the smallest file is enough");
    let shown = |setting: service::config::Setting| {
        let is_default = setting.origin == service::config::Origin::Default && !setting.value.is_empty();
        let path = setting.path.replace("ledgers.erp-sync", "ledgers.SERVICE");
        (path, if is_default { format!("`{}`", setting.value) } else { String::new() }, setting.help)
    };
    loaded.settings.into_iter().map(shown).collect()
}

#[test]
fn page_and_openapi_document_say_what_the_server_does() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/operate");
    let api = format!("{:#}\n", control::document());
    for (name, text) in [("control.md", page()), ("control-api.json", api)] {
        let path = docs.join(name);
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(&path, &text).expect("the page is written");
        }
        let written = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(written == text, "docs/operate/{name} differs from the code: run `make docs` and commit the result");
    }
}
