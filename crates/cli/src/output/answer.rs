//! An answer in all its forms, from one value: whatever the format, the numbers are the same.

use super::table::{Table, cell};
use serde::Serialize;
use serde_json::{Map, Value, json};

/// What a command found out.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    body: Map<String, Value>,
    /// The field that holds the items of a list, and the columns that people see.
    list: Option<(&'static str, &'static [&'static str])>,
    /// For people, where neither a list nor fields read well.
    text: Option<String>,
    /// For people, before the table.
    above: Option<String>,
}

impl Answer {
    /// Fields of one thing. `value` must be a struct or a map.
    pub(crate) fn fields(value: impl Serialize) -> Self {
        Self { body: object(value), list: None, text: None, above: None }
    }

    /// A list under the field `name`, with the columns that tables show. More fields may be added.
    pub(crate) fn list(name: &'static str, items: impl Serialize, columns: &'static [&'static str]) -> Self {
        let mut body = Map::new();
        body.insert(name.to_owned(), value(items));
        Self { body, list: Some((name, columns)), text: None, above: None }
    }

    /// Another field beside the list or the fields.
    pub(crate) fn with(mut self, name: &str, field: impl Serialize) -> Self {
        self.body.insert(name.to_owned(), value(field));
        self
    }

    /// What people see instead of a table.
    pub(crate) fn said(mut self, text: impl Into<String>) -> Self {
        self.text = Some(text.into());
        self
    }

    /// What people see before the table.
    pub(crate) fn above(mut self, text: impl Into<String>) -> Self {
        self.above = Some(text.into());
        self
    }

    pub(super) fn json(&self) -> Value {
        let mut whole = Map::new();
        whole.insert("v".to_owned(), json!(1));
        whole.extend(self.body.clone());
        Value::Object(whole)
    }

    /// One JSON object a line.
    pub(super) fn lines(&self) -> String {
        let Some(items) = self.items() else { return format!("{}\n", self.json()) };
        items.iter().map(|item| format!("{item}\n")).collect()
    }

    pub(super) fn table(&self, colour: bool) -> String {
        if let Some(text) = &self.text {
            return format!("{}\n", text.trim_end_matches('\n'));
        }
        match self.grid() {
            Some(table) => {
                let above = self.above.as_ref().map(|text| format!("{text}\n\n")).unwrap_or_default();
                format!("{above}{}", table.aligned(colour))
            }
            None => {
                let width = self.body.keys().map(|name| name.chars().count()).max().unwrap_or(0);
                self.body.iter().map(|(name, field)| format!("{name:width$}  {}\n", cell(field))).collect()
            }
        }
    }

    pub(super) fn separated(&self, by: char) -> String {
        let table = self.grid().unwrap_or_else(|| {
            let cells = self.body.values().map(cell).collect();
            Table { header: self.body.keys().cloned().collect(), rows: vec![cells] }
        });
        table.separated(by)
    }

    fn grid(&self) -> Option<Table> {
        let (_, columns) = self.list?;
        let row = |item: &Value| columns.iter().map(|column| item.get(column).map(cell).unwrap_or_default()).collect();
        let rows = self.items()?.iter().map(row).collect();
        Some(Table { header: columns.iter().map(|column| (*column).to_owned()).collect(), rows })
    }

    fn items(&self) -> Option<&Vec<Value>> {
        self.body.get(self.list?.0)?.as_array()
    }
}

fn value(value: impl Serialize) -> Value {
    serde_json::to_value(value).expect("answers hold only strings, numbers, lists and maps with string keys")
}

fn object(fields: impl Serialize) -> Map<String, Value> {
    match value(fields) {
        Value::Object(map) => map,
        other => Map::from_iter([("value".to_owned(), other)]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Row {
        topic: &'static str,
        lag: Option<i64>,
        note: &'static str,
    }

    fn answer() -> Answer {
        let rows = [
            Row { topic: "invoice.posted.v1", lag: Some(7), note: "a, \"b\"" },
            Row { topic: "a", lag: None, note: "" },
        ];
        Answer::list("topics", rows, &["topic", "lag", "note"])
    }

    #[test]
    fn a_list_reads_as_a_table_with_numbers_to_the_right() {
        let expected = "\
TOPIC              LAG  NOTE
invoice.posted.v1    7  a, \"b\"
a                    -
";
        assert_eq!(answer().table(false), expected);
    }

    #[test]
    fn json_is_versioned_and_ndjson_has_an_item_a_line() {
        assert_eq!(answer().json()["v"], 1);
        assert_eq!(answer().json()["topics"][0]["lag"], 7);
        let lines: Vec<_> = answer().lines().lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[1]["topic"], "a");
    }

    #[test]
    fn csv_quotes_what_needs_it_and_tsv_keeps_a_line_a_line() {
        assert_eq!(answer().separated(','), "topic,lag,note\ninvoice.posted.v1,7,\"a, \"\"b\"\"\"\na,,\n");
        let answer = Answer::fields(json!({ "a": "x\ty", "b": 1 }));
        assert_eq!(answer.separated('\t'), "a\tb\nx y\t1\n");
    }

    #[test]
    fn fields_read_as_name_and_value() {
        let answer = Answer::fields(json!({ "published": 3, "refused": [] }));
        assert_eq!(answer.table(false), "published  3\nrefused    \n");
    }
}
