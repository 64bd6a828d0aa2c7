//! Whether the ERP has a customer already, under an id that is not ours. Asked before the first customer of an account is made: two
//! customers for one company are hard to part again.

use super::{NetSuite, SYSTEM, body::match_name, suiteql::literal};
use crate::{Cause, Error, NewCustomer, Object, queue};
use serde::Deserialize;

/// Customers that a refusal names; the others are counted.
const SHOWN: usize = 5;

#[derive(Deserialize)]
struct Customer {
    id: String,
    #[serde(default)]
    externalid: Option<String>,
}

impl NetSuite {
    /// # Errors
    /// `CUSTOMER_DUPLICATE` with the ERP's ids of those that look the same. Names and tax ids are personal data: only the fields that agree
    /// are named.
    pub(super) async fn search(&self, cause: &Cause, customer: &NewCustomer) -> Result<(), Error> {
        if !customer.is_searched {
            return Ok(());
        }
        let name = match_name(&customer.name);
        let mut same = Vec::new();
        for tax_id in customer.tax_id.iter().chain(&customer.further_tax_ids) {
            same.extend(self.others(cause, customer, "vatregnumber", tax_id, "tax id").await?);
        }
        same.extend(self.others(cause, customer, "custentity_tl_match_name", &name, "name").await?);
        same.extend(self.others(cause, customer, "companyname", &customer.name, "name").await?);
        if same.is_empty() {
            return Ok(());
        }
        same.sort();
        same.dedup();
        let ours = self.scheme.external_id(Object::Customer, &customer.account_id);
        let shown = same.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
        let more = same.len().saturating_sub(SHOWN);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let reason = format!("{SYSTEM} has {shown}{more} already; `{ours}` would be another one");
        let field = Some("externalId".to_owned());
        Err(Error::Refused { code: "CUSTOMER_DUPLICATE", queue: queue::MASTER_DATA, field, reason })
    }

    async fn others(
        &self,
        cause: &Cause,
        customer: &NewCustomer,
        column: &str,
        value: &str,
        what: &str,
    ) -> Result<Vec<String>, Error> {
        let query = format!("SELECT id, externalid FROM customer WHERE {column} = {} ORDER BY id", literal(value));
        let found: Vec<Customer> = self.select_all(cause, &query).await?;
        let ours = self.scheme.external_id(Object::Customer, &customer.account_id);
        let others = found.into_iter().filter(|found| found.externalid.as_ref() != Some(&ours));
        Ok(others
            .map(|found| {
                let id = found.externalid.as_deref().unwrap_or("none");
                format!("customer {} (external id `{id}`) with the same {what}", found.id)
            })
            .collect())
    }
}
