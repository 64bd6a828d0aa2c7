//! Letters as an Avro object container file (Avro 1.11, "Object Container Files"), which any Avro library reads.

use serde_json::{Value, json};

/// One block, not compressed. What has no field of its own is in `headers` and `body`, as JSON.
pub(super) fn file(letters: &[Value]) -> Vec<u8> {
    let sync: [u8; 16] = *b"throughline.dlq\n";
    let mut file = b"Obj\x01".to_vec();
    long(&mut file, 2);
    for (name, value) in [("avro.schema", schema().to_string()), ("avro.codec", "null".to_owned())] {
        bytes(&mut file, name.as_bytes());
        bytes(&mut file, value.as_bytes());
    }
    long(&mut file, 0);
    file.extend(sync);
    if letters.is_empty() {
        return file;
    }
    let mut block = Vec::new();
    letters.iter().for_each(|letter| row(&mut block, letter));
    long(&mut file, i64::try_from(letters.len()).unwrap_or(i64::MAX));
    bytes(&mut file, &block);
    file.extend(sync);
    file
}

/// Texts that a letter always has, texts that it may have, and numbers.
const TEXTS: [&str; 4] = ["id", "service", "state", "topic"];
const OPTIONAL: [&str; 10] =
    ["class", "code", "reason", "owner", "fingerprint", "key", "event_id", "subject", "parked", "timestamp"];
const NUMBERS: [&str; 4] = ["partition", "offset", "attempts", "version"];

fn schema() -> Value {
    let text = TEXTS.iter().map(|name| json!({ "name": name, "type": "string" }));
    let optional = OPTIONAL.iter().map(|name| json!({ "name": name, "type": ["null", "string"], "default": null }));
    let number = NUMBERS.iter().map(|name| json!({ "name": name, "type": "long" }));
    let rest = [
        json!({ "name": "at_risk", "type": { "type": "map", "values": "long" }, "doc": "minor units by currency" }),
        json!({ "name": "headers", "type": "string", "doc": "JSON: a list of {k, v, enc}" }),
        json!({ "name": "body", "type": ["null", "string"], "default": null, "doc": "JSON; masked unless raw_value is there" }),
        json!({ "name": "raw_key", "type": ["null", "string"], "default": null, "doc": "base64" }),
        json!({ "name": "raw_value", "type": ["null", "string"], "default": null, "doc": "base64" }),
    ];
    let fields: Vec<Value> = text.chain(optional).chain(number).chain(rest).collect();
    json!({ "type": "record", "name": "DeadLetter", "namespace": "throughline", "doc": "A letter of `throughline dlq export`.",
        "fields": fields })
}

fn row(block: &mut Vec<u8>, letter: &Value) {
    TEXTS.iter().for_each(|name| bytes(block, letter[*name].as_str().unwrap_or_default().as_bytes()));
    OPTIONAL.iter().for_each(|name| optional(block, letter[*name].as_str()));
    NUMBERS.iter().for_each(|name| long(block, letter[*name].as_i64().unwrap_or(0)));
    let money: Vec<_> = letter["at_risk"].as_object().into_iter().flatten().collect();
    if !money.is_empty() {
        long(block, i64::try_from(money.len()).unwrap_or(0));
        for (currency, minor) in money {
            bytes(block, currency.as_bytes());
            long(block, minor.as_i64().unwrap_or(0));
        }
    }
    long(block, 0);
    bytes(block, letter["headers"].to_string().as_bytes());
    let body = &letter["body"];
    optional(block, (!body.is_null()).then(|| body.to_string()).as_deref());
    optional(block, letter["raw"]["key"].as_str());
    optional(block, letter["raw"]["value"].as_str());
}

fn optional(out: &mut Vec<u8>, text: Option<&str>) {
    long(out, i64::from(text.is_some()));
    if let Some(text) = text {
        bytes(out, text.as_bytes());
    }
}

fn bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    long(out, i64::try_from(bytes.len()).unwrap_or(i64::MAX));
    out.extend(bytes);
}

/// Zigzag, then seven bits a byte.
#[expect(clippy::cast_sign_loss, reason = "zigzag is about the bits")]
fn long(out: &mut Vec<u8>, number: i64) {
    let mut rest = ((number << 1) ^ (number >> 63)) as u64;
    while rest >= 0x80 {
        out.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

#[cfg(test)]
mod tests {
    use super::*;
    use apache_avro::{Reader, types::Value as Avro};

    #[test]
    fn an_avro_library_reads_what_was_written() {
        let letter = json!({ "id": "erp-sync/0/a/1", "service": "erp-sync", "state": "open", "topic": "invoice.posted.v1",
            "code": "PERIOD_CLOSED", "partition": 3, "offset": 1_234_567, "attempts": 2, "version": 1,
            "at_risk": { "EUR": -5 }, "headers": [{ "k": "a", "v": null, "enc": "utf8" }], "body": { "currency": "EUR" } });
        let written = file(&[letter.clone(), letter]);
        let rows: Vec<Avro> = Reader::new(&written[..]).unwrap().collect::<Result<_, _>>().unwrap();
        assert_eq!(rows.len(), 2);
        let Avro::Record(fields) = &rows[0] else { panic!("no record") };
        let field =
            |name: &str| fields.iter().find(|(found, _)| found == name).map(|(_, value)| value.clone()).unwrap();
        assert_eq!(field("offset"), Avro::Long(1_234_567));
        assert_eq!(field("code"), Avro::Union(1, Box::new(Avro::String("PERIOD_CLOSED".to_owned()))));
        assert_eq!(field("owner"), Avro::Union(0, Box::new(Avro::Null)));
        assert_eq!(Reader::new(&file(&[])[..]).unwrap().count(), 0);
    }
}
