//! Rows and columns as text.

use serde_json::Value;

/// Cells are text already; an absent value is empty.
pub(super) struct Table {
    pub(super) header: Vec<String>,
    pub(super) rows: Vec<Vec<String>>,
}

/// A value in one cell.
pub(crate) fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Number(number) => number.to_string(),
        Value::Array(items) => items.iter().map(cell).collect::<Vec<_>>().join(", "),
        Value::Object(fields) => {
            let pairs = fields.iter().filter(|(_, value)| !value.is_null());
            pairs.map(|(name, value)| format!("{name}={}", cell(value))).collect::<Vec<_>>().join(" ")
        }
    }
}

impl Table {
    /// Columns aligned, numbers to the right; an absent value shows as `-`, except in the last column.
    pub(super) fn aligned(&self, colour: bool) -> String {
        let columns = self.header.len();
        let shown = |row: &Vec<String>, i: usize| -> String {
            let text = row.get(i).map(String::as_str).unwrap_or_default().replace(['\n', '\r', '\t'], " ");
            if text.is_empty() && i + 1 < columns { "-".to_owned() } else { text }
        };
        let length = |text: &str| text.chars().count();
        let widths: Vec<usize> = (0..columns)
            .map(|i| self.rows.iter().map(|row| length(&shown(row, i))).max().unwrap_or(0).max(length(&self.header[i])))
            .collect();
        let right: Vec<bool> = (0..columns)
            .map(|i| {
                let mut cells = self.rows.iter().map(|row| shown(row, i)).filter(|cell| cell != "-").peekable();
                cells.peek().is_some() && cells.all(|cell| cell.parse::<f64>().is_ok())
            })
            .collect();
        let line = |cells: Vec<String>| {
            let padded = cells.iter().enumerate().map(|(i, cell)| {
                let gap = " ".repeat(widths[i] - length(cell));
                if right[i] { format!("{gap}{cell}") } else { format!("{cell}{gap}") }
            });
            let text = padded.collect::<Vec<_>>().join("  ");
            format!("{}\n", text.trim_end())
        };
        let header = line(self.header.iter().map(|name| name.to_uppercase().replace('_', " ")).collect());
        let header = if colour { format!("\u{1b}[1m{}\u{1b}[0m\n", header.trim_end()) } else { header };
        let rows = self.rows.iter().map(|row| line((0..columns).map(|i| shown(row, i)).collect()));
        std::iter::once(header).chain(rows).collect()
    }

    /// RFC 4180 with a comma; with a tab, control characters become spaces instead of quotes.
    pub(super) fn separated(&self, by: char) -> String {
        let field = |text: &String| {
            if by == '\t' {
                text.replace(['\t', '\n', '\r'], " ")
            } else if text.contains([by, '"', '\n', '\r']) {
                format!("\"{}\"", text.replace('"', "\"\""))
            } else {
                text.clone()
            }
        };
        let line = |cells: &Vec<String>| {
            let fields: Vec<_> = cells.iter().map(field).collect();
            format!("{}\n", fields.join(&by.to_string()))
        };
        std::iter::once(&self.header).chain(&self.rows).map(line).collect()
    }
}
