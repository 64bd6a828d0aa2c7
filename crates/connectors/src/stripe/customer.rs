//! Customers: found by our id in their metadata, made where there is none.
//!
//! Stripe's search is behind by up to a minute, so it cannot rule a second customer out by itself. The key of the request is made of our
//! id of the customer and nothing else: as long as Stripe remembers it (a day), it makes no second one, and after that the search sees the
//! first. Where an address is given, the list by address is asked as well: lists are not behind.

use super::{
    Stripe,
    answer::or_none,
    call::{Listed, Made, Sight},
    form::Form,
};
use crate::{BillingCustomer, Cause, Error, Recorded, error::queue};
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Deserialize)]
pub(super) struct Customer {
    id: String,
    #[serde(default, deserialize_with = "or_none")]
    metadata: BTreeMap<String, String>,
}

impl Listed for Customer {
    fn id(&self) -> &str {
        &self.id
    }
}

const OUR_ID: &str = "tl_customer_id";

impl Stripe {
    pub(super) async fn customer(&self, cause: &Cause, customer: &BillingCustomer) -> Result<Recorded, Error> {
        if let Some(found) = self.customer_found(cause, customer).await? {
            return Ok(found);
        }
        let url = self.client.url(&["v1", "customers"]);
        let ours = customer.customer_id();
        let form = form(cause, customer);
        let find = || async { self.customers(cause, customer).await.and_then(|found| one(found, &ours)) };
        // The list shows what was made with the same address; what was made with another one, only the search does.
        let sight = Sight { own: customer.email.is_some(), others: false };
        let key = format!("customer/{ours}");
        match self.once(cause, (url, &form), (&key, sight), find).await? {
            Made::Now(customer) => Ok(recorded(&customer, &ours, false)),
            Made::Before(customer) => Ok(recorded(&customer, &ours, true)),
        }
    }

    pub(super) async fn customer_found(
        &self,
        cause: &Cause,
        customer: &BillingCustomer,
    ) -> Result<Option<Recorded>, Error> {
        let ours = customer.customer_id();
        let found = one(self.customers(cause, customer).await?, &ours)?;
        Ok(found.map(|found| recorded(&found, &ours, true)))
    }

    async fn customers(&self, cause: &Cause, customer: &BillingCustomer) -> Result<Vec<Customer>, Error> {
        let ours = customer.customer_id();
        if let Some(email) = &customer.email {
            let mut url = self.client.url(&["v1", "customers"]);
            url.query_pairs_mut().append_pair("email", email);
            let is_it = |found: &Customer| found.metadata.get(OUR_ID) == Some(&ours);
            let listed = self.list(cause, url, is_it).await?;
            if !listed.is_empty() {
                return Ok(listed);
            }
        }
        let mut url = self.client.url(&["v1", "customers", "search"]);
        let quoted = ours.replace('\\', r"\\").replace('\'', r"\'");
        url.query_pairs_mut().append_pair("query", &format!("metadata['{OUR_ID}']:'{quoted}'"));
        // A search compares without case.
        let found = self.search::<Customer>(cause, url).await?;
        Ok(found.into_iter().filter(|found| found.metadata.get(OUR_ID) == Some(&ours)).collect())
    }
}

fn form(cause: &Cause, customer: &BillingCustomer) -> Form {
    let mut form = Form::default();
    form.add("name", &customer.name);
    form.add_some("email", customer.email.as_ref());
    form.add_some("preferred_locales[0]", customer.locale.as_ref());
    form.add(format!("metadata[{OUR_ID}]"), customer.customer_id());
    form.add("metadata[tl_account_id]", &customer.account_id);
    form.add("metadata[tl_legal_entity_id]", &customer.legal_entity_id);
    super::mark(&mut form, cause);
    form
}

fn one(mut found: Vec<Customer>, ours: &str) -> Result<Option<Customer>, Error> {
    if found.len() > 1 {
        return Err(Error::Refused {
            code: "BILLING_DUPLICATE",
            queue: queue::FINANCE,
            field: Some("customer".into()),
            reason: format!("several customers have the id `{ours}`"),
        });
    }
    Ok(found.pop())
}

fn recorded(customer: &Customer, ours: &str, existed: bool) -> Recorded {
    Recorded { id: customer.id.clone(), external_id: ours.to_owned(), number: None, existed, redated: None }
}
