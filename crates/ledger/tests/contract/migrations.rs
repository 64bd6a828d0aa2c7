use crate::server::{Server, fresh_schema};
use crate::stage::Stage;
use ledger::{Config, Error, open};
use secrecy::SecretString;

async fn sql(statement: &str) {
    let (client, driver) = tokio_postgres::connect(&Server::get().url(), tokio_postgres::NoTls).await.unwrap();
    let driver = tokio::spawn(driver);
    client.batch_execute(statement).await.unwrap();
    driver.abort();
}

#[tokio::test]
async fn openers_at_once_migrate_postgres_once() {
    let config = fresh_schema();
    let opened = futures::future::try_join_all((0..6).map(|_| open(&config))).await.unwrap();
    for (slice, ledger) in opened.iter().enumerate() {
        ledger.take_over(slice as i32, "me").await.unwrap();
    }
    assert_eq!(opened[0].slices().await.unwrap().len(), 6);
}

#[tokio::test]
async fn openers_at_once_migrate_sqlite_once() {
    let stage = Stage::sqlite();
    let opened = futures::future::try_join_all((0..6).map(|_| open(stage.config()))).await.unwrap();
    for (slice, ledger) in opened.iter().enumerate() {
        ledger.take_over(slice as i32, "me").await.unwrap();
    }
    assert_eq!(opened[0].slices().await.unwrap().len(), 6);
}

#[tokio::test]
async fn an_older_binary_refuses_a_newer_schema() {
    let config = fresh_schema();
    open(&config).await.unwrap();
    sql(&format!("INSERT INTO {}.migration (version) VALUES (99)", config.schema)).await;
    let error = open(&config).await.unwrap_err();
    assert!(matches!(error, Error::NewerSchema { found: 99, .. }), "{error}");

    let stage = Stage::sqlite();
    drop(stage.ledger().await);
    let path = stage.config().url.strip_prefix("sqlite://").unwrap().to_owned();
    rusqlite::Connection::open(path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let error = open(stage.config()).await.unwrap_err();
    assert_eq!(error.to_string(), "the ledger has schema version 99, this binary knows up to 4: deploy a newer binary");
}

#[tokio::test]
async fn a_user_who_may_not_create_tables_opens_a_schema_that_is_up_to_date() {
    let config = fresh_schema();
    drop(open(&config).await.unwrap());
    let schema = &config.schema;
    sql(&format!(
        "CREATE ROLE worker_{schema} LOGIN; GRANT USAGE ON SCHEMA {schema} TO worker_{schema};
         GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO worker_{schema}"
    ))
    .await;
    let url = config.url.replace("postgres@", &format!("worker_{schema}@"));
    let ledger = open(&Config { url, ..config.clone() }).await.unwrap();
    ledger.take_over(0, "me").await.unwrap();
    ledger.commit(&[crate::builders::full(0, 1, 1)]).await.unwrap();
    assert_eq!(ledger.entries(0, 1, 9).await.unwrap().len(), 1);
}

#[tokio::test]
async fn bad_configurations_are_named_and_show_no_password() {
    let server = Server::get().url();
    let with = |url: &str, schema: &str| Config::new(url, schema);
    let cases = [
        (with("mysql://x", "s"), "must start with"),
        (with("postgres://", "s"), "needs a host and a database"),
        (with("postgres://u:hunter2@h/db", "s"), "holds a password"),
        (with("postgres://u@h:notaport/db", "s"), "the ledger's url"),
        (with(&server, "Bad-Name"), "schema `Bad-Name`"),
        (with(&server, "1st"), "schema `1st`"),
        (with("postgres://u@h/db?sslmode=require", "s"), "tls_ca_file"),
        (Config { connections: 0, ..with(&server, "s") }, "connections is 0"),
        (Config { tls_ca_file: Some("/nowhere.pem".into()), ..with(&server, "s") }, "tls_ca_file /nowhere.pem"),
        (with("sqlite://", "s"), "sqlite:///path/file.db"),
        (with("sqlite:///no/such/folder/x.db", "s"), "its folder must exist"),
        (with(&server.replace("postgres@", "nobody_here@"), "s"), "role \"nobody_here\" does not exist"),
        (
            with(&format!("{}nothing_here", server.trim_end_matches("postgres")), "s"),
            "database \"nothing_here\" does not exist",
        ),
    ];
    for (config, words) in cases {
        let error = open(&config).await.unwrap_err();
        assert!(matches!(error, Error::Config(_)), "{error}");
        let text = error.to_string();
        assert!(text.contains(words) && !text.contains("hunter2"), "{text}");
    }
    let secret = Config { password: Some(SecretString::from("hunter2")), ..with(&server, "s") };
    assert!(!format!("{secret:?}").contains("hunter2"));
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let error = open(&Config::new(format!("postgres://postgres@127.0.0.1:{port}/postgres"), "s")).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable(_)), "{error}");
}

#[tokio::test]
async fn a_file_that_is_no_database_is_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    std::fs::write(&path, "not a database, but long enough to look like one ".repeat(100)).unwrap();
    let error = open(&Config::new(format!("sqlite://{}", path.display()), "s")).await.unwrap_err();
    assert!(matches!(error, Error::Corrupt(_)), "{error}");
}
