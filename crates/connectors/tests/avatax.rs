//! The AvaTax connector against its stand-in: what is due, and a document that counts once.

mod stand_in;

use connectors::{
    CommitTax as _, CustomerTaxId, DetermineTax as _, Exemption, FindTax as _, IsoCurrency, TaxAddress, TaxBuyer,
    TaxCustomer, TaxDocument, TaxQuestion, TaxedLine, VoidTax as _,
    avatax::{AvaTax, Company, Options},
};
use failure::Class;
use jiff::civil::date;
use rust_decimal::Decimal;
use sandbox::avatax as vendor;
use serde_json::json;
use stand_in::{StandIn, cause, failed};
use std::{collections::BTreeMap, time::Duration};

const CREATE: &str = "POST /api/v2/transactions/create";

struct Tax {
    at: StandIn,
    engine: AvaTax,
}

impl Tax {
    async fn start() -> Self {
        let at = StandIn::new(vendor::start(vendor::Config::default()).await.expect("a stand-in on a free port"));
        let ship_from = TaxAddress { country: "GB".into(), ..TaxAddress::default() };
        let company = Company { code: "THROUGHLINE-UK".into(), ship_from };
        let engine = AvaTax::try_new(Options {
            access: at.access(),
            account_id: at.sandbox.credentials().client_id.clone(),
            companies: BTreeMap::from([("LE-UK".to_owned(), company)]),
        });
        Self { at, engine: engine.expect("good options") }
    }

    async fn determined(&self) -> TaxQuestion {
        let question = question();
        self.engine.determine_tax(&cause("e-tax"), "k", &question).await.expect("an answer");
        question
    }
}

fn at(country: &str, region: Option<&str>, city: Option<&str>) -> TaxAddress {
    let text = |text: &str| text.to_owned();
    TaxAddress { country: country.into(), region: region.map(text), city: city.map(text), ..TaxAddress::default() }
}

fn of(ship_to: TaxAddress, vat: &[&str], exemption: Exemption) -> TaxBuyer {
    let id = |value: &&str| CustomerTaxId { scheme: "eu_vat".into(), value: (*value).into() };
    TaxBuyer::Told(TaxCustomer { ship_to, tax_ids: vat.iter().map(id).collect(), exemption })
}

fn question() -> TaxQuestion {
    let line = |id: &str, amount_minor| TaxedLine {
        line_id: id.into(),
        product_id: "SUB-PLATFORM".into(),
        tax_code: None,
        quantity: Decimal::ONE,
        amount_minor,
    };
    TaxQuestion {
        document: TaxDocument { document_id: "ORD-1/LE-UK".into(), revision: 1, legal_entity_id: "LE-UK".into() },
        account_id: "A-1".into(),
        currency: IsoCurrency { code: "GBP".into(), exponent: 2 },
        date: date(2026, 3, 1),
        buyer: of(at("GB", None, Some("Leeds")), &[], Exemption::None),
        lines: vec![line("L-1", 10_001), line("L-2", 333)],
    }
}

#[tokio::test]
async fn each_place_has_its_tax_and_the_lines_add_up() {
    let tax = Tax::start().await;
    let mut number = 0;
    let mut due = async |question: TaxQuestion| {
        number += 1;
        let document = TaxDocument { document_id: format!("D-{number}"), ..question.document };
        let question = TaxQuestion { document, ..question };
        let answer = tax.engine.determine_tax(&cause("e-tax"), "k", &question).await.expect("an answer");
        assert_eq!(answer.total_tax_minor, answer.lines.iter().map(|line| line.tax_minor).sum::<i64>());
        for line in &answer.lines {
            assert_eq!(line.tax_minor, line.parts.iter().map(|part| part.tax_minor).sum::<i64>());
        }
        let part = answer.lines[0].parts[0].clone();
        (answer.total_tax_minor, part.jurisdiction, part.rate_percent.to_string())
    };
    let expect = |minor: i64, place: &str, rate: &str| (minor, place.to_owned(), rate.to_owned());
    assert_eq!(due(question()).await, expect(2_000 + 67, "GB", "20"));
    let sold_to = |buyer| TaxQuestion { buyer, ..question() };
    let (germany, california) = (at("DE", None, None), at("US", Some("CA"), Some("San Jose")));
    assert_eq!(due(sold_to(of(germany.clone(), &[], Exemption::None))).await, expect(1_900 + 63, "DE", "19"));
    let abroad = of(germany, &["DE123456789"], Exemption::ReverseCharge);
    assert_eq!(due(sold_to(abroad)).await, expect(0, "DE", "0"));
    let domestic = of(california.clone(), &[], Exemption::None);
    assert_eq!(due(sold_to(domestic)).await, expect(725 + 24, "US-CA", "7.25"));
    assert_eq!(due(sold_to(of(california, &[], Exemption::Exempt))).await, expect(0, "US-CA", "0"));
}

#[tokio::test]
async fn what_the_engine_cannot_place_has_an_owner() {
    let tax = Tax::start().await;
    let ended = async |question: TaxQuestion| failed(tax.engine.determine_tax(&cause("e"), "k", &question).await);
    let business = |code: &str| (Class::Business, code.to_owned());
    let to = |address| TaxQuestion { buyer: of(address, &[], Exemption::None), ..question() };
    assert_eq!(ended(to(at("BR", None, None))).await, business("TAX_NEXUS_UNKNOWN"));
    assert_eq!(ended(to(at("US", Some("NV"), Some("Reno")))).await, business("TAX_NEXUS_UNKNOWN"));
    assert_eq!(ended(to(at("US", Some("CA"), None))).await, business("TAX_ADDRESS_INVALID"));
    assert_eq!(ended(to(at("Britain", None, None))).await, business("TAX_ADDRESS_INVALID"));
    let document = TaxDocument { legal_entity_id: "LE-MARS".into(), ..question().document };
    assert_eq!(ended(TaxQuestion { document, ..question() }).await, business("TAX_NEXUS_UNKNOWN"));
    assert!(tax.at.effects("transaction").await.is_empty());
}

#[tokio::test]
async fn a_document_is_determined_committed_and_voided_once_whatever_gets_lost() {
    let tax = Tax::start().await;
    let question = question();
    let lose =
        |path: &str| tax.at.fault(json!({ "method": "POST", "path": path, "drop_after_commit": true, "times": 1 }));
    lose("/api/v2/transactions/create");
    assert_eq!(failed(tax.engine.determine_tax(&cause("e-1"), "k", &question).await).0, Class::Unknown);
    let found = tax.engine.find_determined(&cause("e-1"), &question).await.expect("an answer").expect("it was made");
    let again = tax.engine.determine_tax(&cause("e-1"), "k", &question).await.expect("the same");
    assert_eq!(again, found);

    lose("*/commit");
    let document = &question.document;
    assert_eq!(tax.engine.find_committed(&cause("e-2"), document).await, Ok(None));
    assert_eq!(failed(tax.engine.commit_tax(&cause("e-2"), "k", document).await).0, Class::Unknown);
    assert_eq!(tax.engine.find_committed(&cause("e-2"), document).await, Ok(Some(found.id.clone())));
    assert_eq!(tax.engine.commit_tax(&cause("e-2"), "k", document).await, Ok(found.id.clone()));

    lose("*/void");
    assert_eq!(failed(tax.engine.void_tax(&cause("e-3"), "k", document).await).0, Class::Unknown);
    assert_eq!(tax.engine.find_voided(&cause("e-3"), document).await, Ok(Some(found.id.clone())));
    assert_eq!(tax.engine.void_tax(&cause("e-3"), "k", document).await, Ok(Some(found.id.clone())));

    let events: Vec<(String, String)> =
        tax.at.effects("transaction").await.into_iter().map(|(operation, _, event)| (operation, event)).collect();
    let expected = [("create", "e-1"), ("update", "e-2"), ("update", "e-3")];
    assert_eq!(events, expected.map(|(operation, event)| (operation.to_owned(), event.to_owned())));
}

#[tokio::test]
async fn a_later_revision_replaces_an_open_document_and_leaves_a_closed_one_alone() {
    let tax = Tax::start().await;
    let first = tax.determined().await;
    let document = |revision| TaxDocument { revision, ..first.document.clone() };
    let mut later = TaxQuestion { document: document(2), ..first.clone() };
    later.lines.truncate(1);
    let answer = tax.engine.determine_tax(&cause("e-2"), "k", &later).await.expect("replaced");
    assert_eq!((answer.revision, answer.lines.len()), (2, 1));
    tax.engine.commit_tax(&cause("e-3"), "k", &later.document).await.expect("committed");
    let third = TaxQuestion { document: document(3), ..first.clone() };
    let closed = tax.engine.determine_tax(&cause("e-4"), "k", &third).await;
    assert_eq!(failed(closed), (Class::Business, "TAX_DOCUMENT_CLOSED".into()));
    tax.engine.void_tax(&cause("e-5"), "k", &later.document).await.expect("void");
    let void = tax.engine.commit_tax(&cause("e-6"), "k", &later.document).await;
    assert_eq!(failed(void), (Class::Business, "TAX_DOCUMENT_CLOSED".into()));
}

/// Whoever asks again later need not have kept the customer's address: the engine has it.
#[tokio::test]
async fn a_later_document_is_taxed_for_the_buyer_of_a_former_one() {
    let tax = Tax::start().await;
    let document = |id: &str| TaxDocument { document_id: id.into(), ..question().document };
    let of_place = [
        ("D-GB", of(at("GB", None, Some("Leeds")), &[], Exemption::None)),
        ("D-CA", of(at("US", Some("CA"), Some("San Jose")), &[], Exemption::None)),
        ("D-RC", of(at("DE", None, None), &["DE123456789"], Exemption::ReverseCharge)),
        ("D-EX", of(at("US", Some("CA"), Some("San Jose")), &[], Exemption::Exempt)),
    ];
    for (id, buyer) in of_place {
        let first = TaxQuestion { document: document(id), buyer, ..question() };
        let first = tax.engine.determine_tax(&cause("e-1"), "k", &first).await.expect("an answer");
        tax.engine.commit_tax(&cause("e-2"), "k", &document(id)).await.expect("committed");
        let buyer = TaxBuyer::AsIn(document(id));
        let again = TaxQuestion { document: document(&format!("{id}/R-1")), buyer, ..question() };
        let found = tax.engine.determine_tax(&cause("e-3"), "k", &again).await.expect("an answer");
        assert_eq!((&found.lines, found.total_tax_minor), (&first.lines, first.total_tax_minor), "{id}");
        assert_eq!(tax.engine.find_determined(&cause("e-3"), &again).await, Ok(Some(found)));
    }
    let nobody = TaxQuestion { document: document("D-X"), buyer: TaxBuyer::AsIn(document("D-GONE")), ..question() };
    let refused = tax.engine.determine_tax(&cause("e-4"), "k", &nobody).await;
    assert_eq!(failed(refused), (Class::Business, "REFUSED_BY_TAX".into()));
}

#[tokio::test]
async fn what_was_never_determined_is_neither_committed_nor_voided() {
    let tax = Tax::start().await;
    let document = question().document;
    assert_eq!(tax.engine.void_tax(&cause("e"), "k", &document).await, Ok(None));
    let commit = tax.engine.commit_tax(&cause("e"), "k", &document).await;
    assert_eq!(failed(commit), (Class::Business, "REFUSED_BY_TAX".into()));
}

#[tokio::test]
async fn outages_wait_and_half_answers_are_looked_up() {
    let tax = Tax::start().await;
    let question = question();
    let create = |rule: serde_json::Value| {
        let mut rule = rule;
        rule["method"] = "POST".into();
        rule["path"] = "/api/v2/transactions/create".into();
        rule["times"] = 1.into();
        tax.at.fault(rule);
    };
    let ended = async || failed(tax.engine.determine_tax(&cause("e"), "k", &question).await);
    create(json!({ "status": 503 }));
    assert_eq!(ended().await, (Class::Dependency, "TAX_UNAVAILABLE".into()));
    create(json!({ "status": 429 }));
    assert_eq!(ended().await, (Class::Dependency, "RATE_LIMITED".into()));
    create(json!({ "drop_before": true }));
    assert_eq!(ended().await.0, Class::Unknown);
    assert_eq!(tax.engine.find_determined(&cause("e"), &question).await, Ok(None));
    create(json!({ "status": 500, "after_commit": true }));
    assert_eq!(ended().await.0, Class::Unknown);
    assert!(tax.engine.find_determined(&cause("e"), &question).await.expect("an answer").is_some());
    assert_eq!(tax.at.effects("transaction").await.len(), 1);

    let other = TaxDocument { document_id: "D-2".into(), ..question.document.clone() };
    let question = TaxQuestion { document: other, ..question.clone() };
    create(json!({ "broken_json": true }));
    assert_eq!(failed(tax.engine.determine_tax(&cause("e-2"), "k", &question).await).0, Class::Unknown);
    assert!(tax.engine.find_determined(&cause("e-2"), &question).await.expect("an answer").is_some());
    assert_eq!(tax.at.requests(CREATE).await, 5);
}

#[tokio::test]
async fn a_document_that_reads_do_not_show_yet_is_replaced_by_the_same() {
    let tax = Tax::start().await;
    tax.at.fault(json!({ "method": "POST", "visibility_ms": 60_000, "times": 1 }));
    let question = tax.determined().await;
    assert_eq!(tax.engine.find_determined(&cause("e-tax"), &question).await, Ok(None));
    let again = tax.engine.determine_tax(&cause("e-tax"), "k", &question).await.expect("the same document");
    tax.at.advance(Duration::from_secs(61)).await;
    let found = tax.engine.find_determined(&cause("e-tax"), &question).await.expect("an answer");
    assert_eq!(found, Some(again));
    assert_eq!(tax.at.records("transaction").await.len(), 1);
}

#[tokio::test]
async fn a_licence_key_is_rotated_by_replacing_its_file() {
    let tax = Tax::start().await;
    let file = tax.at.key_file();
    let good = std::fs::read_to_string(&file).expect("a key");
    std::fs::write(&file, "old").expect("written");
    let refused = tax.engine.find_committed(&cause("e"), &question().document).await;
    assert_eq!(failed(refused), (Class::Dependency, "AUTH_FAILED".into()));
    std::fs::write(&file, good).expect("written");
    tax.determined().await;
}
