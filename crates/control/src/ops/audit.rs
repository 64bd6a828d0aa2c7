//! The audit: who did what and why, and whether anybody changed it.

use super::{
    page::{Page, cursor},
    typed,
};
use crate::{
    app::{OWN, Session},
    error::{Error, Kind, Result},
    letters::time,
};
use ledger::{AuditRow, Ledger};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

#[derive(Deserialize)]
struct Input {
    service: Option<String>,
    #[serde(flatten)]
    page: Page,
}

/// Rows that are checked in one go.
const VERIFY_PAGE: usize = 10_000;

/// The named ledger, or all with control's own.
async fn services(session: &Session<'_>, named: Option<&str>) -> Result<Vec<String>> {
    let mut services = session.services(named).await?;
    if named.is_none() && session.caller.may(session.right, OWN) {
        services.push(OWN.to_owned());
    }
    Ok(services)
}

/// The cursor of a list: by service, the row below which the next page begins; 0 where nothing is left.
type Marks = BTreeMap<String, i64>;

pub(super) async fn list(session: &Session<'_>, input: Value) -> Result<Value> {
    let Input { service, page } = typed(input)?;
    let wrong = || Error::invalid("`cursor` is none of ours").hint("pass `next` of the last answer as it is");
    let marks = page.after()?.map(|mark| serde_json::from_str::<Marks>(&mark).map_err(|_| wrong())).transpose()?;
    let (mut rows, mut left) = (Vec::new(), Marks::new());
    for service in services(session, service.as_deref()).await? {
        let Some(ledger) = existing(session, &service).await? else { continue };
        // A service that came up since the first page has no mark: its rows are newer than what is left.
        let below = marks.as_ref().map(|marks| marks.get(&service).copied().unwrap_or(0));
        let newest = below_mark(&*ledger, below, page.limit()).await?;
        let begins = newest.iter().map(|row| row.seq + 1).max().unwrap_or(0);
        left.insert(service.clone(), begins);
        rows.extend(newest.into_iter().map(|row| (service.clone(), row)));
    }
    rows.sort_by(|(a, x), (b, y)| (y.row.at_ms, b, y.seq).cmp(&(x.row.at_ms, a, x.seq)));
    rows.truncate(page.limit());
    for (service, row) in &rows {
        left.entry(service.clone()).and_modify(|mark| *mark = row.seq.min(*mark));
    }
    let next = left.values().any(|mark| *mark > 1).then(|| cursor(&json!(left).to_string()));
    let rows: Vec<Value> = rows.iter().map(|(service, row)| shown(service, row)).collect();
    Ok(json!({ "audit": rows, "next": next }))
}

/// The newest rows below a mark. Rows are numbered without a gap.
async fn below_mark(ledger: &dyn Ledger, below: Option<i64>, limit: usize) -> Result<Vec<AuditRow>> {
    let Some(below) = below else { return Ok(ledger.audit(limit).await?) };
    let from = below.saturating_sub_unsigned(limit as u64).max(1);
    let mut rows = if from < below { ledger.audit_page(from, limit).await? } else { Vec::new() };
    rows.retain(|row| row.seq < below);
    Ok(rows)
}

pub(super) async fn verify(session: &Session<'_>, input: Value) -> Result<Value> {
    let Input { service, .. } = typed(input)?;
    let mut results = Vec::new();
    let mut ok = true;
    for service in services(session, service.as_deref()).await? {
        let Some(ledger) = existing(session, &service).await? else { continue };
        let (mut from, mut rows, mut broken) = (1, 0, None);
        let mut last: Option<AuditRow> = None;
        loop {
            let page = ledger.audit_page(from, VERIFY_PAGE).await?;
            let Some(end) = page.last().cloned() else { break };
            // The last row before stands in front, so that the chain has no gap between pages.
            if page.first().is_some_and(|first| first.seq != from) {
                broken = Some(from);
                break;
            }
            let chain: Vec<AuditRow> = last.take().into_iter().chain(page).collect();
            rows = end.seq;
            if let Err(seq) = ledger::verify_audit(&chain) {
                broken = Some(seq);
                break;
            }
            from = end.seq + 1;
            last = Some(end);
        }
        ok &= broken.is_none();
        results.push(json!({ "service": service, "ok": broken.is_none(), "rows": rows, "broken_at": broken }));
    }
    Ok(json!({ "ok": ok, "ledgers": results }))
}

pub(super) async fn export(session: &Session<'_>, input: Value) -> Result<Value> {
    let Input { service, page } = typed(input)?;
    let Some(service) = service else {
        return Err(Error::invalid("`service` is missing: an audit is exported service by service"));
    };
    let ledger = session.ledger(&service).await?;
    let after = page.after()?.map_or(Ok(0), |mark| mark.parse::<i64>());
    let after = after.map_err(|_| Error::invalid("`cursor` is none of ours"))?;
    let rows = ledger.audit_page(after + 1, page.limit()).await?;
    let next = (rows.len() == page.limit()).then(|| rows.last().map(|row| cursor(&row.seq.to_string()))).flatten();
    let rows: Vec<Value> = rows.iter().map(|row| shown(&service, row)).collect();
    Ok(json!({ "audit": rows, "next": next }))
}

/// `None` for a service that never ran.
async fn existing(session: &Session<'_>, service: &str) -> Result<Option<std::sync::Arc<dyn ledger::Ledger>>> {
    match session.ledger(service).await {
        Ok(ledger) => Ok(Some(ledger)),
        Err(error) if error.kind == Kind::Unavailable && error.code == "NO_LEDGER" => Ok(None),
        Err(error) => Err(error),
    }
}

fn shown(service: &str, row: &AuditRow) -> Value {
    let parsed = |text: &Option<String>| {
        text.as_ref().map(|text| serde_json::from_str::<Value>(text).unwrap_or_else(|_| Value::String(text.clone())))
    };
    json!({
        "service": service, "seq": row.seq, "at": time(row.row.at_ms), "actor": row.row.actor, "action": row.row.action,
        "subject": row.row.subject, "reason": row.row.reason, "before": parsed(&row.row.before),
        "after": parsed(&row.row.after), "hash": row.hash,
    })
}
