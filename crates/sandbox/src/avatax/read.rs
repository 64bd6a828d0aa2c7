//! Reading a transaction, and what is due on it.

use jiff::civil::Date;
use rust_decimal::{Decimal, RoundingStrategy};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    rates::{self, Rate},
    refusal::wrong,
};
use crate::call::Reply;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Sent {
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(default)]
    pub commit: bool,
    pub code: Option<String>,
    pub company_code: Option<String>,
    pub customer_code: Option<String>,
    pub date: String,
    #[serde(default)]
    currency_code: Option<String>,
    #[serde(default)]
    pub reference_code: Option<String>,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    business_identification_no: Option<String>,
    #[serde(default)]
    entity_use_code: Option<String>,
    #[serde(default)]
    addresses: Addresses,
    #[serde(default)]
    lines: Vec<Line>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Addresses {
    ship_from: Option<Address>,
    ship_to: Option<Address>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct Address {
    line1: Option<String>,
    city: Option<String>,
    region: Option<String>,
    postal_code: Option<String>,
    country: Option<String>,
}

impl Address {
    /// As a transaction keeps it; here ids count within the transaction.
    fn kept(&self, id: i64) -> Value {
        json!({
            "id": id, "line1": self.line1, "city": self.city, "region": self.region, "postalCode": self.postal_code,
            "country": self.country,
        })
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Line {
    number: Option<String>,
    quantity: Option<serde_json::Number>,
    amount: serde_json::Number,
    #[serde(default)]
    tax_code: Option<String>,
    #[serde(default)]
    item_code: Option<String>,
    #[serde(default)]
    ref1: Option<String>,
}

fn needed<'a>(value: Option<&'a String>, target: &str) -> Result<&'a str, Reply> {
    let value = value.map(String::as_str).filter(|value| !value.is_empty());
    value.ok_or_else(|| wrong("ValueRequiredError", target, &format!("Field {target} is required.")))
}

pub fn sent(bytes: &[u8]) -> Result<Sent, Reply> {
    serde_json::from_slice(bytes).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => wrong("ModelStateInvalid", "HttpRequest", &error.to_string()),
        serde_json::error::Category::Io | serde_json::error::Category::Syntax | serde_json::error::Category::Eof => {
            wrong("JsonFormatError", "HttpRequest", &error.to_string())
        }
    })
}

fn country(address: Option<&Address>, target: &str) -> Result<String, Reply> {
    let missing = || wrong("MissingAddress", target, "A shipFrom and a shipTo address are needed.");
    let country = address.ok_or_else(missing)?.country.as_deref().unwrap_or_default();
    if country.len() == 2 && country.chars().all(|c| c.is_ascii_uppercase()) {
        return Ok(country.to_owned());
    }
    Err(wrong("InvalidCountry", target, &format!("{country} is no code of a country.")))
}

impl Sent {
    /// The transaction as it is kept, without what the service adds.
    pub fn taxed(&self) -> Result<Value, Reply> {
        if !["SalesInvoice", "SalesOrder"].contains(&&*self.kind) {
            return Err(wrong("InvalidEnumValue", "type", "The type must be SalesInvoice or SalesOrder here."));
        }
        needed(self.company_code.as_ref(), "companyCode")?;
        needed(self.customer_code.as_ref(), "customerCode")?;
        let code = needed(self.code.as_ref(), "code")?;
        if code.len() > 50 {
            return Err(wrong("StringLengthError", "code", "A code has at most 50 characters."));
        }
        let day: Date =
            self.date.parse().map_err(|_| wrong("DateFormatError", "date", "The date must be YYYY-MM-DD."))?;
        let (from, to) = (&self.addresses.ship_from, &self.addresses.ship_to);
        let (seller, buyer) =
            (country(from.as_ref(), "addresses.shipFrom")?, country(to.as_ref(), "addresses.shipTo")?);
        if self.lines.is_empty() {
            return Err(wrong("MissingLine", "lines", "A transaction has at least one line."));
        }
        let place = to.as_ref().ok_or_else(|| wrong("MissingAddress", "addresses.shipTo", "needed"))?;
        let rate = self.rate(place, (&seller, &buyer), day)?;
        let region = place.region.clone().unwrap_or_else(|| buyer.clone());
        let lines: Vec<Value> = self
            .lines
            .iter()
            .enumerate()
            .map(|(at, line)| self.line(at, line, (&buyer, &region), &rate))
            .collect::<Result<_, _>>()?;
        let sum = |field: &str| -> Decimal { lines.iter().map(|line| decimal(&line[field])).sum() };
        Ok(json!({
            "code": code, "companyCode": self.company_code, "customerCode": self.customer_code, "date": day,
            "type": self.kind, "currencyCode": self.currency_code.as_deref().unwrap_or("USD"),
            "referenceCode": self.reference_code, "description": self.description, "entityUseCode": self.entity_use_code,
            "businessIdentificationNo": self.business_identification_no,
            "addresses": [from.as_ref().map(|from| from.kept(1)), Some(place.kept(2))],
            "originAddressId": 1, "destinationAddressId": 2,
            "totalAmount": exact(sum("lineAmount")), "totalTaxable": exact(sum("taxableAmount")), "totalTax": exact(sum("tax")),
            "lines": lines,
        }))
    }

    /// What is due: nothing for exempt customers, nor for registered ones in another country.
    fn rate(&self, place: &Address, (seller, buyer): (&str, &str), day: Date) -> Result<Rate, Reply> {
        let has_address = place.line1.is_some() || place.city.is_some() || place.postal_code.is_some();
        if buyer == "US" && (place.region.is_none() || !has_address) {
            let detail = "The address needs its state, and a street, city or postal code.";
            return Err(wrong("AddressIncomplete", "addresses.shipTo", detail));
        }
        let region = place.region.as_deref();
        let rate = rates::at(buyer, region, day).ok_or_else(|| {
            let place = region.map_or_else(|| buyer.to_owned(), |region| format!("{buyer}-{region}"));
            wrong("JurisdictionNotFoundError", "addresses.shipTo", &format!("No jurisdiction is known for {place}."))
        })?;
        let is_abroad = seller != buyer && rates::has_vat(buyer) && self.business_identification_no.is_some();
        match (&self.entity_use_code, is_abroad) {
            (Some(_), _) => Ok(Rate { name: "Exempt", rate: Decimal::ZERO }),
            (None, true) => Ok(Rate { name: "Reverse charge", rate: Decimal::ZERO }),
            (None, false) => Ok(rate),
        }
    }

    fn line(&self, at: usize, line: &Line, (country, region): (&str, &str), rate: &Rate) -> Result<Value, Reply> {
        let number = line.number.clone().unwrap_or_else(|| (at + 1).to_string());
        let target = format!("lines[{at}].amount");
        let amount: Decimal =
            line.amount.to_string().parse().map_err(|_| wrong("GetTaxError", &target, "no amount"))?;
        let is_due = !rate.rate.is_zero();
        let taxable = if is_due { amount } else { Decimal::ZERO };
        let tax = taxable
            .saturating_mul(rate.rate)
            .round_dp_with_strategy(self.decimals(), RoundingStrategy::MidpointAwayFromZero);
        Ok(json!({
            "lineNumber": number, "lineAmount": exact(amount), "quantity": line.quantity, "taxCode": line.tax_code,
            "itemCode": line.item_code, "ref1": line.ref1, "taxableAmount": exact(taxable), "tax": exact(tax),
            "exemptAmount": exact(amount - taxable),
            "details": [{
                "country": country, "region": region, "jurisName": region, "taxName": rate.name, "rate": exact(rate.rate),
                "taxableAmount": exact(taxable), "tax": exact(tax), "taxType": if country == "US" { "Sales" } else { "Output" },
            }],
        }))
    }

    /// Digits behind the point that tax is rounded to.
    fn decimals(&self) -> u32 {
        match self.currency_code.as_deref() {
            Some("JPY" | "KRW" | "CLP" | "VND" | "ISK" | "UGX" | "XAF" | "XOF" | "XPF") => 0,
            Some("BHD" | "JOD" | "KWD" | "OMR" | "TND") => 3,
            _ => 2,
        }
    }
}

/// A JSON number with the decimal's digits.
fn exact(decimal: Decimal) -> Value {
    decimal.normalize().to_string().parse().map_or(Value::Null, Value::Number)
}

fn decimal(value: &Value) -> Decimal {
    value.to_string().parse().unwrap_or_default()
}
