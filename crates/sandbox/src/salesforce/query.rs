//! The part of SOQL that the suite asks: `SELECT fields FROM object WHERE field = 'x' AND field IN (…) ORDER BY Id LIMIT n`, in pages.

use serde_json::{Value, json};

use super::{
    app::App,
    refusal::{Refusal, json_reply},
    schema::{self, Object, VERSION},
    store::{Fields, Record, Stored},
};
use crate::call::{Call, Reply};

/// A query, understood.
#[derive(Debug)]
struct Query {
    fields: Vec<String>,
    object: &'static Object,
    /// All must hold: the field has one of the values.
    wanted: Vec<(String, Vec<String>)>,
    limit: Option<usize>,
}

/// `GET …/query?q=…`, and the further pages at `…/query/<locator>`.
pub fn answer(app: &App, call: &Call, locator: Option<&str>) -> Result<Reply, Refusal> {
    let (text, from) = match locator {
        None => (call.parameter("q").unwrap_or_default().to_owned(), 0),
        Some(locator) => {
            app.continued(locator).ok_or_else(|| Refusal::new("INVALID_QUERY_LOCATOR", "invalid query locator"))?
        }
    };
    let query = parse(&text).map_err(|problem| Refusal::new("MALFORMED_QUERY", problem))?;
    if !query.object.is_granted {
        return Err(Refusal::new("INSUFFICIENT_ACCESS", format!("no access to {}", query.object.name)));
    }
    let (state, now_ms) = (app.state(), app.clock.now_ms());
    let rows: Vec<Value> = state
        .store
        .of(query.object)
        .filter_map(|record| Some((record, record.seen(now_ms)?)))
        .filter(|(record, fields)| query.takes(record, fields))
        .map(|(record, fields)| shown(query.object, record, fields, Some(&query.fields)))
        .take(query.limit.unwrap_or(usize::MAX))
        .collect();
    drop(state);
    let size = call.header("sforce-query-options").and_then(|options| {
        options.split(',').find_map(|option| option.trim().strip_prefix("batchSize=")?.parse::<usize>().ok())
    });
    let size = size.unwrap_or(usize::MAX).clamp(1, app.settings().query_rows.max(1));
    let total = rows.len();
    let page: Vec<Value> = rows.into_iter().skip(from).take(size).collect();
    let next = from + page.len();
    let mut body = json!({ "totalSize": total, "done": next >= total, "records": page });
    if next < total {
        let locator = app.locator(text, next);
        body["nextRecordsUrl"] = format!("/services/data/{VERSION}/query/{locator}").into();
    }
    Ok(json_reply(200, &body))
}

impl Query {
    fn takes(&self, record: &Record, fields: &Fields) -> bool {
        self.wanted.iter().all(|(name, values)| {
            let is = |text: &str| values.iter().any(|value| value.eq_ignore_ascii_case(text));
            if name.eq_ignore_ascii_case("Id") {
                return values.iter().any(|value| super::ids::normal(value).as_deref() == Some(&record.id));
            }
            if name.eq_ignore_ascii_case(self.object.external_id) {
                return is(&record.external_id);
            }
            matches!(fields.get(name), Some(Stored::Text(text)) if is(text))
        })
    }
}

/// A record as JSON: those fields, or all. Numbers are doubles, as the vendor has them.
pub fn shown(object: &Object, record: &Record, fields: &Fields, only: Option<&[String]>) -> Value {
    let url = format!("/services/data/{VERSION}/sobjects/{}/{}", object.name, record.id);
    let mut row = json!({ "attributes": { "type": object.name, "url": url } });
    let is_wanted = |name: &str| only.is_none_or(|only| only.iter().any(|wanted| wanted.eq_ignore_ascii_case(name)));
    let mut put = |name: &str, value: Value| {
        if is_wanted(name) {
            row[name] = value;
        }
    };
    put("Id", record.id.as_str().into());
    put(object.external_id, record.external_id.as_str().into());
    for field in object.fields {
        let value = match fields.get(field.name) {
            Some(Stored::Text(text)) => text.as_str().into(),
            Some(Stored::Number(number)) => number.to_string().parse::<f64>().map_or(Value::Null, Value::from),
            Some(Stored::Checked(checked)) => (*checked).into(),
            None => Value::Null,
        };
        put(field.name, value);
    }
    row
}

fn parse(text: &str) -> Result<Query, String> {
    let mut words = Words(tokens(text)?.into_iter().peekable());
    words.expect("SELECT")?;
    let mut fields = vec![words.word()?];
    while words.skip(",") {
        fields.push(words.word()?);
    }
    words.expect("FROM")?;
    let name = words.word()?;
    let object = schema::object(&name).ok_or_else(|| format!("sObject type '{name}' is not supported."))?;
    let known = |name: &String| {
        let is_known = name.eq_ignore_ascii_case("Id")
            || name.eq_ignore_ascii_case(object.external_id)
            || object.field(name).is_some();
        is_known.then_some(()).ok_or_else(|| format!("No such column '{name}' on entity '{}'.", object.name))
    };
    fields.iter().try_for_each(known)?;
    let mut wanted = Vec::new();
    if words.skip("WHERE") {
        loop {
            let field = words.word()?;
            known(&field)?;
            // As the object spells it, which is how records keep it.
            let field = object.field(&field).map_or(field, |known| known.name.to_owned());
            wanted.push((field, words.values()?));
            if !words.skip("AND") {
                break;
            }
        }
    }
    if words.skip("ORDER") {
        words.expect("BY")?;
        let by = words.word()?;
        if !by.eq_ignore_ascii_case("Id") {
            return Err(format!("this stand-in orders by Id only, not by {by}"));
        }
    }
    let limit = if words.skip("LIMIT") {
        Some(words.word()?.parse().map_err(|_| "LIMIT takes a whole number".to_owned())?)
    } else {
        None
    };
    match words.0.next() {
        None => Ok(Query { fields, object, wanted, limit }),
        Some(left) => Err(format!("unexpected token: {left}")),
    }
}

struct Words(std::iter::Peekable<std::vec::IntoIter<String>>);

impl Words {
    fn word(&mut self) -> Result<String, String> {
        self.0.next().ok_or_else(|| "unexpected end of the query".to_owned())
    }

    fn skip(&mut self, word: &str) -> bool {
        self.0.next_if(|next| next.eq_ignore_ascii_case(word)).is_some()
    }

    fn expect(&mut self, word: &str) -> Result<(), String> {
        if self.skip(word) {
            return Ok(());
        }
        Err(format!("{word} is expected before {}", self.0.peek().map_or("the end", String::as_str)))
    }

    /// `= 'x'` or `IN ('x', 'y')`.
    fn values(&mut self) -> Result<Vec<String>, String> {
        if self.skip("=") {
            return Ok(vec![self.text()?]);
        }
        self.expect("IN")?;
        self.expect("(")?;
        let mut values = vec![self.text()?];
        while self.skip(",") {
            values.push(self.text()?);
        }
        self.expect(")")?;
        Ok(values)
    }

    /// A quoted text; the tokens of one start with the quote.
    fn text(&mut self) -> Result<String, String> {
        let word = self.word()?;
        word.strip_prefix('\'').map(str::to_owned).ok_or_else(|| format!("a quoted text is expected, not {word}"))
    }
}

/// Words, signs, and quoted texts without their escapes; those keep the opening quote.
fn tokens(text: &str) -> Result<Vec<String>, String> {
    let mut tokens = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            _ if c.is_whitespace() => {}
            '\'' => {
                let mut quoted = String::from('\'');
                loop {
                    match chars.next() {
                        Some('\'') => break,
                        Some('\\') => quoted.extend(chars.next()),
                        Some(c) => quoted.push(c),
                        None => return Err("a quoted text does not end".to_owned()),
                    }
                }
                tokens.push(quoted);
            }
            ',' | '(' | ')' | '=' => tokens.push(c.to_string()),
            _ => {
                let mut word = String::from(c);
                while let Some(c) = chars.next_if(|c| c.is_alphanumeric() || matches!(c, '_' | '.')) {
                    word.push(c);
                }
                tokens.push(word);
            }
        }
    }
    Ok(tokens)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_read_with_its_escapes() {
        let query = parse(r"SELECT Id, Name FROM Account WHERE TL_Account_Id__c IN ('a\'b', 'c') ORDER BY Id LIMIT 5")
            .expect("a query");
        assert_eq!(query.fields, ["Id", "Name"]);
        assert_eq!(query.wanted, [("TL_Account_Id__c".to_owned(), vec!["a'b".to_owned(), "c".to_owned()])]);
        assert_eq!((query.object.name, query.limit), ("Account", Some(5)));
    }

    #[test]
    fn what_it_does_not_understand_is_malformed() {
        for text in [
            "",
            "SELECT Id",
            "SELECT Id FROM Nothing",
            "SELECT Nope FROM Account",
            "SELECT Id FROM Account GROUP",
            "SELECT Id FROM Account WHERE Name > 'a'",
            "SELECT Id FROM Account WHERE Name = 'a",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
