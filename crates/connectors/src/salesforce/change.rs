//! Our own writes come back: Salesforce tells every subscriber of change events what changed, us too. Who would publish such an event
//! to the suite must drop those, or a write leads to an event that leads to a write.
//!
//! The mark is the client that the call named (`Sforce-Call-Options: client=…`), which the event's `ChangeEventHeader` repeats in
//! `changeOrigin`. It is a mark of the *write*, not of the record: what a person changes on a record of ours is no echo.

/// Where a change came from, as `ChangeEventHeader.changeOrigin` words it:
/// `com/salesforce/api/<api>/<version>;client=<client>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChangeOrigin<'a> {
    /// The client that the call named; `None` for a call that named none and for people at a screen.
    pub client: Option<&'a str>,
}

impl<'a> ChangeOrigin<'a> {
    /// Reads it; what cannot be read has no client, so that a change is rather taken twice than lost.
    #[must_use]
    pub fn parse(text: &'a str) -> Self {
        let client = text.split(';').skip(1).find_map(|part| part.trim().strip_prefix("client="));
        Self { client: client.filter(|client| !client.is_empty()) }
    }
}

/// Whether a change event is about a write of the given client.
#[must_use]
pub fn is_echo(change_origin: &str, client: &str) -> bool {
    ChangeOrigin::parse(change_origin).client == Some(client)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::salesforce::CLIENT;

    #[test]
    fn only_a_write_of_ours_is_an_echo() {
        assert!(is_echo("com/salesforce/api/rest/66.0;client=throughline", CLIENT));
        for other in [
            "",
            "com/salesforce/api/rest/66.0",
            "com/salesforce/api/rest/66.0;client=",
            "com/salesforce/api/rest/66.0;client=throughline2",
            "com/salesforce/api/soap/66.0;client=SfdcInternalAPI/",
            "client=throughline",
        ] {
            assert!(!is_echo(other, CLIENT), "{other}");
        }
    }
}
