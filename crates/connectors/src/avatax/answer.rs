//! What AvaTax answers, and what its errors mean. An error in its own words below 500 means that nothing was changed.

use super::{
    SYSTEM,
    body::{self, Buyer},
};
use crate::{
    Error, IsoCurrency, LineTax, TaxAddress, TaxAnswer, TaxDocument, TaxPart, TaxQuestion, error::queue, http::Answer,
    text::shown,
};
use rust_decimal::{Decimal, RoundingStrategy};
use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::Number;

/// What became of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(super) enum Status {
    Temporary,
    Saved,
    Posted,
    Committed,
    Cancelled,
    /// Adjusted, queued, waiting for an approval, or a word that did not exist when this was written.
    #[serde(other)]
    Other,
}

impl Status {
    /// Whether it may be determined again.
    pub(super) const fn is_open(self) -> bool {
        matches!(self, Self::Temporary | Self::Saved | Self::Posted)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Transaction {
    id: i64,
    pub(super) status: Status,
    #[serde(default)]
    reference_code: Option<String>,
    #[serde(default)]
    lines: Vec<Line>,
    /// Those that its lines name, where they are asked for.
    #[serde(default)]
    addresses: Vec<Address>,
    #[serde(default)]
    destination_address_id: Option<i64>,
    #[serde(default)]
    business_identification_no: Option<String>,
    #[serde(default)]
    entity_use_code: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Address {
    id: i64,
    #[serde(default)]
    line1: Option<String>,
    #[serde(default)]
    city: Option<String>,
    #[serde(default)]
    region: Option<String>,
    #[serde(default)]
    postal_code: Option<String>,
    #[serde(default)]
    country: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    line_number: String,
    #[serde(deserialize_with = "decimal")]
    taxable_amount: Decimal,
    #[serde(deserialize_with = "decimal")]
    tax: Decimal,
    #[serde(default)]
    details: Vec<Detail>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Detail {
    country: String,
    #[serde(default)]
    region: Option<String>,
    #[serde(default)]
    tax_name: Option<String>,
    /// 0.2 means 20 %.
    #[serde(deserialize_with = "decimal")]
    rate: Decimal,
    #[serde(deserialize_with = "decimal")]
    taxable_amount: Decimal,
    #[serde(deserialize_with = "decimal")]
    tax: Decimal,
}

/// The digits as they came.
fn decimal<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Decimal, D::Error> {
    let text = Number::deserialize(deserializer)?.to_string();
    text.parse().or_else(|_| Decimal::from_scientific(&text)).map_err(serde::de::Error::custom)
}

fn minor(currency: &IsoCurrency, amount: Decimal) -> i64 {
    let factor = Decimal::from(10_u64.pow(currency.exponent.min(9)));
    let whole = amount.saturating_mul(factor).round_dp_with_strategy(0, RoundingStrategy::MidpointAwayFromZero);
    i64::try_from(whole).unwrap_or(i64::MAX)
}

impl Transaction {
    pub(super) fn id(&self) -> String {
        self.id.to_string()
    }

    /// Whether it has this revision, or a later one.
    pub(super) fn has(&self, document: &TaxDocument) -> bool {
        let revision = self.reference_code.as_deref().and_then(|text| text.parse::<u64>().ok());
        revision.is_some_and(|revision| revision >= document.revision)
    }

    pub(super) fn answer(&self, question: &TaxQuestion) -> Result<TaxAnswer, Error> {
        let mut lines = Vec::with_capacity(question.lines.len());
        for (at, asked) in question.lines.iter().enumerate() {
            let number = (at + 1).to_string();
            let found = self.lines.iter().find(|line| line.line_number == number);
            let found = found.ok_or_else(|| Error::Unavailable {
                system: SYSTEM,
                reason: format!("the answer has no line {number}"),
                retry_after: None,
            })?;
            lines.push(found.answer(&question.currency, &asked.line_id));
        }
        let total_tax_minor = lines.iter().map(|line| line.tax_minor).sum();
        let document = &question.document;
        let revision = document.revision;
        Ok(TaxAnswer { id: self.id(), document_id: document.document_id.clone(), revision, lines, total_tax_minor })
    }
}

impl Transaction {
    /// Who bought by it; `None` where it does not say where it was delivered.
    pub(super) fn buyer(self) -> Option<Buyer> {
        let to = self.destination_address_id?;
        let place = self.addresses.into_iter().find(|address| address.id == to)?;
        let some = |text: Option<String>| text.filter(|text| !text.is_empty());
        let ship_to = TaxAddress {
            line1: some(place.line1),
            city: some(place.city),
            region: some(place.region),
            postal_code: some(place.postal_code),
            country: place.country,
        };
        Some(Buyer {
            ship_to: body::address(&ship_to),
            registration: some(self.business_identification_no),
            entity_use: some(self.entity_use_code),
        })
    }
}

impl Line {
    fn answer(&self, currency: &IsoCurrency, line_id: &str) -> LineTax {
        let mut parts: Vec<TaxPart> = self.details.iter().map(|detail| detail.part(currency)).collect();
        let tax_minor = minor(currency, self.tax);
        // Parts are rounded one by one; what that leaves of the line's tax belongs to the last.
        let difference = tax_minor - parts.iter().map(|part| part.tax_minor).sum::<i64>();
        if let Some(last) = parts.last_mut() {
            last.tax_minor += difference;
        }
        LineTax { line_id: line_id.to_owned(), taxable_minor: minor(currency, self.taxable_amount), tax_minor, parts }
    }
}

impl Detail {
    fn part(&self, currency: &IsoCurrency) -> TaxPart {
        let region = self.region.as_deref().filter(|region| !region.is_empty() && *region != self.country);
        TaxPart {
            jurisdiction: region.map_or_else(|| self.country.clone(), |region| format!("{}-{region}", self.country)),
            name: self.tax_name.clone().unwrap_or_default(),
            rate_percent: self.rate.saturating_mul(Decimal::ONE_HUNDRED).normalize(),
            taxable_minor: minor(currency, self.taxable_amount),
            tax_minor: minor(currency, self.tax),
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Body {
    error: Problem,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Problem {
    code: String,
    message: String,
    target: Option<String>,
    details: Vec<Said>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Said {
    code: String,
    message: String,
    description: String,
}

fn problem(answer: &Answer) -> Problem {
    let read = || serde_json::from_slice::<Body>(&answer.body).ok();
    if answer.is_whole { read().unwrap_or_default().error } else { Problem::default() }
}

impl Problem {
    fn is_one_of(&self, codes: &[&str]) -> bool {
        codes.contains(&&*self.code) || self.details.iter().any(|said| codes.contains(&&*said.code))
    }

    fn reason(&self, status: u16) -> String {
        let said = self.details.first().map(|said| format!("{} {}", said.message, said.description));
        format!("{status} {}: {}", self.code, shown(&said.unwrap_or_else(|| self.message.clone())))
    }
}

const ADDRESS: &[&str] =
    &["AddressIncomplete", "MissingAddress", "InvalidCountry", "InvalidCountryRegion", "InvalidAddress"];
const NEXUS: &[&str] =
    &["JurisdictionNotFoundError", "CompanyInvalidException", "CompanyNotFoundError", "NoDefaultCompany"];
const CLOSED: &[&str] = &["DocumentCodeConflict", "CannotModifyLockedTransaction", "DocStatusError"];
const RIGHTS: &[&str] = &["AuthorizationException", "AccountExpiredException", "SubscriptionRequired"];
const MALFORMED: &[&str] = &[
    "JsonFormatError",
    "ModelStateInvalid",
    "ModelRequiredException",
    "ValidationException",
    "ValueRequiredError",
    "DateFormatError",
    "InvalidEnumValue",
    "StringLengthError",
];

pub(super) fn is_missing(answer: &Answer) -> bool {
    problem(answer).is_one_of(&["EntityNotFoundError", "TransactionNotFound"])
}

pub(super) fn failure(is_write: bool, answer: &Answer) -> Error {
    let (status, problem) = (answer.status.as_u16(), problem(answer));
    let (system, retry_after, reason) = (SYSTEM, answer.retry_after, problem.reason(status));
    let refused = |code, queue| {
        let field = problem.target.clone().filter(|target| target != "Unknown" && target != "HttpRequest");
        Error::Refused { code, queue, field, reason: reason.clone() }
    };
    match status {
        429 => Error::RateLimited { system, reason, retry_after },
        503 => Error::Unavailable { system, reason, retry_after },
        200..=299 | 408 | 500.. if is_write => Error::OutcomeUnknown { system, reason },
        200..=399 | 408 | 500.. => Error::Unavailable { system, reason, retry_after },
        _ if problem.is_one_of(ADDRESS) => refused("TAX_ADDRESS_INVALID", queue::MASTER_DATA),
        _ if problem.is_one_of(NEXUS) => refused("TAX_NEXUS_UNKNOWN", queue::TAX),
        _ if problem.is_one_of(CLOSED) => refused("TAX_DOCUMENT_CLOSED", queue::TAX),
        403 => Error::Unauthorized { system, reason },
        _ if problem.is_one_of(RIGHTS) => Error::Unauthorized { system, reason },
        _ if problem.code.is_empty() || problem.is_one_of(MALFORMED) => {
            Error::Malformed { system, field: problem.target, reason }
        }
        _ => refused("REFUSED_BY_TAX", queue::TAX),
    }
}

pub(super) fn read<T: DeserializeOwned>(is_write: bool, answer: &Answer) -> Result<T, Error> {
    let read = if answer.is_whole { serde_json::from_slice(&answer.body).ok() } else { None };
    read.ok_or_else(|| failure(is_write, answer))
}

pub(super) fn closed(document: &TaxDocument, status: Status) -> Error {
    Error::Refused {
        code: "TAX_DOCUMENT_CLOSED",
        queue: queue::TAX,
        field: Some("document_id".into()),
        reason: format!("the tax document {} is {status:?} there", document.document_id),
    }
}

pub(super) fn nothing(document: &TaxDocument) -> Error {
    Error::Refused {
        code: "REFUSED_BY_TAX",
        queue: queue::TAX,
        field: Some("document_id".into()),
        reason: format!("there is no tax document {}", document.document_id),
    }
}

pub(super) fn nowhere(document: &TaxDocument) -> Error {
    Error::Refused {
        code: "TAX_ADDRESS_INVALID",
        queue: queue::TAX,
        field: Some("buyer_as_in".into()),
        reason: format!("the tax document {} does not say where it was delivered", document.document_id),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use failure::{Class, Failure};
    use reqwest::StatusCode;

    fn class(is_write: bool, status: u16, code: &str) -> (Class, String) {
        let body = format!(r#"{{"error": {{"code": "{code}", "message": "why", "details": []}}}}"#);
        let answer = Answer {
            status: StatusCode::from_u16(status).expect("a status"),
            location: None,
            retry_after: None,
            headers: Default::default(),
            body: body.into(),
            is_whole: true,
        };
        let failure = Failure::from(failure(is_write, &answer));
        (failure.class, failure.code.to_string())
    }

    #[test]
    fn each_refusal_has_its_owner() {
        let expect = |status, code, class_of: Class, named: &str| {
            assert_eq!(class(true, status, code), (class_of, named.to_owned()), "{status} {code}");
        };
        expect(400, "AddressIncomplete", Class::Business, "TAX_ADDRESS_INVALID");
        expect(400, "JurisdictionNotFoundError", Class::Business, "TAX_NEXUS_UNKNOWN");
        expect(400, "DocumentCodeConflict", Class::Business, "TAX_DOCUMENT_CLOSED");
        expect(400, "GetTaxError", Class::Business, "REFUSED_BY_TAX");
        expect(400, "JsonFormatError", Class::Bug, "REQUEST_INVALID");
        expect(403, "AuthorizationException", Class::Dependency, "AUTH_FAILED");
        expect(429, "", Class::Dependency, "RATE_LIMITED");
        expect(503, "ServerUnreachable", Class::Dependency, "TAX_UNAVAILABLE");
        expect(500, "UnhandledException", Class::Unknown, "OUTCOME_UNKNOWN");
        assert_eq!(class(false, 500, "UnhandledException").0, Class::Dependency, "a question changes nothing");
    }

    #[test]
    fn parts_add_up_to_the_line() {
        let json = r#"{"lineNumber": "1", "taxableAmount": 10.01, "tax": 0.99, "details": [
            {"country": "US", "region": "CA", "taxName": "STATE", "rate": 0.0725, "taxableAmount": 10.01, "tax": 0.725725},
            {"country": "US", "region": "CA", "taxName": "COUNTY", "rate": 0.025, "taxableAmount": 10.01, "tax": 0.25025}]}"#;
        let line: Line = serde_json::from_str(json).expect("a line");
        let tax = line.answer(&IsoCurrency { code: "USD".into(), exponent: 2 }, "L-1");
        assert_eq!((tax.taxable_minor, tax.tax_minor), (1_001, 99));
        assert_eq!(tax.parts.iter().map(|part| part.tax_minor).sum::<i64>(), 99);
        assert_eq!(tax.parts[0].jurisdiction, "US-CA");
        assert_eq!(tax.parts[0].rate_percent.to_string(), "7.25");
    }
}
