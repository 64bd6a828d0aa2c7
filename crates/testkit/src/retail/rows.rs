//! Rows of a retailer's invoice file: CSV, plain or `.xz`, with or without odd bytes. A bad row is an answer, not an end.

use anyhow::{Context, bail};
use jiff::civil::DateTime;
use rust_decimal::Decimal;
use std::{
    fs::File,
    io::{BufReader, Read},
    path::Path,
};

/// One line of a document.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Line of the file, from 1, counting the heading.
    pub file_line: u64,
    pub invoice_no: String,
    pub stock_code: String,
    pub description: String,
    pub quantity: i64,
    /// Local time of the seller.
    pub issued: DateTime,
    pub unit_price: Decimal,
    /// Empty where the file names no customer.
    pub customer_id: String,
    pub country: String,
}

/// A row that cannot be read. Without a document number it concerns no document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadRow {
    pub file_line: u64,
    pub invoice_no: Option<String>,
    pub reason: String,
}

/// The columns in the order of [`Row`], each with the names that files of this form give it.
const COLUMNS: [&[&str]; 8] = [
    &["invoiceno", "invoice"],
    &["stockcode"],
    &["description"],
    &["quantity"],
    &["invoicedate"],
    &["unitprice", "price"],
    &["customerid"],
    &["country"],
];

/// Reads a file row by row.
pub struct Rows {
    csv: csv::Reader<Box<dyn Read>>,
    at: [usize; COLUMNS.len()],
    record: csv::ByteRecord,
}

impl Rows {
    /// Opens `path`; a name that ends in `.xz` is decompressed on the way.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let file = File::open(path).with_context(|| format!("open {}", path.display()))?;
        let plain = BufReader::with_capacity(1 << 16, file);
        let compressed = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("xz"));
        let bytes: Box<dyn Read> =
            if compressed { Box::new(liblzma::read::XzDecoder::new_multi_decoder(plain)) } else { Box::new(plain) };
        Self::new(bytes).with_context(|| format!("read the heading of {}", path.display()))
    }

    /// Reads from any source of plain CSV with a heading.
    pub fn new(bytes: Box<dyn Read>) -> anyhow::Result<Self> {
        let mut csv = csv::ReaderBuilder::new().flexible(true).from_reader(bytes);
        let at = columns(csv.byte_headers()?)?;
        Ok(Self { csv, at, record: csv::ByteRecord::new() })
    }

    /// The number of the document in the row just read, and the line it stands on; `None` at the end of the file.
    /// Costs less than reading the whole row.
    pub(super) fn next_invoice_no(&mut self) -> anyhow::Result<Option<(String, u64)>> {
        Ok(self.advance()?.then(|| (self.text(0), self.file_line())))
    }

    fn advance(&mut self) -> anyhow::Result<bool> {
        self.csv.read_byte_record(&mut self.record).context("read the file")
    }

    fn file_line(&self) -> u64 {
        self.record.position().map_or(0, csv::Position::line)
    }

    /// Bytes that are not UTF-8 become U+FFFD: a description is for people, nothing is computed from it.
    fn text(&self, column: usize) -> String {
        String::from_utf8_lossy(self.record.get(self.at[column]).unwrap_or_default()).trim().to_owned()
    }

    fn row(&self) -> Result<Row, BadRow> {
        let file_line = self.file_line();
        let invoice_no = self.text(0);
        if invoice_no.is_empty() {
            return Err(BadRow { file_line, invoice_no: None, reason: "the document number is empty".into() });
        }
        let bad = |reason| BadRow { file_line, invoice_no: Some(invoice_no.clone()), reason };
        Ok(Row {
            file_line,
            stock_code: self.filled(1, "StockCode").map_err(bad)?,
            description: self.text(2),
            quantity: quantity(&self.text(3)).map_err(bad)?,
            issued: local_time(&self.text(4)).map_err(bad)?,
            unit_price: unit_price(&self.text(5)).map_err(bad)?,
            customer_id: customer_id(&self.text(6)),
            country: self.text(7),
            invoice_no: invoice_no.clone(),
        })
    }

    fn filled(&self, column: usize, name: &str) -> Result<String, String> {
        let text = self.text(column);
        if text.is_empty() { Err(format!("{name} is empty")) } else { Ok(text) }
    }
}

impl Iterator for Rows {
    /// The outer error ends the reading: the file itself cannot be read on.
    type Item = anyhow::Result<Result<Row, BadRow>>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.advance() {
            Ok(true) => Some(Ok(self.row())),
            Ok(false) => None,
            Err(error) => Some(Err(error)),
        }
    }
}

fn columns(heading: &csv::ByteRecord) -> anyhow::Result<[usize; COLUMNS.len()]> {
    let names: Vec<String> = heading.iter().map(plain_name).collect();
    let mut at = [0; COLUMNS.len()];
    let mut missing = Vec::new();
    for (place, aliases) in at.iter_mut().zip(COLUMNS) {
        match names.iter().position(|name| aliases.contains(&name.as_str())) {
            Some(found) => *place = found,
            None => missing.push(aliases[0]),
        }
    }
    if !missing.is_empty() {
        bail!("the heading lacks the column(s) {}; it has {}", missing.join(", "), names.join(", "));
    }
    Ok(at)
}

/// Lower-case letters and digits only: `Customer ID` and a byte order mark make no difference.
fn plain_name(heading: &[u8]) -> String {
    heading.iter().filter(|byte| byte.is_ascii_alphanumeric()).map(|byte| byte.to_ascii_lowercase() as char).collect()
}

fn quantity(text: &str) -> Result<i64, String> {
    text.strip_suffix(".0").unwrap_or(text).parse().map_err(|_| format!("Quantity `{text}` is not a whole number"))
}

fn unit_price(text: &str) -> Result<Decimal, String> {
    text.parse().map_err(|_| format!("UnitPrice `{text}` is not a decimal number"))
}

/// Some exports turn the number into a float.
fn customer_id(text: &str) -> String {
    text.strip_suffix(".0").unwrap_or(text).to_owned()
}

/// `2010-12-01 08:26:00`, or `12/1/2010 8:26` as the file's first edition has it.
fn local_time(text: &str) -> Result<DateTime, String> {
    if let Some(read) = iso_time(text.as_bytes()) {
        return Ok(read);
    }
    text.parse()
        .or_else(|_| DateTime::strptime("%m/%d/%Y %H:%M", text))
        .map_err(|_| format!("InvoiceDate `{text}` is not a date and time such as 2010-12-01 08:26:00"))
}

/// The usual form, read without a general parser: there are half a million of them.
fn iso_time(text: &[u8]) -> Option<DateTime> {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, b' ', h1, h2, b':', n1, n2, b':', s1, s2] = *text else {
        return None;
    };
    let digit = |byte: u8| byte.is_ascii_digit().then(|| i16::from(byte - b'0'));
    let two = |a, b| i8::try_from(digit(a)? * 10 + digit(b)?).ok();
    let year = digit(y1)? * 1000 + digit(y2)? * 100 + digit(y3)? * 10 + digit(y4)?;
    DateTime::new(year, two(m1, m2)?, two(d1, d2)?, two(h1, h2)?, two(n1, n2)?, two(s1, s2)?, 0).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &'static [u8]) -> Vec<Result<Row, BadRow>> {
        Rows::new(Box::new(text)).expect("heading").collect::<anyhow::Result<_>>().expect("readable")
    }

    #[test]
    fn a_row_is_read_with_its_line_number_whatever_its_edition() {
        let rows = read(
            b"Invoice,StockCode,Description,Quantity,InvoiceDate,Price,Customer ID,Country\n\
            536365,85123A,HEART,6,2010-12-01 08:26:00,2.55,17850.0,United Kingdom\n\
            536365,71053,LANTERN,6,12/1/2010 8:26,3.39,17850,United Kingdom\n",
        );
        let first = rows[0].as_ref().expect("good");
        let second = rows[1].as_ref().expect("good");
        assert_eq!((first.file_line, first.customer_id.as_str()), (2, "17850"));
        assert_eq!((first.issued, first.unit_price), (second.issued, Decimal::new(255, 2)));
        assert_eq!(second.customer_id, "17850");
    }

    #[test]
    fn a_bad_row_names_its_line_its_document_and_the_field() {
        let rows = read(
            b"InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n\
            1,A,\"two\nlines\",6,2010-12-01 08:26:00,2.55,,UK\n\
            2,A,x,six,2010-12-01 08:26:00,2.55,,UK\n\
            ,A,x,6,2010-12-01 08:26:00,2.55,,UK\n",
        );
        assert!(rows[0].is_ok());
        let quantity = rows[1].as_ref().expect_err("not a number");
        assert_eq!((quantity.file_line, quantity.invoice_no.as_deref()), (4, Some("2")));
        assert_eq!(quantity.reason, "Quantity `six` is not a whole number");
        assert_eq!(rows[2].as_ref().expect_err("no number").invoice_no, None);
    }

    #[test]
    fn odd_bytes_in_a_description_are_tolerated() {
        let rows = read(
            b"InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n\
            1,A,\xa310 voucher,6,2010-12-01 08:26:00,2.55,,UK\n",
        );
        assert_eq!(rows[0].as_ref().expect("good").description, "\u{fffd}10 voucher");
    }

    #[test]
    fn a_heading_without_a_column_is_refused_with_its_name() {
        let error = Rows::new(Box::new(&b"InvoiceNo,StockCode\n"[..])).err().expect("refused").to_string();
        assert!(error.contains("quantity") && error.contains("country"), "{error}");
    }
}
