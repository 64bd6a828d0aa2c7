//! Exported letters brought back, mended or not, through the service's replay topic. A line that is not changed is the letter itself:
//! it is tried where it waits. A line that was mended is a new event with an identity derived from the letter's and its content, so
//! that importing a file twice does nothing twice.

use super::{edit::as_avro, typed};
use crate::{
    app::Session,
    error::{Error, Kind, Result},
    lane::{self, Copy},
    letters::{Body, Decoder, LetterId, mask, record_of},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use events::{Headers, Record};
use kafka::Outgoing;
use ledger::{Ledger, ParkedRecord, ParkedState};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::HashSet;

/// All imports of a service count as one plan: what lies on the topic is not put again.
const PLAN: &str = "import";

#[derive(Deserialize)]
struct Input {
    service: String,
    lines: Vec<String>,
    #[serde(default)]
    dry_run: bool,
    reason: String,
}

/// What an export says of a letter, as far as it is needed here.
#[derive(Deserialize)]
struct Line {
    id: String,
    topic: String,
    #[serde(default)]
    headers: Vec<Header>,
    #[serde(default)]
    raw: Option<Raw>,
    #[serde(default)]
    body: Value,
}

#[derive(Deserialize)]
struct Header {
    k: String,
    v: Option<String>,
    #[serde(default)]
    enc: String,
}

#[derive(Deserialize)]
struct Raw {
    key: Option<String>,
    value: Option<String>,
}

/// What becomes of a line.
enum Fate {
    /// To be put, and what people are told of it.
    Put(&'static str, Box<Copy>),
    /// Nothing is to be done.
    Nothing(String),
}

pub(super) async fn import(session: &Session<'_>, input: Value) -> Result<Value> {
    let Input { service, lines, dry_run, reason } = typed(input)?;
    let ledger = session.ledger(&service).await?;
    let lane = format!("replay.{service}");
    let ends = lane::ends(&session.app.kafka, &lane).await?;
    let importer = Importer { service: &service, lane: &lane, decoder: session.app.decoder(), ledger: &*ledger };
    let (mut told, mut errors, mut copies) = (Vec::new(), Vec::new(), Vec::new());
    for (at, text) in lines.iter().enumerate() {
        match importer.line(text).await {
            Ok(Fate::Put(word, copy)) => {
                told.push(json!({ "line": at, "outcome": word }));
                copies.push(*copy);
            }
            Ok(Fate::Nothing(why)) => told.push(json!({ "line": at, "outcome": "nothing", "note": why })),
            Err(error) if error.kind == Kind::Unavailable => return Err(error),
            Err(error) => errors.push(json!({ "line": at, "error": error.message, "hint": error.hint })),
        }
    }
    if dry_run || !errors.is_empty() {
        return Ok(json!({ "lines": told, "errors": errors, "put": 0, "would_put": copies.len() }));
    }
    let _turn = session.app.copying.lock().await;
    let there = lane::there(&session.app.kafka, &lane, &vec![0; ends.len()], PLAN).await?;
    let there: HashSet<String> = there.into_iter().map(|(of, ..)| of).collect();
    let put = lane::put(&session.app.kafka, copies, PLAN, &there).await?;
    if put > 0 {
        let mut audit = session.audit("letters.import", &lane, &reason);
        let hash: String = Sha256::digest(lines.join("\n")).iter().map(|byte| format!("{byte:02x}")).collect();
        audit.after = Some(json!({ "lines": lines.len(), "put": put, "sha256": hash }).to_string());
        ledger.append_audit(&audit).await?;
    }
    Ok(json!({ "lines": told, "errors": errors, "put": put }))
}

struct Importer<'a> {
    service: &'a str,
    lane: &'a str,
    decoder: Decoder,
    ledger: &'a dyn Ledger,
}

impl Importer<'_> {
    async fn line(&self, text: &str) -> Result<Fate> {
        let line: Line = serde_json::from_str(text).map_err(|error| {
            Error::invalid(format!("no line of an export: {error}"))
                .hint("one JSON object a line, as dlq export writes it")
        })?;
        let id: LetterId = line.id.parse()?;
        if id.service != self.service {
            return Err(Error::invalid(format!("{id} is a letter of {}, not of {}", id.service, self.service)));
        }
        match self.ledger.parked_record(&id.row()).await? {
            Some(row) => self.known(line, &id, row).await,
            None => self.unknown(line, &id).await,
        }
    }

    /// A letter that the ledger has: what was masked in the line keeps its value.
    async fn known(&self, line: Line, id: &LetterId, row: ParkedRecord) -> Result<Fate> {
        if row.topic != line.topic {
            return Err(Error::invalid(format!("{id} came from {}, not from {}", row.topic, line.topic)));
        }
        let before = self.decoder.parked(&row).await;
        let mended = match (&before, line.body) {
            (_, Value::Null) => None,
            (Body::Read(before), body) => {
                let after = unmasked(&body, before, "")?;
                (after != *before).then_some(after)
            }
            (Body::Unreadable(_), body) => Some(unmasked(&body, &Value::Null, "")?),
        };
        let key = row.key.clone();
        match mended {
            None if row.fate.state.is_alive() => {
                let of = format!("{id}@{}", row.fate.version);
                Ok(self.put("tried_where_it_waits", of, &row.topic.clone(), record_of(&row)))
            }
            None => Ok(Fate::Nothing(format!("it has ended: {}", row.fate.state.as_str()))),
            Some(_) if row.fate.state.is_alive() => Err(Error::new(
                Kind::Policy,
                "STILL_OPEN",
                format!("{id} is still open, and the line changes its event"),
            )
            .hint("throughline dlq edit; or discard it first, then import")),
            Some(_) if !matches!(row.fate.state, ParkedState::Discarded | ParkedState::Moved) => {
                let message =
                    format!("{id} took its end as `{}`: it cannot be mended any more", row.fate.state.as_str());
                Err(Error::new(Kind::Policy, "ENDED", message).hint("publish a correction"))
            }
            Some(after) => self.mended(id, record_of(&row), key, &after).await,
        }
    }

    /// A letter of a ledger that was pruned, or of another cluster: the line must hold all of it.
    async fn unknown(&self, line: Line, id: &LetterId) -> Result<Fate> {
        let lacks = || {
            Error::invalid(format!("there is no letter {id}, and the line does not hold its bytes"))
                .hint("export with --unmask where the letter is")
        };
        let raw = line.raw.ok_or_else(lacks)?;
        let (key, value) = (part(raw.key.as_deref())?, part(raw.value.as_deref())?);
        if events::topics::find(&line.topic).is_none() {
            return Err(Error::invalid(format!("`{}` is no topic of ours", line.topic)));
        }
        let headers = headers(&line.headers)?;
        let record = Record {
            topic: line.topic.as_str().into(),
            partition: 0,
            offset: 0,
            timestamp_ms: 0,
            key: key.clone(),
            value,
            headers,
        };
        match (self.decoder.body(&record).await, line.body) {
            (Body::Read(before), body) if body.is_null() || body == before => {
                Ok(self.put("new_event", format!("{id}#{}", digest(record.value.as_deref())), &line.topic, record))
            }
            (Body::Unreadable(failure), Value::Null) => {
                Err(Error::invalid(format!("nobody can read its bytes: {failure}")).hint("give it a `body`"))
            }
            (before, body) => {
                let before = if let Body::Read(before) = before { before } else { Value::Null };
                let after = unmasked(&body, &before, "")?;
                self.mended(id, record, key, &after).await
            }
        }
    }

    /// A new event with an identity of its own, the same each time.
    async fn mended(&self, id: &LetterId, record: Record, key: Option<Bytes>, after: &Value) -> Result<Fate> {
        let key = key.map(|key| String::from_utf8_lossy(&key).into_owned()).unwrap_or_default();
        let value = self.decoder.encode(&record.topic, after, &key).await?;
        let digest = digest(Some(&value));
        let Some(event) = record.headers.text("ce_id").map(str::to_owned) else {
            return Err(Error::invalid(format!(
                "{id} has no header `ce_id`: a mended event cannot be told from others"
            ))
            .hint("throughline dlq edit keeps it where it is"));
        };
        let mut headers = as_avro(&record.headers);
        headers.0.retain(|(name, _)| name.as_ref() != "ce_id");
        headers.push("ce_id", format!("{event}#import-{digest}"));
        let topic = record.topic.to_string();
        let record = Record { value: Some(value.into()), headers, ..record };
        Ok(self.put("new_event", format!("{id}#{digest}"), &topic, record))
    }

    fn put(&self, word: &'static str, of: String, topic: &str, record: Record) -> Fate {
        let mut headers = record.headers;
        if headers.text("dlq.original.topic").is_none() {
            headers.push("dlq.original.topic", topic.to_owned());
        }
        let (key, value) = (record.key, record.value);
        let record = Outgoing { topic: self.lane.into(), partition: None, key, value, headers, timestamp_ms: None };
        Fate::Put(word, Box::new(Copy { of, record }))
    }
}

/// The body with the letter's own values where the export hid them.
fn unmasked(body: &Value, before: &Value, path: &str) -> Result<Value> {
    let under = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    match (body, before) {
        (Value::String(text), _) if text.starts_with(mask::MARK) => match before {
            Value::Null => Err(Error::invalid(format!("`{path}` is masked, and the letter has no value for it"))
                .hint("write the value, or export with --unmask")),
            value => Ok(value.clone()),
        },
        (Value::Object(fields), _) => {
            let field = |(name, value): (&String, &Value)| {
                Ok((name.clone(), unmasked(value, &before[name.as_str()], &under(name))?))
            };
            Ok(Value::Object(fields.iter().map(field).collect::<Result<_>>()?))
        }
        (Value::Array(items), _) => {
            let item = |(at, value): (usize, &Value)| unmasked(value, &before[at], &format!("{path}[{at}]"));
            Ok(Value::Array(items.iter().enumerate().map(item).collect::<Result<_>>()?))
        }
        (other, _) => Ok(other.clone()),
    }
}

fn part(text: Option<&str>) -> Result<Option<Bytes>> {
    let wrong = |_| Error::invalid("`raw` is no base64");
    text.map(|text| BASE64_STANDARD.decode(text).map(Bytes::from).map_err(wrong)).transpose()
}

fn headers(given: &[Header]) -> Result<Headers> {
    let mut headers = Headers::default();
    for Header { k, v, enc } in given {
        let value = match (v, enc.as_str()) {
            (Some(text), "base64") => {
                let wrong = |_| Error::invalid(format!("header `{k}` is no base64"));
                Some(Bytes::from(BASE64_STANDARD.decode(text).map_err(wrong)?))
            }
            (text, _) => text.as_ref().map(|text| Bytes::copy_from_slice(text.as_bytes())),
        };
        headers.0.push((k.clone().into(), value));
    }
    Ok(headers)
}

/// Names a value: twelve hex digits.
fn digest(value: Option<&[u8]>) -> String {
    let hash = Sha256::digest(value.unwrap_or_default());
    hash.iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_export_hid_keeps_the_letters_value_and_what_was_mended_does_not() {
        let before = json!({ "buyer": { "name": "Ada", "email": null }, "lines": [{ "sku": "A" }], "amount": 1 });
        let line =
            json!({ "buyer": { "name": "‹masked: name›", "email": null }, "lines": [{ "sku": "B" }], "amount": 1 });
        let expected = json!({ "buyer": { "name": "Ada", "email": null }, "lines": [{ "sku": "B" }], "amount": 1 });
        assert_eq!(unmasked(&line, &before, ""), Ok(expected));
        let lost = json!({ "buyer": { "name": "x", "email": "‹masked: email›" } });
        assert!(unmasked(&lost, &before, "").unwrap_err().message.contains("`buyer.email` is masked"));
    }
}
