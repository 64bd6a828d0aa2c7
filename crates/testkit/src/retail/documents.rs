//! Rows into documents: all lines of one number, in file order, also where other documents lie between them.

use super::rows::{BadRow, Row, Rows};
use std::{
    collections::{HashMap, VecDeque},
    path::Path,
};

/// All good lines of one document number, in file order.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    pub number: String,
    pub rows: Vec<Row>,
    /// Lines that could not be read: with one of them the document is not whole, and must not be published.
    pub bad_rows: Vec<BadRow>,
}

/// Streams the documents of a file in the order of their first lines. The file is read twice, first to learn where each
/// document ends, so that only the open documents are in memory.
pub struct Documents {
    rows: Rows,
    last_line: HashMap<String, u64>,
    open: VecDeque<Document>,
    /// File line up to which everything is read.
    read_to: u64,
    ended: bool,
}

/// A document, or a row that belongs to none.
#[derive(Debug, Clone, PartialEq)]
pub enum Item {
    Document(Document),
    Stray(BadRow),
}

impl Documents {
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let mut last_line = HashMap::new();
        let mut first_pass = Rows::open(path)?;
        while let Some((number, line)) = first_pass.next_invoice_no()? {
            last_line.insert(number, line);
        }
        Ok(Self { rows: Rows::open(path)?, last_line, open: VecDeque::new(), read_to: 0, ended: false })
    }

    /// How many documents the file has.
    #[must_use]
    pub fn document_count(&self) -> usize {
        self.last_line.len()
    }

    fn first_is_whole(&self) -> bool {
        self.open.front().is_some_and(|first| {
            self.ended || self.last_line.get(&first.number).is_some_and(|last| *last <= self.read_to)
        })
    }

    fn of(&mut self, number: &str) -> &mut Document {
        // From the back: a line nearly always belongs to the document opened last.
        let found = self.open.iter().rposition(|document| document.number == number);
        let place = found.unwrap_or_else(|| {
            self.open.push_back(Document { number: number.to_owned(), rows: Vec::new(), bad_rows: Vec::new() });
            self.open.len() - 1
        });
        &mut self.open[place]
    }

    fn take(&mut self, row: Result<Row, BadRow>) -> Option<Item> {
        match row {
            Ok(row) => {
                self.read_to = row.file_line;
                self.of(&row.invoice_no.clone()).rows.push(row);
            }
            Err(bad) => {
                self.read_to = bad.file_line;
                match bad.invoice_no.clone() {
                    Some(number) => self.of(&number).bad_rows.push(bad),
                    None => return Some(Item::Stray(bad)),
                }
            }
        }
        None
    }
}

impl Iterator for Documents {
    type Item = anyhow::Result<Item>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if self.first_is_whole() {
                return self.open.pop_front().map(|document| Ok(Item::Document(document)));
            }
            if self.ended {
                return None;
            }
            match self.rows.next() {
                Some(Ok(row)) => {
                    if let Some(stray) = self.take(row) {
                        return Some(Ok(stray));
                    }
                }
                Some(Err(error)) => {
                    // What is open is not whole: nothing of it may go out.
                    (self.open, self.ended) = (VecDeque::new(), true);
                    return Some(Err(error));
                }
                None => self.ended = true,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    const HEADING: &str = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n";

    fn documents(lines: &[&str]) -> Vec<Item> {
        let scratch = Scratch::try_new("documents").expect("folder");
        let path = scratch.join("file.csv");
        std::fs::write(&path, format!("{HEADING}{}\n", lines.join("\n"))).expect("write");
        Documents::open(&path).expect("open").collect::<anyhow::Result<_>>().expect("readable")
    }

    #[test]
    fn a_document_is_whole_even_where_another_lies_between_its_lines() {
        let found = documents(&[
            "1,A,x,1,2010-12-01 08:26:00,1.00,7,UK",
            "2,A,x,1,2010-12-01 08:26:00,1.00,8,UK",
            "1,B,x,1,2010-12-01 08:27:00,1.00,7,UK",
            "3,A,x,1,2010-12-01 08:28:00,1.00,8,UK",
        ]);
        let seen: Vec<_> = found
            .iter()
            .map(|item| match item {
                Item::Document(document) => (document.number.as_str(), document.rows.len()),
                Item::Stray(_) => ("stray", 0),
            })
            .collect();
        assert_eq!(seen, [("1", 2), ("2", 1), ("3", 1)]);
    }

    #[test]
    fn a_bad_line_stays_with_its_document_and_one_without_number_with_none() {
        let found = documents(&[
            "1,A,x,1,2010-12-01 08:26:00,1.00,7,UK",
            "1,B,x,many,2010-12-01 08:26:00,1.00,7,UK",
            ",B,x,1,2010-12-01 08:26:00,1.00,7,UK",
        ]);
        let [Item::Document(document), Item::Stray(stray)] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!((document.rows.len(), document.bad_rows.len(), stray.file_line), (1, 1, 4));
    }
}
