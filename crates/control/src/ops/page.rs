//! Pages of a list, and the letters of all services that a selection means.

use crate::{
    app::Session,
    error::{Error, Kind, Result},
    letters::{Compiled, Sample, Seen, Selection, Walk},
    rights::Right,
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use ledger::{Ledger, ParkedCursor, ParkedFilter};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::{cmp::Ordering, sync::Arc};

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

/// Where a letter stands in the order of all services' letters: by time of parking, service, slice, sequence, number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Mark {
    at: i64,
    service: String,
    slice: i32,
    sequence: String,
    no: i64,
}

impl Mark {
    fn of(seen: &Seen) -> Self {
        let id = seen.id.clone();
        Self { at: seen.record.parked_ms, service: id.service, slice: id.slice, sequence: id.sequence, no: id.no }
    }

    /// Where the rest of a service's letters begins.
    fn in_service(&self, service: &str) -> ParkedCursor {
        let end = |parked_ms| ParkedCursor { parked_ms, slice: i32::MAX, sequence: String::new(), no: i64::MAX };
        match service.cmp(&self.service) {
            Ordering::Less => end(self.at),
            Ordering::Equal => {
                ParkedCursor { parked_ms: self.at, slice: self.slice, sequence: self.sequence.clone(), no: self.no }
            }
            Ordering::Greater => end(self.at.saturating_sub(1)),
        }
    }
}

/// The letters that a selection means, over the services that the caller may see, oldest first. Memory holds a page of each
/// service's ledger.
pub(super) struct Letters {
    walks: Vec<(Walk, Option<Seen>)>,
    sample: Option<usize>,
}

/// More letters than this are not decoded for what they are worth in one request.
const MOST_BODIES: u64 = 250_000;

/// Whether what matches can be decoded in one request, and if not, the words for it.
pub(super) async fn too_many_for_money(session: &Session<'_>, selection: &Selection) -> Result<Option<String>> {
    let compiled = selection.compile(session.app.now_ms())?;
    let filter = ParkedFilter { limit: 10_000, ..compiled.filter() };
    let mut rows = 0;
    for (_, ledger) in ledgers(session, selection, &compiled).await? {
        rows += ledger.letter_counts(&filter).await?.iter().map(|count| count.rows).sum::<u64>();
    }
    let said = || format!("left out: {rows} letters may match, money is told of at most {MOST_BODIES}");
    Ok((rows > MOST_BODIES).then(said))
}

/// The ledgers that a selection is about.
async fn ledgers(
    session: &Session<'_>,
    selection: &Selection,
    compiled: &Compiled,
) -> Result<Vec<(String, Arc<dyn Ledger>)>> {
    let named = selection.service.as_deref();
    let mut found = Vec::new();
    for service in session.services(named).await? {
        // A condition on the body would tell what is in it.
        if compiled.reads_body() {
            session.must(Right::DlqPayloadRead, &service).await?;
        }
        match session.ledger(&service).await {
            Ok(ledger) => found.push((service, ledger)),
            // A service that never ran has no letters, unless it is the one that was asked about.
            Err(error) if error.kind == Kind::Unavailable && error.code == "NO_LEDGER" && named.is_none() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

impl Letters {
    /// All that match.
    pub async fn of(session: &Session<'_>, selection: &Selection, with_bodies: bool) -> Result<Self> {
        Self::behind(session, selection, with_bodies, None).await
    }

    async fn behind(
        session: &Session<'_>,
        selection: &Selection,
        with_bodies: bool,
        mark: Option<Mark>,
    ) -> Result<Self> {
        let compiled = Arc::new(selection.compile(session.app.now_ms())?);
        let mut walks = Vec::new();
        for (service, ledger) in ledgers(session, selection, &compiled).await? {
            let after = mark.as_ref().map(|mark| mark.in_service(&service));
            let decoder = session.app.decoder();
            let mut walk = Walk::begin(ledger, &service, decoder, compiled.clone(), with_bodies, after).await?;
            let first = walk.next().await?;
            walks.push((walk, first));
        }
        Ok(Self { walks, sample: compiled.sample() })
    }

    /// The next one.
    ///
    /// # Errors
    /// If a ledger does not answer, or has more than one request may look at.
    pub async fn next(&mut self) -> Result<Option<Seen>> {
        let place = |seen: &Seen| (seen.record.parked_ms, seen.id.clone());
        let waiting = self.walks.iter_mut().filter(|(_, next)| next.is_some());
        let Some((walk, next)) = waiting.min_by_key(|(_, next)| next.as_ref().map(place)) else { return Ok(None) };
        let found = next.take();
        *next = walk.next().await?;
        Ok(found)
    }

    /// Hands each letter, or each of the sample, to `visit`.
    pub async fn each(mut self, mut visit: impl FnMut(Seen) -> Result<()>) -> Result<()> {
        let Some(wanted) = self.sample else {
            while let Some(seen) = self.next().await? {
                visit(seen)?;
            }
            return Ok(());
        };
        let mut sample = Sample::new(wanted);
        while let Some(seen) = self.next().await? {
            sample.add(seen);
        }
        sample.taken().into_iter().try_for_each(visit)
    }
}

/// One page of letters, and where the next one begins.
pub(super) async fn of_letters(
    session: &Session<'_>,
    selection: &Selection,
    page: &Page,
) -> Result<(Vec<Seen>, Option<String>)> {
    let wrong = || Error::invalid("`cursor` is none of ours").hint("pass `next` of the last answer as it is");
    let mark = page.after()?.map(|mark| serde_json::from_str::<Mark>(&mark).map_err(|_| wrong())).transpose()?;
    let place = |seen: &Seen| json!(Mark::of(seen)).to_string();
    let mut rows = Vec::new();
    if selection.sample.is_some() {
        let letters = Letters::of(session, selection, true).await?;
        letters
            .each(|seen| {
                rows.push(seen);
                Ok(())
            })
            .await?;
        let done = mark.map_or(0, |mark| rows.iter().position(|seen| Mark::of(seen) == mark).map_or(0, |at| at + 1));
        rows.drain(..done);
    } else {
        let mut letters = Letters::behind(session, selection, true, mark).await?;
        // One more than the page tells whether there is another page.
        while rows.len() <= page.limit()
            && let Some(seen) = letters.next().await?
        {
            rows.push(seen);
        }
    }
    let more = rows.len() > page.limit();
    rows.truncate(page.limit());
    let next = rows.last().filter(|_| more).map(|last| cursor(&place(last)));
    Ok((rows, next))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_says_for_each_service_where_the_rest_begins() {
        let mark = Mark { at: 5, service: "m".to_owned(), slice: 3, sequence: "s".to_owned(), no: 7 };
        let row = |parked_ms, slice, no| ParkedCursor { parked_ms, slice, sequence: "s".to_owned(), no };
        assert!(row(5, 3, 7) <= mark.in_service("m") && row(5, 3, 8) > mark.in_service("m"));
        assert!(row(5, 9, 9) <= mark.in_service("a") && row(6, 0, 0) > mark.in_service("a"));
        assert!(row(5, 0, 0) > mark.in_service("z") && row(4, 9, 9) <= mark.in_service("z"));
    }

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
