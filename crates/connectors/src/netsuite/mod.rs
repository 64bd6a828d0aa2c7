//! NetSuite over SuiteTalk REST. The README of this crate says what is sent, how answers are read, and why a document can
//! come to be only once.

mod answer;
mod body;
mod call;
mod certificate;
mod change;
mod create;
mod external_id;
mod find;
mod governance;
mod jobs;
mod key;
mod money;
mod period;
mod plan;
mod search;
mod suiteql;
mod token;

pub use external_id::Scheme;
pub use key::{CertificateId, Credentials};

use crate::{
    AcceptOrder, AdaptiveLimit, ApplyPayment, Cause, ChangeOrder, ChargeUsage, ContactChange, CreateCustomer,
    CustomerScope, EnableCustomer, Erp, Error, FindByExternalId, IssueCreditMemo, NewCharge, NewCreditMemo,
    NewCustomer, NewInvoice, NewJournal, NewOrder, NewPayment, NewRefund, Object, OrderChange, PayBack, PaymentChange,
    PlanRevenue, PostInvoice, PostJournal, Recorded, RevenuePlan, UpdateContact,
    http::{Http, check_address},
};
use async_trait::async_trait;
use create::Wanted;
use std::{fmt, sync::Arc};
use token::TokenSource;
use url::Url;

pub use crate::http::Bounds;

const SYSTEM: &str = "NetSuite";

/// How to reach one NetSuite account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// `https://<account>.suitetalk.api.netsuite.com`.
    pub base_url: String,
    pub credentials: Credentials,
    /// Prefix of all external ids, such as `tl-`. Never change it once records exist: they would be made again.
    pub external_id_prefix: String,
    /// Concurrency limit that the account gives this integration.
    pub concurrency: usize,
    pub bounds: Bounds,
    /// Lets credentials travel over plain http to another machine. For closed test networks only.
    pub allow_plain_http: bool,
}

/// One NetSuite account.
pub struct NetSuite {
    http: Arc<Http>,
    /// `<base>/services/rest/`.
    rest: Url,
    scheme: Scheme,
    tokens: TokenSource,
    limit: AdaptiveLimit,
    bounds: Bounds,
}

impl fmt::Debug for NetSuite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NetSuite").field("rest", &self.rest.as_str()).finish_non_exhaustive()
    }
}

impl NetSuite {
    /// Connects nothing yet: the first call asks for a token.
    ///
    /// # Errors
    /// Every option that cannot be used, each with what to do about it.
    pub fn try_new(options: Options) -> Result<Self, Vec<String>> {
        let mut problems = Vec::new();
        let mut keep = |problem: String| problems.push(problem);
        let rest = rest_url(&options.base_url, options.allow_plain_http).map_err(&mut keep).ok();
        let scheme = Scheme::try_new(&options.external_id_prefix).map_err(&mut keep).ok();
        let http = Http::try_new(options.bounds).map_err(&mut keep).ok();
        if options.concurrency == 0 {
            keep("concurrency: must be at least 1".into());
        }
        if !(1..=options.bounds.query_rows).contains(&options.bounds.page_rows) {
            keep("page_rows: must be from 1 to query_rows".into());
        }
        if options.credentials.client_id.trim().is_empty() {
            keep("client_id: must not be empty; it is the client id of the integration record".into());
        }
        let (Some((rest, token_url)), Some(scheme), Some(http), true) = (rest, scheme, http, problems.is_empty())
        else {
            return Err(problems);
        };
        let http = Arc::new(http);
        let tokens = TokenSource::new(http.clone(), token_url, options.credentials);
        let limit = AdaptiveLimit::new(options.concurrency);
        Ok(Self { http, rest, scheme, tokens, limit, bounds: options.bounds })
    }
}

fn rest_url(base: &str, allow_plain_http: bool) -> Result<(Url, Url), String> {
    let example = "use https://<account>.suitetalk.api.netsuite.com";
    let base = Url::parse(base).map_err(|error| format!("base_url `{base}`: {error}; {example}"))?;
    check_address(&base, allow_plain_http).map_err(|reason| format!("base_url {reason}"))?;
    let join = |path: &str| base.join(path).map_err(|error| format!("base_url `{base}`: {error}; {example}"));
    Ok((join("/services/rest/")?, join("/services/rest/auth/oauth2/v1/token")?))
}

#[async_trait]
impl CreateCustomer for NetSuite {
    async fn create_customer(&self, cause: &Cause, customer: &NewCustomer) -> Result<Recorded, Error> {
        self.search(cause, customer).await?;
        let wanted = Wanted { object: Object::Customer, ours: &customer.account_id, number: None };
        self.create(cause, wanted, &body::Customer::new(&self.scheme, cause, customer)).await
    }
}

#[async_trait]
impl UpdateContact for NetSuite {
    async fn update_contact(&self, cause: &Cause, change: &ContactChange) -> Result<Recorded, Error> {
        self.upsert(cause, Object::Customer, &change.account_id, &body::Customer::contact(cause, change)).await
    }

    async fn find_contact(&self, cause: &Cause, change: &ContactChange) -> Result<Option<Recorded>, Error> {
        let found = self.by_external_id(cause, Object::Customer, &change.account_id).await?;
        let found = found.filter(|found| found.has(&change.contact));
        found.map(|found| found.made_by(cause, Object::Customer)).transpose()
    }
}

#[async_trait]
impl AcceptOrder for NetSuite {
    async fn accept_order(&self, cause: &Cause, order: &NewOrder) -> Result<Recorded, Error> {
        let wanted = Wanted { object: Object::Order, ours: &order.order_id(), number: None };
        self.create(cause, wanted, &body::Transaction::order(&self.scheme, cause, order)).await
    }
}

#[async_trait]
impl ChangeOrder for NetSuite {
    async fn change_order(&self, cause: &Cause, change: &OrderChange) -> Result<Recorded, Error> {
        let body = body::OrderState::new(cause, change);
        self.change(cause, Object::Order, &change.order_id, "item", &body).await
    }
}

#[async_trait]
impl PlanRevenue for NetSuite {
    async fn plan_revenue(&self, cause: &Cause, plan: &RevenuePlan) -> Result<Recorded, Error> {
        let wanted = Wanted { object: Object::RevenuePlan, ours: &plan.contract_id, number: None };
        self.create(cause, wanted, &plan::Arrangement::new(&self.scheme, cause, plan)).await
    }

    async fn change_revenue(&self, cause: &Cause, plan: &RevenuePlan) -> Result<Recorded, Error> {
        let body = plan::Arrangement::change(cause, plan);
        self.change(cause, Object::RevenuePlan, &plan.contract_id, "revenueElement,revenuePlan", &body).await
    }
}

#[async_trait]
impl ChargeUsage for NetSuite {
    async fn charge_usage(&self, cause: &Cause, charge: &NewCharge) -> Result<Recorded, Error> {
        let wanted = Wanted { object: Object::Charge, ours: &charge.charge_id, number: None };
        self.create(cause, wanted, &plan::Charge::new(&self.scheme, cause, charge)).await
    }

    fn most_charges(&self) -> usize {
        jobs::MAX_RECORDS
    }

    async fn charge_many(&self, charges: &[(Cause, NewCharge)]) -> Vec<Result<Recorded, Error>> {
        let mut answers = Vec::with_capacity(charges.len());
        for chunk in charges.chunks(jobs::MAX_RECORDS) {
            let member = |(cause, charge): &'_ (Cause, NewCharge)| plan::Charge::new(&self.scheme, cause, charge);
            let bodies: Vec<_> = chunk.iter().map(member).collect();
            let members: Vec<_> = chunk
                .iter()
                .zip(bodies)
                .map(|((cause, charge), body)| jobs::Member { cause, ours: &charge.charge_id, body })
                .collect();
            answers.extend(self.create_many(Object::Charge, &members).await);
        }
        answers
    }
}

#[async_trait]
impl EnableCustomer for NetSuite {
    async fn enable_customer(&self, cause: &Cause, scope: &CustomerScope) -> Result<Recorded, Error> {
        self.upsert(cause, Object::Customer, &scope.account_id, &body::Scope::new(cause, scope)).await
    }

    async fn find_enabled(&self, cause: &Cause, scope: &CustomerScope) -> Result<Option<Recorded>, Error> {
        self.find_changed(cause, Object::Customer, &scope.account_id).await
    }
}

#[async_trait]
impl PostInvoice for NetSuite {
    async fn post_invoice(&self, cause: &Cause, invoice: &NewInvoice) -> Result<Recorded, Error> {
        let wanted = Wanted { object: Object::Invoice, ours: &invoice.invoice_id, number: Some(&invoice.number) };
        self.book(cause, wanted, &invoice.header, body::Transaction::invoice(&self.scheme, cause, invoice)).await
    }
}

#[async_trait]
impl IssueCreditMemo for NetSuite {
    async fn issue_credit_memo(&self, cause: &Cause, memo: &NewCreditMemo) -> Result<Recorded, Error> {
        let wanted = Wanted { object: Object::CreditMemo, ours: &memo.credit_note_id, number: Some(&memo.number) };
        self.book(cause, wanted, &memo.header, body::Transaction::credit_memo(&self.scheme, cause, memo)).await
    }
}

#[async_trait]
impl ApplyPayment for NetSuite {
    async fn apply_payment(&self, cause: &Cause, payment: &NewPayment) -> Result<Recorded, Error> {
        let wanted = Wanted { object: Object::Payment, ours: &payment.payment_id, number: None };
        self.book(cause, wanted, &payment.header, body::CustomerPayment::new(&self.scheme, cause, payment)).await
    }
}

#[async_trait]
impl PayBack for NetSuite {
    async fn change_payment(&self, cause: &Cause, change: &PaymentChange) -> Result<Recorded, Error> {
        self.change(cause, Object::Payment, &change.payment_id, "apply", &money::Settled::new(cause, change)).await
    }

    async fn refund(&self, cause: &Cause, refund: &NewRefund) -> Result<Recorded, Error> {
        let wanted = Wanted { object: Object::Refund, ours: &refund.refund_id, number: None };
        self.book(cause, wanted, &refund.header, money::Refund::new(&self.scheme, cause, refund)).await
    }
}

#[async_trait]
impl PostJournal for NetSuite {
    async fn post_journal(&self, cause: &Cause, journal: &NewJournal) -> Result<Recorded, Error> {
        let wanted = Wanted { object: Object::Journal, ours: &journal.journal_id, number: None };
        self.book(cause, wanted, &journal.header, money::Journal::new(&self.scheme, cause, journal)).await
    }
}

#[async_trait]
impl FindByExternalId for NetSuite {
    async fn find(&self, cause: &Cause, object: Object, ours: &str) -> Result<Option<Recorded>, Error> {
        let found = self.by_external_id(cause, object, ours).await?;
        found.map(|found| found.made_by(cause, object)).transpose()
    }

    async fn find_changed(&self, cause: &Cause, object: Object, ours: &str) -> Result<Option<Recorded>, Error> {
        let found = self.by_external_id(cause, object, ours).await?;
        Ok(found.filter(|found| found.was_changed_by(cause)).map(find::Found::into_recorded))
    }
}

impl Erp for NetSuite {
    fn concurrency(&self) -> usize {
        self.limit.current()
    }
}

/// The REST name of a kind of record.
const fn record_type(object: Object) -> &'static str {
    match object {
        Object::Customer => "customer",
        Object::Order => "salesOrder",
        Object::Invoice => "invoice",
        Object::CreditMemo => "creditMemo",
        Object::Payment => "customerPayment",
        Object::RevenuePlan => "revenueArrangement",
        Object::Charge => "charge",
        Object::Refund => "customerRefund",
        Object::Journal => "journalEntry",
    }
}
