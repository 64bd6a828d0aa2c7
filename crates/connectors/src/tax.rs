//! What a service may ask of a tax engine, in words of the business: what tax is due, and whether a document counts.
//!
//! A determination leaves an open document there under our id: it counts for no return before it is committed, and not any more once it is
//! void. Each question is the whole document, with a revision that rises with each change of it.

use crate::{Cause, Error, IsoCurrency};
use async_trait::async_trait;
use jiff::civil::Date;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A document whose tax is to be determined.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct TaxQuestion {
    pub document: TaxDocument,
    pub account_id: String,
    pub currency: IsoCurrency,
    /// The day whose rates hold.
    pub date: Date,
    pub buyer: TaxBuyer,
    pub lines: Vec<TaxedLine>,
}

/// What of the customer decides about the tax.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TaxBuyer {
    Told(TaxCustomer),
    /// Addresses, registration and exemption as in that document: whoever asks need not keep what is personal.
    AsIn(TaxDocument),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaxCustomer {
    pub ship_to: TaxAddress,
    /// Tax registrations of the customer; they are masked in `Debug`.
    pub tax_ids: Vec<CustomerTaxId>,
    pub exemption: Exemption,
}

/// A question as it is journalled: its buyer either way, in fields that questions have always had or in one of its own.
#[derive(Clone, Serialize, Deserialize)]
struct Written {
    document: TaxDocument,
    account_id: String,
    currency: IsoCurrency,
    date: Date,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ship_to: Option<TaxAddress>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tax_ids: Option<Vec<CustomerTaxId>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    exemption: Option<Exemption>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    buyer_as_in: Option<TaxDocument>,
    lines: Vec<TaxedLine>,
}

impl From<TaxQuestion> for Written {
    fn from(question: TaxQuestion) -> Self {
        let TaxQuestion { document, account_id, currency, date, buyer, lines } = question;
        let (told, buyer_as_in) = match buyer {
            TaxBuyer::Told(told) => (Some(told), None),
            TaxBuyer::AsIn(former) => (None, Some(former)),
        };
        let (ship_to, tax_ids, exemption) = match told {
            Some(told) => (Some(told.ship_to), Some(told.tax_ids), Some(told.exemption)),
            None => (None, None, None),
        };
        Self { document, account_id, currency, date, ship_to, tax_ids, exemption, buyer_as_in, lines }
    }
}

impl TryFrom<Written> for TaxQuestion {
    type Error = &'static str;

    fn try_from(written: Written) -> Result<Self, Self::Error> {
        let Written { document, account_id, currency, date, ship_to, tax_ids, exemption, buyer_as_in, lines } = written;
        let buyer = match (buyer_as_in, ship_to, tax_ids, exemption) {
            (Some(former), ..) => TaxBuyer::AsIn(former),
            (None, Some(ship_to), Some(tax_ids), Some(exemption)) => {
                TaxBuyer::Told(TaxCustomer { ship_to, tax_ids, exemption })
            }
            (None, ..) => return Err("a tax question says neither who buys nor which document does"),
        };
        Ok(Self { document, account_id, currency, date, buyer, lines })
    }
}

/// Which document, in which state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaxDocument {
    /// Our id of it, one for each document whose tax is declared.
    pub document_id: String,
    /// From 1, rising with each change of what is asked.
    pub revision: u64,
    /// Entity of the seller: who declares the tax.
    pub legal_entity_id: String,
}

/// Where it is delivered. Street, city and postal code are masked in `Debug`.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaxAddress {
    pub line1: Option<String>,
    pub city: Option<String>,
    /// State or province.
    pub region: Option<String>,
    pub postal_code: Option<String>,
    /// ISO 3166-1 alpha-2.
    pub country: String,
}

impl fmt::Debug for TaxAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaxAddress").field("country", &self.country).field("region", &"***").finish_non_exhaustive()
    }
}

/// A tax registration of the customer.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustomerTaxId {
    /// Kind of number: `eu_vat`, `gb_vat`, `us_ein`, …
    pub scheme: String,
    pub value: String,
}

impl fmt::Debug for CustomerTaxId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CustomerTaxId").field("scheme", &self.scheme).field("value", &"***").finish()
    }
}

/// Whether and why no tax is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exemption {
    None,
    Exempt,
    /// The customer declares it.
    ReverseCharge,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaxedLine {
    pub line_id: String,
    pub product_id: String,
    /// The engine's code of what is sold; `None`: as the engine has it for the product.
    pub tax_code: Option<String>,
    pub quantity: Decimal,
    /// Without tax.
    pub amount_minor: i64,
}

/// What is due. Kept as text in a receipt: the same answer is read back from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaxAnswer {
    /// The engine's own id of the document.
    pub id: String,
    pub document_id: String,
    pub revision: u64,
    /// In the order of the question.
    pub lines: Vec<LineTax>,
    /// Σ of the lines.
    pub total_tax_minor: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineTax {
    pub line_id: String,
    pub taxable_minor: i64,
    /// Σ of the parts.
    pub tax_minor: i64,
    /// Parts of zero say why nothing is due.
    pub parts: Vec<TaxPart>,
}

/// What one jurisdiction takes of a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaxPart {
    /// Such as `GB` or `US-CA`.
    pub jurisdiction: String,
    /// Name of the tax, as the engine has it.
    pub name: String,
    /// In percent: 20 means 20 %.
    pub rate_percent: Decimal,
    pub taxable_minor: i64,
    pub tax_minor: i64,
}

#[async_trait]
pub trait DetermineTax: Send + Sync {
    /// Leaves an open document with this state. One that is there is replaced as long as it is neither committed nor void.
    async fn determine_tax(&self, cause: &Cause, key: &str, question: &TaxQuestion) -> Result<TaxAnswer, Error>;
}

#[async_trait]
pub trait CommitTax: Send + Sync {
    /// The document counts from now on. Answers the engine's id of it.
    async fn commit_tax(&self, cause: &Cause, key: &str, document: &TaxDocument) -> Result<String, Error>;
}

#[async_trait]
pub trait VoidTax: Send + Sync {
    /// The document does not count any more, whether or not it did. Answers the engine's id of it; `None`: there is no such document.
    async fn void_tax(&self, cause: &Cause, key: &str, document: &TaxDocument) -> Result<Option<String>, Error>;
}

/// Asks whether a change took effect whose answer was lost.
///
/// `Ok(None)` only if the engine answered that it did not; whatever leaves a doubt is an error.
#[async_trait]
pub trait FindTax: Send + Sync {
    /// The answer to this question, if the document has this revision or a later one.
    async fn find_determined(&self, cause: &Cause, question: &TaxQuestion) -> Result<Option<TaxAnswer>, Error>;
    async fn find_committed(&self, cause: &Cause, document: &TaxDocument) -> Result<Option<String>, Error>;
    async fn find_voided(&self, cause: &Cause, document: &TaxDocument) -> Result<Option<String>, Error>;
}

/// A tax engine with all of it.
pub trait TaxEngine: DetermineTax + CommitTax + VoidTax + FindTax + 'static {
    /// Calls at once that the remote account bears right now, over all members.
    fn concurrency(&self) -> usize;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_shows_neither_address_nor_tax_id() {
        let address = TaxAddress { city: Some("Leeds".into()), country: "GB".into(), ..TaxAddress::default() };
        let id = CustomerTaxId { scheme: "gb_vat".into(), value: "GB123456789".into() };
        let shown = format!("{address:?} {id:?}");
        assert!(shown.contains("gb_vat") && !shown.contains("Leeds") && !shown.contains("123456789"), "{shown}");
    }

    #[test]
    fn questions_read_back_either_way_and_those_of_before_do() {
        let document = |id: &str| TaxDocument { document_id: id.into(), revision: 1, legal_entity_id: "UK".into() };
        let of = |buyer| TaxQuestion {
            document: document("D-2"),
            account_id: "A-1".into(),
            currency: IsoCurrency { code: "GBP".into(), exponent: 2 },
            date: jiff::civil::date(2026, 3, 1),
            buyer,
            lines: Vec::new(),
        };
        let ship_to = TaxAddress { country: "GB".into(), ..TaxAddress::default() };
        let told = of(TaxBuyer::Told(TaxCustomer { ship_to, tax_ids: Vec::new(), exemption: Exemption::None }));
        for question in [told.clone(), of(TaxBuyer::AsIn(document("D-1")))] {
            let text = serde_json::to_string(&question).expect("text");
            assert_eq!(serde_json::from_str::<TaxQuestion>(&text).expect("the question"), question);
        }
        let before = r#"{"document":{"document_id":"D-2","revision":1,"legal_entity_id":"UK"},"account_id":"A-1",
            "currency":{"code":"GBP","exponent":2},"date":"2026-03-01","ship_to":{"country":"GB"},"tax_ids":[],
            "exemption":"none","lines":[]}"#;
        assert_eq!(serde_json::from_str::<TaxQuestion>(before).expect("as it was journalled"), told);
        let nobody = before.replace(r#""ship_to":{"country":"GB"},"#, "");
        assert!(serde_json::from_str::<TaxQuestion>(&nobody).is_err());
    }

    #[test]
    fn an_answer_survives_a_receipt() {
        let part = TaxPart {
            jurisdiction: "GB".into(),
            name: "Standard VAT".into(),
            rate_percent: Decimal::new(20, 0),
            taxable_minor: 1_000,
            tax_minor: 200,
        };
        let line = LineTax { line_id: "L-1".into(), taxable_minor: 1_000, tax_minor: 200, parts: vec![part] };
        let answer = TaxAnswer {
            id: "7".into(),
            document_id: "ORD-1".into(),
            revision: 1,
            lines: vec![line],
            total_tax_minor: 200,
        };
        let text = serde_json::to_string(&answer).expect("text");
        assert_eq!(serde_json::from_str::<TaxAnswer>(&text).expect("the answer"), answer);
    }
}
