//! Closed periods: where the request allows it, a document is booked on the first day of the next open period, and the record says
//! which date it had and by which rule it was moved. Never silently.

use super::{NetSuite, body::Marks, create::Wanted};
use crate::{Cause, Error, Header, Recorded, queue};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

/// The rule, as records state it.
pub(super) const NEXT_OPEN: &str = "next_open_period";

const PERIOD_CLOSED: &str = "PERIOD_CLOSED";

/// A document that is booked on a date.
pub(super) trait Dated: Serialize {
    fn dated(&mut self) -> (&mut Date, &mut Marks, &mut String);
}

#[derive(Deserialize)]
struct Period {
    startdate: Date,
}

/// `T` or `F` each.
#[derive(Deserialize)]
struct State {
    #[serde(default)]
    closed: String,
    #[serde(default)]
    arlocked: String,
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
            Err(refused) => self.by_its_period(cause, header.dated, refused).await,
            made => return made,
        };
        if !matches!(refused, Error::Refused { code: PERIOD_CLOSED, .. } if header.may_redate) {
            return Err(refused);
        }
        let Some(open) = self.next_open(cause, header.dated).await? else { return Err(refused) };
        let (dated, marks, memo) = body.dated();
        (marks.original_date, marks.redate_rule) = (Some(*dated), Some(NEXT_OPEN));
        memo.push_str(&format!(" (dated {dated}, booked {open}: its period is closed, rule {NEXT_OPEN})"));
        *dated = open;
        tracing::info!(object = wanted.object.as_str(), from = %header.dated, to = %open, "its period is closed");
        let recorded = self.create(cause, wanted, &body).await?;
        Ok(Recorded { redated: recorded.redated.or(Some(open)), ..recorded })
    }

    /// A closed period is told in words, in the language of the account: the calendar tells it for certain.
    async fn by_its_period(&self, cause: &Cause, date: Date, refused: Error) -> Error {
        let Error::Refused { code: "REFUSED_BY_ERP", queue: queue::FINANCE, field, reason } = refused else {
            return refused;
        };
        let code = match self.is_shut(cause, date).await {
            Ok(true) => PERIOD_CLOSED,
            Ok(false) => "REFUSED_BY_ERP",
            // The refusal stands, whatever the calendar would have said.
            Err(error) => {
                tracing::warn!(%error, "the accounting periods cannot be read");
                "REFUSED_BY_ERP"
            }
        };
        Error::Refused { code, queue: queue::FINANCE, field, reason }
    }

    /// Whether the period of `date` is closed, or locked for receivables.
    async fn is_shut(&self, cause: &Cause, date: Date) -> Result<bool, Error> {
        let query = format!(
            "SELECT closed, arlocked FROM accountingperiod WHERE startdate <= TO_DATE('{date}', 'YYYY-MM-DD') AND \
             enddate >= TO_DATE('{date}', 'YYYY-MM-DD') AND isyear = 'F' AND isquarter = 'F' AND isadjust = 'F' ORDER BY startdate"
        );
        let period: Option<State> = self.select_first(cause, &query).await?;
        Ok(period.is_some_and(|period| period.closed == "T" || period.arlocked == "T"))
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
