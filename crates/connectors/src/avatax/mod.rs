//! Avalara AvaTax (REST v2): determine, commit and void sales invoices under our own code of them.
//!
//! A document that is not committed is replaced by one with the same code, so a determination can be sent again. It is looked at first all the
//! same: what is committed or void stays as it is, and what has our revision is answered without a second determination.

mod answer;
mod body;

use crate::{
    Cause, CommitTax, DetermineTax, Error, FindTax, TaxAddress, TaxAnswer, TaxBuyer, TaxDocument, TaxEngine,
    TaxQuestion, VoidTax,
    error::queue,
    keyed::{Access, Call, Client, Scheme},
};
use answer::{Status, Transaction, failure, is_missing, read};
use async_trait::async_trait;
use body::Buyer;
use reqwest::Method;
use serde_json::{Value, json};
use std::{collections::BTreeMap, fmt};
use url::Url;

pub(crate) const SYSTEM: &str = "AvaTax";
const JSON: &str = "application/json";

/// How to reach AvaTax, and who declares tax there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The key is the licence key.
    pub access: Access,
    /// The account's number: the user that the licence key belongs to.
    pub account_id: String,
    /// By entity of the seller.
    pub companies: BTreeMap<String, Company>,
}

/// A company of the account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Company {
    pub code: String,
    /// Where it delivers from.
    pub ship_from: TaxAddress,
}

/// One AvaTax account.
pub struct AvaTax {
    client: Client,
    companies: BTreeMap<String, Company>,
}

impl fmt::Debug for AvaTax {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AvaTax").field("base", &self.client.base().as_str()).finish_non_exhaustive()
    }
}

impl AvaTax {
    /// Connects nothing yet.
    ///
    /// # Errors
    /// Every option that cannot be used, each with what to do about it.
    pub fn try_new(options: Options) -> Result<Self, Vec<String>> {
        let Options { access, account_id, companies } = options;
        let is_nameless = account_id.trim().is_empty();
        let client = Client::try_new(SYSTEM, access, Scheme::Basic(account_id));
        let nameless = "account_id: must not be empty".to_owned();
        match client {
            Ok(_) if is_nameless => Err(vec![nameless]),
            Ok(client) => Ok(Self { client, companies }),
            Err(problems) if is_nameless => Err(problems.into_iter().chain([nameless]).collect()),
            Err(problems) => Err(problems),
        }
    }

    fn company(&self, document: &TaxDocument) -> Result<&Company, Error> {
        let entity = &document.legal_entity_id;
        self.companies.get(entity).ok_or_else(|| Error::Refused {
            code: "TAX_NEXUS_UNKNOWN",
            queue: queue::TAX,
            field: Some("legal_entity_id".into()),
            reason: format!("no company of the tax engine is configured for `{entity}`"),
        })
    }

    fn at(&self, company: &Company, document: &TaxDocument, more: &[&str]) -> Url {
        let code = body::code(&document.document_id);
        let mut segments = vec!["api", "v2", "companies", &company.code, "transactions", &code];
        segments.extend(more);
        let mut url = self.client.url(&segments);
        url.query_pairs_mut().append_pair("documentType", "SalesInvoice");
        url
    }

    async fn call(
        &self,
        cause: &Cause,
        method: Method,
        url: Url,
        body: Option<&Value>,
    ) -> Result<crate::http::Answer, Error> {
        let headers = [("x-avalara-client", format!("throughline; {}; REST; v2", env!("CARGO_PKG_VERSION")))];
        let body = body.map(|body| (JSON, body.to_string()));
        self.client.call(cause, &Call { method, url, headers: &headers, body }).await
    }

    async fn post(&self, cause: &Cause, url: Url, body: &Value) -> Result<Transaction, Error> {
        let answer = self.call(cause, Method::POST, url, Some(body)).await?;
        match answer.status.as_u16() {
            200 | 201 => read(true, &answer),
            _ => Err(failure(true, &answer)),
        }
    }

    /// The document; `None` only where AvaTax says that there is none.
    async fn found(&self, cause: &Cause, document: &TaxDocument) -> Result<Option<Transaction>, Error> {
        self.found_with(cause, document, "Lines,Details").await
    }

    async fn found_with(
        &self,
        cause: &Cause,
        document: &TaxDocument,
        include: &str,
    ) -> Result<Option<Transaction>, Error> {
        let mut url = self.at(self.company(document)?, document, &[]);
        url.query_pairs_mut().append_pair("$include", include);
        let answer = self.call(cause, Method::GET, url, None).await?;
        match answer.status.as_u16() {
            200 => read(false, &answer).map(Some),
            404 if is_missing(&answer) => Ok(None),
            _ => Err(failure(false, &answer)),
        }
    }

    async fn buyer(&self, cause: &Cause, buyer: &TaxBuyer) -> Result<Buyer, Error> {
        match buyer {
            TaxBuyer::Told(customer) => Ok(Buyer::told(customer)),
            TaxBuyer::AsIn(former) => {
                let found = self.found_with(cause, former, "Addresses").await?;
                found.ok_or_else(|| answer::nothing(former))?.buyer().ok_or_else(|| answer::nowhere(former))
            }
        }
    }
}

#[async_trait]
impl DetermineTax for AvaTax {
    async fn determine_tax(&self, cause: &Cause, _key: &str, question: &TaxQuestion) -> Result<TaxAnswer, Error> {
        let document = &question.document;
        let company = self.company(document)?;
        match self.found(cause, document).await? {
            Some(found) if found.has(document) && found.status != Status::Cancelled => return found.answer(question),
            Some(found) if !found.status.is_open() => return Err(answer::closed(document, found.status)),
            Some(_) | None => {}
        }
        let buyer = self.buyer(cause, &question.buyer).await?;
        let mut url = self.client.url(&["api", "v2", "transactions", "create"]);
        url.query_pairs_mut().append_pair("$include", "Lines,Details");
        let made = self.post(cause, url, &body::transaction(company, question, &buyer)).await?;
        made.answer(question)
    }
}

#[async_trait]
impl CommitTax for AvaTax {
    async fn commit_tax(&self, cause: &Cause, _key: &str, document: &TaxDocument) -> Result<String, Error> {
        let company = self.company(document)?;
        match self.found(cause, document).await? {
            Some(found) if found.status == Status::Committed => return Ok(found.id()),
            Some(found) if found.status.is_open() => {}
            Some(found) => return Err(answer::closed(document, found.status)),
            None => return Err(answer::nothing(document)),
        }
        let url = self.at(company, document, &["commit"]);
        Ok(self.post(cause, url, &json!({ "commit": true })).await?.id())
    }
}

#[async_trait]
impl VoidTax for AvaTax {
    async fn void_tax(&self, cause: &Cause, _key: &str, document: &TaxDocument) -> Result<Option<String>, Error> {
        let company = self.company(document)?;
        match self.found(cause, document).await? {
            None => return Ok(None),
            Some(found) if found.status == Status::Cancelled => return Ok(Some(found.id())),
            Some(_) => {}
        }
        let url = self.at(company, document, &["void"]);
        Ok(Some(self.post(cause, url, &json!({ "code": "DocVoided" })).await?.id()))
    }
}

#[async_trait]
impl FindTax for AvaTax {
    async fn find_determined(&self, cause: &Cause, question: &TaxQuestion) -> Result<Option<TaxAnswer>, Error> {
        let found = self.found(cause, &question.document).await?;
        let ours = found.filter(|found| found.has(&question.document) && found.status != Status::Cancelled);
        ours.map(|found| found.answer(question)).transpose()
    }

    async fn find_committed(&self, cause: &Cause, document: &TaxDocument) -> Result<Option<String>, Error> {
        let found = self.found(cause, document).await?;
        Ok(found.filter(|found| found.status == Status::Committed).map(|found| found.id()))
    }

    async fn find_voided(&self, cause: &Cause, document: &TaxDocument) -> Result<Option<String>, Error> {
        let found = self.found(cause, document).await?;
        Ok(found.filter(|found| found.status == Status::Cancelled).map(|found| found.id()))
    }
}

impl TaxEngine for AvaTax {
    fn concurrency(&self) -> usize {
        self.client.limit.current()
    }
}
