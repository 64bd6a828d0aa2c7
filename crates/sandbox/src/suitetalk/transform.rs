//! `!transform`: a new record made from another one, then overlaid with the request's body.

use serde_json::{Value, json};

use crate::books::{
    body::Fields,
    kind::Kind,
    money,
    refusal::{At, Code, Refusal},
    store::{Record, Store},
    write::stored_fields,
};

/// The target type and the body of the record that `id` is transformed into.
///
/// # Errors
/// The pair of types is not one the vendor transforms.
pub fn transform(store: &Store, from: Kind, id: u64, target: &str, overlay: Fields) -> Result<(Kind, Fields), Refusal> {
    let record = store.get(from, id).ok_or_else(|| crate::books::write::nonexistent(from, &id.to_string()))?;
    let target = Kind::parse(target).filter(|target| {
        matches!(
            (from, target),
            (Kind::SalesOrder, Kind::Invoice) | (Kind::Invoice, Kind::CreditMemo | Kind::CustomerPayment)
        )
    });
    let Some(target) = target else {
        let detail = format!("A {} cannot be transformed into that record type.", from.name());
        return Err(Refusal::new(Code::InvalidContent, detail));
    };
    let mut fields = draft(record, from, id, target);
    for (name, value) in overlay {
        fields.insert(name, value);
    }
    Ok((target, fields))
}

/// What the new record takes over.
fn draft(record: &Record, from: Kind, id: u64, target: Kind) -> Fields {
    let mut source = stored_fields(record);
    let mut fields = Fields::new();
    let taken: &[&str] = match target {
        Kind::Invoice => &[
            "entity",
            "subsidiary",
            "currency",
            "terms",
            "otherRefNum",
            "memo",
            "department",
            "class",
            "location",
            "item",
        ],
        Kind::CreditMemo => &["entity", "subsidiary", "currency", "department", "class", "location", "item"],
        _ => &["subsidiary", "currency"],
    };
    for name in taken {
        if let Some(value) = source.remove(*name) {
            fields.insert((*name).to_owned(), value);
        }
    }
    let open = record.head.document.as_ref().map(|document| money::json(record.open(from), document.exponent));
    let apply = json!({ "items": [{ "doc": { "id": id.to_string() }, "apply": true }] });
    match target {
        Kind::CustomerPayment => {
            fields.insert("customer".to_owned(), source.remove("entity").unwrap_or(Value::Null));
            fields.insert("payment".to_owned(), open.unwrap_or(Value::Null));
            fields.insert("apply".to_owned(), apply);
        }
        Kind::CreditMemo => {
            fields.insert("createdFrom".to_owned(), json!({ "id": id.to_string() }));
            fields.insert("apply".to_owned(), apply);
        }
        _ => {
            fields.insert("createdFrom".to_owned(), json!({ "id": id.to_string() }));
        }
    }
    fields
}

/// The refusal of a transform that names no target.
pub fn incomplete(id: &str) -> Refusal {
    let detail = "Name the record type to transform into: …/!transform/invoice.".to_owned();
    Refusal { code: Code::InvalidParameter, detail, at: At::Url(id.to_owned()) }
}
