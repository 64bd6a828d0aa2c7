//! Turns the fields of one record, as a client sends them, into a write, or says what is wrong with them.
//!
//! Numbers are read from their text, so that no digit of an amount is lost on the way.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde_json::value::RawValue;

use super::{
    refusal::Refusal,
    schema::{self, Field, Object, Type},
    store::{Store, Stored, Write},
};

/// A record's members as text.
pub type Sent<'a> = BTreeMap<String, &'a RawValue>;

/// What a write needs besides the record.
#[derive(Clone, Copy, Debug)]
pub struct Manner<'a> {
    pub client: Option<&'a str>,
    pub visible_ms: Option<i64>,
    /// Fields that an administrator made mandatory.
    pub required: &'a [String],
}

/// Reads one record that is to be upserted under `external_id`.
///
/// # Errors
/// What is wrong with it, as the vendor words it.
pub fn read(
    store: &Store,
    object: &'static Object,
    external_id: &str,
    sent: &Sent<'_>,
    manner: Manner<'_>,
) -> Result<Write, Refusal> {
    if external_id.is_empty() || external_id.chars().count() > 255 {
        let message = format!("{}: an external id has from 1 to 255 characters", object.external_id);
        return Err(Refusal::new("STRING_TOO_LONG", message).at(object.external_id));
    }
    let there = match store.find(object, external_id)[..] {
        [] => None,
        [one] => Some(one),
        [..] => {
            let message = format!("{}: more than one record found for external id field", object.external_id);
            return Err(Refusal::new("DUPLICATE_VALUE", message).at(object.external_id));
        }
    };
    let mut account = there.map(|record| record.account.clone());
    let mut fields = BTreeMap::new();
    for (name, value) in sent.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("attributes")) {
        if let Some(field) = object.relation(name) {
            let (id, external_id) = related(store, field, value)?;
            account = Some(external_id);
            fields.insert(field.name.to_owned(), Some(Stored::Text(id)));
            continue;
        }
        let Some(field) = object.field(name) else {
            let message = format!("No such column '{name}' on sobject of type {}", object.name);
            return Err(Refusal::new("INVALID_FIELD", message).at(name));
        };
        fields.insert(field.name.to_owned(), value_of(field, value.get())?);
    }
    if there.is_none() {
        complete(object, &fields, manner.required)?;
    }
    let account = account.unwrap_or_else(|| external_id.to_owned());
    Ok(Write {
        object: object.name.to_owned(),
        external_id: external_id.to_owned(),
        account,
        fields,
        client: manner.client.map(str::to_owned),
        visible_ms: manner.visible_ms,
        is_second: false,
    })
}

/// A new record has all that must be there.
fn complete(object: &Object, fields: &BTreeMap<String, Option<Stored>>, required: &[String]) -> Result<(), Refusal> {
    let has = |name: &str| fields.get(name).is_some_and(Option::is_some);
    let own = object.fields.iter().filter(|field| field.is_required).map(|field| field.name);
    let missing: Vec<&str> = own.chain(required.iter().map(String::as_str)).filter(|name| !has(name)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let message = format!("Required fields are missing: [{}]", missing.join(", "));
    let mut refusal = Refusal::new("REQUIRED_FIELD_MISSING", message);
    refusal.fields = missing.into_iter().map(str::to_owned).collect();
    Err(refusal)
}

/// The account that a relation names by its external id: its id and that external id.
fn related(store: &Store, field: &Field, value: &RawValue) -> Result<(String, String), Refusal> {
    let wrong =
        || Refusal::new("JSON_PARSER_ERROR", format!("{}: an object with an external id is expected", field.name));
    let members: serde_json::Map<String, serde_json::Value> = serde_json::from_str(value.get()).map_err(|_| wrong())?;
    let account = schema::object("Account").ok_or_else(wrong)?;
    let named = members.iter().find(|(name, _)| name.eq_ignore_ascii_case(account.external_id));
    let named = named.and_then(|(_, value)| value.as_str()).ok_or_else(wrong)?;
    match store.find(account, named)[..] {
        [one] => Ok((one.id.clone(), one.external_id.clone())),
        _ => {
            let message = format!(
                "Foreign key external ID: {named} not found for field {} in entity Account",
                account.external_id
            );
            Err(Refusal::new("INVALID_FIELD", message).at(field.name))
        }
    }
}

fn value_of(field: &Field, text: &str) -> Result<Option<Stored>, Refusal> {
    if text == "null" {
        return Ok(None);
    }
    let string = || serde_json::from_str::<String>(text).ok();
    let wrong = || {
        let message = format!("Cannot deserialize instance of {:?} from {text}", field.ty);
        Refusal::new("JSON_PARSER_ERROR", message).at(field.name)
    };
    let stored = match field.ty {
        Type::Text(longest) => {
            let value = string().ok_or_else(wrong)?;
            if value.chars().count() > longest {
                let message = format!("{}: data value too large (max length={longest})", field.name);
                return Err(Refusal::new("STRING_TOO_LONG", message).at(field.name));
            }
            Stored::Text(value)
        }
        Type::Account { .. } => Stored::Text(string().ok_or_else(wrong)?),
        Type::Date => {
            let value = string().filter(|value| value.parse::<jiff::civil::Date>().is_ok());
            Stored::Text(value.ok_or_else(wrong)?)
        }
        Type::DateTime => {
            let value = string().filter(|value| value.parse::<jiff::Timestamp>().is_ok());
            Stored::Text(value.ok_or_else(wrong)?)
        }
        Type::Checkbox => Stored::Checked(text.parse().map_err(|_| wrong())?),
        Type::Number(places) => {
            let value: Decimal = text.parse().map_err(|_| wrong())?;
            if value.normalize().scale() > places {
                return Err(wrong());
            }
            Stored::Number(value.normalize())
        }
        Type::Picklist(values) => {
            let value = string().ok_or_else(wrong)?;
            if !values.contains(&value.as_str()) {
                let message = format!("{}: bad value for restricted picklist field: {value}", field.name);
                return Err(Refusal::new("INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", message).at(field.name));
            }
            Stored::Text(value)
        }
        Type::Currency => {
            let value = string().filter(|value| value.len() == 3 && value.bytes().all(|b| b.is_ascii_uppercase()));
            Stored::Text(value.ok_or_else(wrong)?)
        }
    };
    Ok(Some(stored))
}
