//! SuiteQL, page by page: `limit` and `offset` until `hasMore` is false. What NetSuite does not give in full is an error, never a
//! shorter list: a look-up that misses a record makes it twice.

use super::{NetSuite, SYSTEM, answer::Access, call::Call, find::read};
use crate::{Cause, Error, queue};
use reqwest::Method;
use serde::{Deserialize, de::DeserializeOwned};

#[derive(Deserialize)]
struct Page<T> {
    items: Vec<T>,
    #[serde(rename = "hasMore", default)]
    has_more: bool,
}

impl NetSuite {
    /// The first row of a query, in its own order.
    pub(super) async fn select_first<T: DeserializeOwned>(
        &self,
        cause: &Cause,
        query: &str,
    ) -> Result<Option<T>, Error> {
        Ok(self.page(cause, query, 1, 0).await?.items.into_iter().next())
    }

    /// All rows of a query. It must have an order of its own, or pages would overlap where somebody writes meanwhile.
    ///
    /// # Errors
    /// More rows than NetSuite gives of one query: somebody has to mend the master data. The query is not shown: it may name people.
    pub(super) async fn select_all<T: DeserializeOwned>(&self, cause: &Cause, query: &str) -> Result<Vec<T>, Error> {
        let (size, most) = (self.bounds.page_rows, self.bounds.query_rows);
        let mut rows = Vec::new();
        loop {
            let page = self.page(cause, query, size, rows.len()).await?;
            let whole = page.items.len() == size;
            rows.extend(page.items);
            if !page.has_more {
                return Ok(rows);
            }
            if !whole {
                // The offset of the next page must be a multiple of the size: going on would leave rows out.
                let reason = format!("a page of {size} rows has fewer, and more are said to follow");
                return Err(Error::Unavailable { system: SYSTEM, reason, retry_after: None });
            }
            if rows.len() + size > most {
                let reason = format!(
                    "{SYSTEM} gives at most {most} rows of a query, and this one has more: nothing can be told"
                );
                return Err(Error::Refused { code: "REFUSED_BY_ERP", queue: queue::MASTER_DATA, field: None, reason });
            }
        }
    }

    async fn page<T: DeserializeOwned>(
        &self,
        cause: &Cause,
        query: &str,
        limit: usize,
        offset: usize,
    ) -> Result<Page<T>, Error> {
        let url = self.url(&format!("query/v1/suiteql?limit={limit}&offset={offset}"))?;
        let body = Some(serde_json::json!({ "q": query }).to_string());
        let call = Call { access: Access::Read, method: Method::POST, url, body, job: None };
        read(&self.call(cause, &call).await.map_err(Error::from)?)
    }
}

/// Text as a SuiteQL literal.
pub(super) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quote_in_a_name_stays_in_the_name() {
        assert_eq!(literal("O'Neill' OR 1=1"), "'O''Neill'' OR 1=1'");
    }
}
