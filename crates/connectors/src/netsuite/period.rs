//! Closed periods: where the request allows it, a document is booked on the first day of the next open period, and the record says
//! which date it had and by which rule it was moved. Never silently.

use super::{NetSuite, body::Marks, create::Wanted};
use crate::{Cause, Error, Header, Recorded};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

/// The rule, as records state it.
pub(super) const NEXT_OPEN: &str = "next_open_period";

/// A document that is booked on a date.
pub(super) trait Dated: Serialize {
    fn dated(&mut self) -> (&mut Date, &mut Marks, &mut String);
}

#[derive(Deserialize)]
struct Period {
    startdate: Date,
}

impl NetSuite {
    /// Books a document, on a later date where its period is closed and the request allows it.
    pub(super) async fn book<B: Dated + Send + Sync>(
        &self,
        cause: &Cause,
        wanted: Wanted<'_>,
        header: &Header,
        mut body: B,
    ) -> Result<Recorded, Error> {
        let refused = match self.create(cause, wanted, &body).await {
            Err(Error::Refused { code: "PERIOD_CLOSED", queue, field, reason }) if header.may_redate => {
                Error::Refused { code: "PERIOD_CLOSED", queue, field, reason }
            }
            other => return other,
        };
        let Some(open) = self.next_open(cause, header.dated).await? else { return Err(refused) };
        let (dated, marks, memo) = body.dated();
        (marks.original_date, marks.redate_rule) = (Some(*dated), Some(NEXT_OPEN));
        memo.push_str(&format!(" (dated {dated}, booked {open}: its period is closed, rule {NEXT_OPEN})"));
        *dated = open;
        tracing::info!(object = wanted.object.as_str(), from = %header.dated, to = %open, "its period is closed");
        let recorded = self.create(cause, wanted, &body).await?;
        Ok(Recorded { redated: recorded.redated.or(Some(open)), ..recorded })
    }

    /// First day of the first period after `date` that is open for receivables.
    async fn next_open(&self, cause: &Cause, date: Date) -> Result<Option<Date>, Error> {
        let query = format!(
            "SELECT startdate FROM accountingperiod WHERE startdate > TO_DATE('{date}', 'YYYY-MM-DD') AND closed = 'F' \
             AND arlocked = 'F' AND isyear = 'F' AND isquarter = 'F' AND isadjust = 'F' ORDER BY startdate"
        );
        let period: Option<Period> = self.select_first(cause, &query).await?;
        Ok(period.map(|period| period.startdate))
    }
}
