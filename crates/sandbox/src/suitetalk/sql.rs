//! The subset of SuiteQL the stand-in reads:
//! `SELECT a, b AS c | * | COUNT(*) FROM t WHERE x = 'v' AND y IN (…) AND z IS NULL ORDER BY a DESC`.

/// A parsed query.
#[derive(Debug, PartialEq)]
pub struct Query {
    pub columns: Columns,
    pub table: String,
    pub conditions: Vec<Condition>,
    /// Columns to order by, `true` for descending.
    pub order: Vec<(String, bool)>,
}

/// What is selected.
#[derive(Debug, PartialEq)]
pub enum Columns {
    All,
    Count {
        name: String,
    },
    /// Column and the name it is shown under.
    Named(Vec<(String, String)>),
}

/// One condition of the `WHERE`; all must hold.
#[derive(Debug, PartialEq)]
pub struct Condition {
    pub column: String,
    pub test: Test,
}

/// What a condition asks.
#[derive(Debug, PartialEq)]
pub enum Test {
    Equal(String),
    NotEqual(String),
    Less(String),
    LessOrEqual(String),
    Greater(String),
    GreaterOrEqual(String),
    In(Vec<String>),
    /// `LIKE` with `%` at the ends only: the text, and whether it may be preceded and followed.
    Like {
        text: String,
        before: bool,
        after: bool,
    },
    Null,
    NotNull,
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    Text(String),
    Sign(&'static str),
}

/// Parses a query.
///
/// # Errors
/// What cannot be read.
pub fn parse(text: &str) -> Result<Query, String> {
    let mut parser = Parser { tokens: tokens(text)?, at: 0 };
    let query = parser.query()?;
    match parser.peek() {
        None => Ok(query),
        Some(token) => Err(format!("unexpected {token:?} after the end")),
    }
}

const SIGNS: [&str; 10] = ["<=", ">=", "<>", "!=", "=", "<", ">", "(", ")", ","];

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        if first == '\'' {
            let (literal, after) = literal(&rest[1..])?;
            tokens.push(Token::Text(literal));
            rest = after;
        } else if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
            tokens.push(Token::Sign(sign));
            rest = &rest[sign.len()..];
        } else if first == '*' {
            tokens.push(Token::Sign("*"));
            rest = &rest[1..];
        } else {
            let is_word = |character: char| character.is_alphanumeric() || matches!(character, '_' | '.' | '-' | '+');
            let end = rest.find(|character| !is_word(character)).unwrap_or(rest.len());
            if end == 0 {
                return Err(format!("unexpected character {first}"));
            }
            tokens.push(Token::Word(rest[..end].to_owned()));
            rest = &rest[end..];
        }
        rest = rest.trim_start();
    }
    Ok(tokens)
}

/// A literal up to its closing quote; two quotes stand for one.
fn literal(rest: &str) -> Result<(String, &str), String> {
    let mut text = String::new();
    let mut from = 0;
    loop {
        let end = from + rest[from..].find('\'').ok_or("a text literal is not closed")?;
        text.push_str(&rest[from..end]);
        if !rest[end + 1..].starts_with('\'') {
            return Ok((text, &rest[end + 1..]));
        }
        text.push('\'');
        from = end + 2;
    }
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
}

impl Parser {
    fn query(&mut self) -> Result<Query, String> {
        self.expect("SELECT")?;
        let columns = self.columns()?;
        self.expect("FROM")?;
        let table = self.word()?;
        if self.peek_word().is_some_and(|word| !matches!(word.to_ascii_uppercase().as_str(), "WHERE" | "ORDER")) {
            self.word()?; // the table's alias: columns are taken by their last part anyway
        }
        let mut conditions = Vec::new();
        if self.take("WHERE") {
            conditions.push(self.condition()?);
            while self.take("AND") {
                conditions.push(self.condition()?);
            }
        }
        let mut order = Vec::new();
        if self.take("ORDER") {
            self.expect("BY")?;
            order.push(self.order()?);
            while self.sign(",") {
                order.push(self.order()?);
            }
        }
        Ok(Query { columns, table, conditions, order })
    }

    fn columns(&mut self) -> Result<Columns, String> {
        if self.sign("*") {
            return Ok(Columns::All);
        }
        let mut columns = Vec::new();
        loop {
            let column = self.column()?;
            if column == "count" && self.sign("(") {
                self.expect_sign("*")?;
                self.expect_sign(")")?;
                let name = if self.take("AS") { self.word()?.to_lowercase() } else { "expr1".to_owned() };
                return Ok(Columns::Count { name });
            }
            let name = if self.take("AS") { self.word()?.to_lowercase() } else { column.clone() };
            columns.push((column, name));
            if !self.sign(",") {
                return Ok(Columns::Named(columns));
            }
        }
    }

    fn condition(&mut self) -> Result<Condition, String> {
        let column = self.column()?;
        if self.take("IS") {
            let not = self.take("NOT");
            self.expect("NULL")?;
            return Ok(Condition { column, test: if not { Test::NotNull } else { Test::Null } });
        }
        if self.take("IN") {
            self.expect_sign("(")?;
            let mut values = vec![self.value()?];
            while self.sign(",") {
                values.push(self.value()?);
            }
            self.expect_sign(")")?;
            return Ok(Condition { column, test: Test::In(values) });
        }
        if self.take("LIKE") {
            let pattern = self.value()?;
            let (before, after) = (pattern.starts_with('%'), pattern.ends_with('%'));
            let text = pattern.trim_matches('%').to_owned();
            if text.contains('%') {
                return Err("LIKE takes % at the ends only".to_owned());
            }
            return Ok(Condition { column, test: Test::Like { text, before, after } });
        }
        let test: fn(String) -> Test = match self.next() {
            Some(Token::Sign("=")) => Test::Equal,
            Some(Token::Sign("<>" | "!=")) => Test::NotEqual,
            Some(Token::Sign("<")) => Test::Less,
            Some(Token::Sign("<=")) => Test::LessOrEqual,
            Some(Token::Sign(">")) => Test::Greater,
            Some(Token::Sign(">=")) => Test::GreaterOrEqual,
            other => return Err(format!("expected a comparison after {column}, found {other:?}")),
        };
        Ok(Condition { column, test: test(self.value()?) })
    }

    fn order(&mut self) -> Result<(String, bool), String> {
        let column = self.column()?;
        let descending = self.take("DESC");
        if !descending {
            self.take("ASC");
        }
        Ok((column, descending))
    }

    /// A literal, a number, or a date function's first argument.
    fn value(&mut self) -> Result<String, String> {
        match self.next() {
            Some(Token::Text(text)) => Ok(text),
            Some(Token::Word(word)) if self.sign("(") => {
                let value = self.value()?;
                while self.sign(",") {
                    self.value()?;
                }
                self.expect_sign(")")?;
                match word.to_ascii_uppercase().as_str() {
                    "TO_DATE" | "TO_TIMESTAMP" => Ok(value),
                    other => Err(format!("function {other} is not known")),
                }
            }
            Some(Token::Word(number)) if number.parse::<rust_decimal::Decimal>().is_ok() => Ok(number),
            other => Err(format!("expected a value, found {other:?}")),
        }
    }

    /// A column name in lower case, without its table.
    fn column(&mut self) -> Result<String, String> {
        let word = self.word()?;
        Ok(word.rsplit('.').next().unwrap_or(&word).to_lowercase())
    }

    fn word(&mut self) -> Result<String, String> {
        match self.next() {
            Some(Token::Word(word)) => Ok(word),
            other => Err(format!("expected a name, found {other:?}")),
        }
    }

    fn next(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.at).cloned();
        self.at += 1;
        token
    }

    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn peek_word(&self) -> Option<&str> {
        match self.peek() {
            Some(Token::Word(word)) => Some(word),
            _ => None,
        }
    }

    fn take(&mut self, keyword: &str) -> bool {
        let found = self.peek_word().is_some_and(|word| word.eq_ignore_ascii_case(keyword));
        self.at += usize::from(found);
        found
    }

    fn sign(&mut self, sign: &'static str) -> bool {
        let found = self.peek() == Some(&Token::Sign(sign));
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, keyword: &str) -> Result<(), String> {
        if self.take(keyword) { Ok(()) } else { Err(format!("expected {keyword}, found {:?}", self.peek())) }
    }

    fn expect_sign(&mut self, sign: &'static str) -> Result<(), String> {
        if self.sign(sign) { Ok(()) } else { Err(format!("expected {sign}, found {:?}", self.peek())) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_up_by_external_id_is_read() {
        let query = parse("SELECT t.id, t.externalid AS ref FROM transaction t WHERE t.type = 'CustInvc' AND t.externalid IN ('a''b', 'c')").unwrap();
        assert_eq!(query.table, "transaction");
        assert_eq!(
            query.columns,
            Columns::Named(vec![("id".into(), "id".into()), ("externalid".into(), "ref".into())])
        );
        assert_eq!(query.conditions[1].test, Test::In(vec!["a'b".into(), "c".into()]));
    }

    #[test]
    fn dates_counts_and_order_are_read() {
        let query =
            parse("select count(*) as n from invoice where trandate >= TO_DATE('2024-01-01', 'YYYY-MM-DD')").unwrap();
        assert_eq!(query.columns, Columns::Count { name: "n".into() });
        assert_eq!(query.conditions[0].test, Test::GreaterOrEqual("2024-01-01".into()));
        let query = parse("SELECT * FROM customer ORDER BY id DESC, externalid").unwrap();
        assert_eq!(query.order, [("id".to_owned(), true), ("externalid".to_owned(), false)]);
    }

    #[test]
    fn what_is_not_understood_is_named() {
        assert!(parse("SELECT id FROM customer WHERE id = 'open").unwrap_err().contains("not closed"));
        assert!(parse("DELETE FROM customer").unwrap_err().contains("SELECT"));
        assert!(parse("SELECT id FROM a WHERE b = 1 OR c = 2").unwrap_err().contains("OR"));
    }
}
