//! The services of a stack: their binaries, and the configuration file each is given.

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use crate::{
    endpoints::{ControlAt, Endpoints, Kind},
    error::{Error, Result},
    parts::{BILLING, IDENTITY, PRODUCT, TAX, numbered, platform_folder},
    ports,
    process::{Spec, write_atomically},
    programs,
    stack::StackConfig,
};

/// The mapping that the repository carries: what the sandbox's items, accounts and terms are called.
const MAPPING: &str = include_str!("../../../deploy/policies/erp-mapping.yaml");

/// What products entitle to, as the repository carries it.
const ACCESS: &str = include_str!("../../../deploy/policies/provisioning.yaml");

/// Which company of the tax engine declares the tax of each seller, as the repository carries it.
const COMPANIES: &str = include_str!("../../../deploy/policies/tax-companies.yaml");

/// The policies that the repository carries.
const POLICIES: [(&str, &str); 11] = [
    ("approvals.yaml", include_str!("../../../deploy/policies/approvals.yaml")),
    ("cases.yaml", include_str!("../../../deploy/policies/cases.yaml")),
    ("checks.yaml", include_str!("../../../deploy/policies/checks.yaml")),
    ("compensation.yaml", include_str!("../../../deploy/policies/compensation.yaml")),
    ("entities.yaml", include_str!("../../../deploy/policies/entities.yaml")),
    ("ownership.yaml", include_str!("../../../deploy/policies/ownership.yaml")),
    ("price-plans.yaml", include_str!("../../../deploy/policies/price-plans.yaml")),
    ("products.yaml", include_str!("../../../deploy/policies/products.yaml")),
    ("revenue.yaml", include_str!("../../../deploy/policies/revenue.yaml")),
    ("routing.yaml", include_str!("../../../deploy/policies/routing.yaml")),
    ("tax-nexus.yaml", include_str!("../../../deploy/policies/tax-nexus.yaml")),
];

/// The API over all other services: it is told where each has its ledger.
pub const CONTROL: &str = "control";

/// One process of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// The binary, such as `erp-sync`.
    pub service: String,
    /// From 1; the second replica of `erp-sync` is called `erp-sync-2`.
    pub replica: u16,
}

impl Service {
    #[must_use]
    pub fn name(&self) -> String {
        numbered(&self.service, self.replica)
    }
}

/// What the sandbox leaves beside its state, for programs that sign in to it.
#[derive(Debug, Deserialize)]
struct Credentials {
    client_id: String,
    certificate_id: String,
    private_key_file: PathBuf,
}

/// Writes the configuration of a service into `data/services` and says how to run it; the second part is its ready file.
pub(crate) fn prepare(service: &Service, endpoints: &Endpoints, stack: &StackConfig) -> Result<(Spec, PathBuf)> {
    let program = programs::find(&[&service.service], &service.service, stack.binaries.as_deref())?;
    let folder = stack.data.join("services");
    std::fs::create_dir_all(&folder).map_err(Error::file("make the folder", &folder))?;
    let name = service.name();
    let [port] = ports::remembered(&folder, [&name])?;
    let config = folder.join(format!("{name}.toml"));
    let text = match service.service.as_str() {
        CONTROL => {
            let names: BTreeSet<&str> = stack.services.iter().map(|one| one.service.as_str()).collect();
            control_toml(Some(port), &names.into_iter().collect::<Vec<_>>(), endpoints, &stack.data)?.0
        }
        _ => toml(&service.service, Some(port), endpoints, &stack.data, stack.new_group_protocol)?,
    };
    write_atomically(&config, text.as_bytes())?;
    let ready = folder.join(format!("{name}.ready"));
    let mut spec = Spec::new(&name, program, folder.join(format!("{name}.log")));
    spec.environment.extend(stack.environment.iter().map(|(key, value)| (key.clone(), value.into())));
    Ok((spec.arg("--config").arg(&config).arg("--ready-file").arg(&ready), ready))
}

/// The configuration of a service of this stack. Only what differs from the defaults. Without a port it is for a service that listens
/// nowhere, inside another process.
///
/// # Errors
/// If the folder cannot be written, or the sandbox left no credentials.
pub fn toml(
    service: &str,
    port: Option<u16>,
    endpoints: &Endpoints,
    data: &Path,
    new_group_protocol: bool,
) -> Result<String> {
    let folder = data.join("services");
    std::fs::create_dir_all(&folder).map_err(Error::file("make the folder", &folder))?;
    let ledger = ledger_url(service, endpoints);
    let mut text = String::from("# Written by the dev stack at every start; changes are lost.\n");
    // The in-process broker times sessions only in the new protocol; with the old one the service names the time
    // after which a killed member is missed.
    let group = match endpoints.kind {
        Kind::Embedded => [("embedded", "true"), ("protocol", "\"consumer\"")],
        Kind::Real if new_group_protocol => [("embedded", "false"), ("protocol", "\"consumer\"")],
        Kind::Real => [("protocol", "\"classic\""), ("session_timeout", "\"6s\"")],
    };
    if let Some(port) = port {
        section(&mut text, "http", &[("bind", &quote(&format!("127.0.0.1:{port}")))]);
    }
    let brokers = quote(&endpoints.kafka);
    section(&mut text, "kafka", &[("brokers", &*brokers), group[0], group[1]]);
    section(&mut text, "registry", &[("url", &quote(&endpoints.registry))]);
    section(&mut text, "ledger", &[("url", &quote(&ledger)), ("schema", &quote(&service.replace('-', "_")))]);
    match service {
        "analytics-feed" => masking(&mut text, &folder)?,
        "crm-sync" => crm(&mut text, endpoints, data)?,
        "order-flow" => flow(&mut text, &folder, endpoints, data)?,
        "provisioning" => platforms(&mut text, &folder, endpoints, data)?,
        _ => erp(&mut text, &folder, endpoints, data)?,
    }
    Ok(text)
}

/// The configuration of control for these services of the stack, and how to reach it. Its API keeps its port, and the token of the
/// folder's owner is made when it first starts.
///
/// # Errors
/// If the folder cannot be written.
pub fn control_toml(
    port: Option<u16>,
    services: &[&str],
    endpoints: &Endpoints,
    data: &Path,
) -> Result<(String, ControlAt)> {
    let folder = data.join("services");
    std::fs::create_dir_all(&folder).map_err(Error::file("make the folder", &folder))?;
    let at = control_at(data)?;
    let bind = at.url.trim_start_matches("http://");
    let mut text = String::from("# Written by the dev stack at every start; changes are lost.\n");
    if let Some(port) = port {
        section(&mut text, "http", &[("bind", &quote(&format!("127.0.0.1:{port}")))]);
    }
    // One person owns a stack on one machine: there is no second one to ask.
    let bind = quote(bind);
    section(&mut text, "api", &[("bind", &bind), ("edit_needs_second", "false"), ("second_above", "1000000")]);
    let token_file = quote(&at.token_file.display().to_string());
    section(&mut text, "auth", &[("token_file", &token_file), ("make_token_file", "true")]);
    let embedded = if endpoints.kind == Kind::Embedded { "true" } else { "false" };
    section(&mut text, "kafka", &[("brokers", &quote(&endpoints.kafka)), ("embedded", embedded)]);
    section(&mut text, "registry", &[("url", &quote(&endpoints.registry))]);
    section(&mut text, "ledger", &[("url", &quote(&ledger_url(CONTROL, endpoints)))]);
    let ledgers: Vec<(&str, String)> = services
        .iter()
        .filter(|service| **service != CONTROL)
        .map(|service| (*service, quote(&ledger_url(service, endpoints))))
        .collect();
    section(&mut text, "ledgers", &ledgers.iter().map(|(name, url)| (*name, url.as_str())).collect::<Vec<_>>());
    Ok((text, at))
}

/// Where control's API is in the stack of a folder, whether it runs or not.
pub(crate) fn control_at(data: &Path) -> Result<ControlAt> {
    let folder = data.join("services");
    let [port] = ports::remembered(&folder, ["control-api"])?;
    Ok(ControlAt { url: format!("http://127.0.0.1:{port}"), token_file: folder.join("control.token") })
}

fn ledger_url(service: &str, endpoints: &Endpoints) -> String {
    match (&endpoints.postgres, &endpoints.sqlite) {
        (Some(url), _) => url.clone(),
        (None, Some(path)) => format!("sqlite://{}", sqlite_of(service, path)),
        (None, None) => "memory:".to_owned(),
    }
}

/// The SQLite file of a service, beside that of `erp-sync`: each service has a ledger of its own.
#[must_use]
pub fn sqlite_of(service: &str, of_erp_sync: &str) -> String {
    if service == "erp-sync" {
        return of_erp_sync.to_owned();
    }
    Path::new(of_erp_sync).with_file_name(format!("ledger-{service}.db")).display().to_string()
}

/// The stack's own copy of the policies, which may be changed while it runs.
fn policies(text: &mut String, folder: &Path) -> Result<()> {
    let own = folder.join("policies");
    std::fs::create_dir_all(&own).map_err(Error::file("make the folder", &own))?;
    for (name, policy) in POLICIES {
        let file = own.join(name);
        if !file.exists() {
            write_atomically(&file, policy.as_bytes())?;
        }
    }
    section(text, "flow", &[("policies", &quote(&own.display().to_string()))]);
    Ok(())
}

/// Policies, tax engine and billing system.
fn flow(text: &mut String, folder: &Path, endpoints: &Endpoints, data: &Path) -> Result<()> {
    policies(text, folder)?;
    let companies = folder.join("tax-companies.yaml");
    if !companies.exists() {
        write_atomically(&companies, COMPANIES.as_bytes())?;
    }
    for name in [TAX, BILLING] {
        let (credentials, secret) = client_credentials(name, data)?;
        let url = endpoints.sandboxes.get(name).map(String::as_str).unwrap_or_default();
        let (base, key) = (quote(url), quote(&secret.display().to_string()));
        let (account, companies) = (quote(&credentials.client_id), quote(&companies.display().to_string()));
        let mut settings = vec![("enabled", "true"), ("base_url", &*base), ("key_file", &*key)];
        if name == TAX {
            settings.extend([("account_id", &*account), ("companies", &*companies)]);
        }
        section(text, if name == TAX { "tax" } else { "billing" }, &settings);
    }
    Ok(())
}

/// A key for this stack alone, made once: the same person has the same pseudonym for as long as the folder lives.
fn masking(text: &mut String, folder: &Path) -> Result<()> {
    let key = folder.join("masking.key");
    if !key.exists() {
        let random = format!("{}{}", uuid::Uuid::new_v4().simple(), uuid::Uuid::new_v4().simple());
        write_atomically(&key, random.as_bytes())?;
    }
    section(text, "masking", &[("key_file", &quote(&key.display().to_string()))]);
    Ok(())
}

fn erp(text: &mut String, folder: &Path, endpoints: &Endpoints, data: &Path) -> Result<()> {
    let mapping = folder.join("erp-mapping.yaml");
    if !mapping.exists() {
        write_atomically(&mapping, MAPPING.as_bytes())?;
    }
    let credentials = credentials(data)?;
    let erp = [
        ("base_url", quote(&endpoints.erp)),
        ("client_id", quote(&credentials.client_id)),
        ("certificate_id", quote(&credentials.certificate_id)),
        ("private_key_file", quote(&credentials.private_key_file.display().to_string())),
        ("mapping", quote(&mapping.display().to_string())),
    ];
    section(text, "erp", &erp.each_ref().map(|(key, value)| (*key, value.as_str())));
    Ok(())
}

fn credentials(data: &Path) -> Result<Credentials> {
    let path = data.join("sandbox/erp/erp-credentials.json");
    let credentials: Credentials = read_json(&path)?;
    let key = beside(&path, &credentials.private_key_file);
    Ok(Credentials { private_key_file: key, ..credentials })
}

/// What the CRM's sandbox leaves beside its state.
#[derive(Debug, Deserialize)]
struct CrmCredentials {
    client_id: String,
    username: String,
    private_key_file: PathBuf,
}

fn crm(text: &mut String, endpoints: &Endpoints, data: &Path) -> Result<()> {
    let path = data.join("sandbox/crm/crm-credentials.json");
    let credentials: CrmCredentials = read_json(&path)?;
    let key = beside(&path, &credentials.private_key_file);
    let crm = [
        ("base_url", quote(endpoints.crm().unwrap_or_default())),
        ("client_id", quote(&credentials.client_id)),
        ("username", quote(&credentials.username)),
        ("private_key_file", quote(&key.display().to_string())),
    ];
    section(text, "crm", &crm.each_ref().map(|(key, value)| (*key, value.as_str())));
    Ok(())
}

/// What the sandbox of a platform leaves beside its state.
#[derive(Debug, Deserialize)]
struct ClientCredentials {
    client_id: String,
    client_secret_file: PathBuf,
}

/// With the path of the secret.
fn client_credentials(name: &str, data: &Path) -> Result<(ClientCredentials, PathBuf)> {
    let path = platform_folder(name, data).join(format!("{name}-credentials.json"));
    let credentials: ClientCredentials = read_json(&path)?;
    let secret = beside(&path, &credentials.client_secret_file);
    Ok((credentials, secret))
}

fn platforms(text: &mut String, folder: &Path, endpoints: &Endpoints, data: &Path) -> Result<()> {
    let policy = folder.join("provisioning.yaml");
    if !policy.exists() {
        write_atomically(&policy, ACCESS.as_bytes())?;
    }
    let policy = quote(&policy.display().to_string());
    for (name, more) in [(PRODUCT, ("policy", policy.as_str())), (IDENTITY, ("enabled", "true"))] {
        let (credentials, secret) = client_credentials(name, data)?;
        let url = endpoints.sandboxes.get(name).map(String::as_str).unwrap_or_default();
        let base = if name == IDENTITY { format!("{url}/scim/v2") } else { url.to_owned() };
        let settings = [
            ("base_url", quote(&base)),
            ("client_id", quote(&credentials.client_id)),
            ("client_secret_file", quote(&secret.display().to_string())),
        ];
        let mut settings: Vec<_> = settings.iter().map(|(key, value)| (*key, value.as_str())).collect();
        settings.push(more);
        section(text, name, &settings);
    }
    Ok(())
}

fn read_json<T: for<'a> Deserialize<'a>>(path: &Path) -> Result<T> {
    let bytes = std::fs::read(path).map_err(Error::file("read", path))?;
    serde_json::from_slice(&bytes)
        .map_err(|error| Error::Damaged { path: path.display().to_string(), reason: error.to_string() })
}

/// A path in a sandbox's file is meant from where the sandbox was started; it lies beside that file.
fn beside(file: &Path, named: &Path) -> PathBuf {
    file.with_file_name(named.file_name().unwrap_or_default())
}

fn section(text: &mut String, name: &str, settings: &[(&str, &str)]) {
    // Writing into a string does not fail.
    let _ = writeln!(text, "\n[{name}]");
    for (key, value) in settings {
        let _ = writeln!(text, "{key} = {value}");
    }
}

/// A TOML basic string. JSON's escapes are a part of TOML's.
fn quote(text: &str) -> String {
    serde_json::to_string(text).expect("a string becomes JSON")
}
