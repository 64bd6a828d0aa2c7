//! Pages of a list, and the letters of all services that a selection means.

use crate::{
    app::Session,
    error::{Error, Kind, Result},
    letters::{Seen, Selection, gather},
    rights::Right,
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::Deserialize;

/// `limit` and `cursor`.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Page {
    limit: Option<usize>,
    cursor: Option<String>,
}

impl Page {
    pub fn limit(&self) -> usize {
        self.limit.unwrap_or(100)
    }

    /// The last item of the page before, in the words of [`Self::cut`].
    pub fn after(&self) -> Result<Option<String>> {
        let Some(cursor) = &self.cursor else { return Ok(None) };
        let text = BASE64_URL_SAFE_NO_PAD.decode(cursor).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let wrong = || Error::invalid("`cursor` is none of ours").hint("pass `next` of the last answer as it is");
        text.map(Some).ok_or_else(wrong)
    }

    /// The items after the cursor, and the next cursor where there are more. Items must be in the order of their marks.
    pub fn cut<T>(&self, items: Vec<T>, mark: impl Fn(&T) -> String) -> Result<(Vec<T>, Option<String>)> {
        let after = self.after()?;
        let mut rest = items.into_iter().skip_while(|item| after.as_ref().is_some_and(|after| mark(item) <= *after));
        let page: Vec<T> = rest.by_ref().take(self.limit()).collect();
        let more = rest.next().is_some();
        let next = page.last().filter(|_| more).map(|last| cursor(&mark(last)));
        Ok((page, next))
    }
}

pub(super) fn cursor(mark: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(mark)
}

/// The letters that a selection means, over the services that the caller may see, oldest first.
pub(super) async fn selected(session: &Session<'_>, selection: &Selection, with_bodies: bool) -> Result<Vec<Seen>> {
    let compiled = selection.compile(session.app.now_ms())?;
    let mut found = Vec::new();
    let decoder = session.app.decoder();
    let named = selection.service.as_deref();
    for service in session.services(named).await? {
        // A condition on the body would tell what is in it.
        if compiled.condition.as_ref().is_some_and(|condition| condition.reads_body) {
            session.must(Right::DlqPayloadRead, &service).await?;
        }
        let ledger = match session.ledger(&service).await {
            Ok(ledger) => ledger,
            // A service that never ran has no letters, unless it is the one that was asked about.
            Err(error) if error.kind == Kind::Unavailable && error.code == "NO_LEDGER" && named.is_none() => continue,
            Err(error) => return Err(error),
        };
        found.extend(gather(&*ledger, &service, &decoder, &compiled, with_bodies).await?);
    }
    found.sort_by(|a, b| (a.record.parked_ms, &a.id).cmp(&(b.record.parked_ms, &b.id)));
    Ok(found)
}

/// Where a letter stands in that order, as text that sorts alike.
pub(super) fn mark(seen: &Seen) -> String {
    format!("{:020} {}", seen.record.parked_ms, sortable(seen))
}

fn sortable(seen: &Seen) -> String {
    let id = &seen.id;
    format!(
        "{}\u{0}{:010}\u{0}{}\u{0}{:020}",
        id.service,
        id.slice,
        id.sequence,
        i128::from(id.no) - i128::from(i64::MIN)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_each_other_without_gaps_or_repeats() {
        let items: Vec<u32> = (0..25).collect();
        let (mut page, mut seen) = (Page { limit: Some(10), cursor: None }, Vec::new());
        loop {
            let (part, next) = page.cut(items.clone(), |item| format!("{item:05}")).unwrap();
            seen.extend(part);
            let Some(next) = next else { break };
            page.cursor = Some(next);
        }
        assert_eq!(seen, items);
        assert!(Page { limit: None, cursor: Some("%%%".to_owned()) }.after().is_err());
    }
}
