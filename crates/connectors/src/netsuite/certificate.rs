//! The end of the certificate that NetSuite knows us by: nobody is told of it but by a refusal, so it is told here in time.

use jiff::Timestamp;
use std::path::Path;
use x509_cert::{Certificate, der::DecodePem as _};

/// From how long before its end a certificate is warned about, at every renewal of the token.
const WARN_DAYS: i64 = 30;

/// What to do, in the words of whoever has to do it.
pub(super) const REMEDY: &str = "map a new certificate in NetSuite (OAuth 2.0 client credentials set-up), then replace the files of key, \
                                 certificate id and certificate; nothing needs a restart";

/// When a certificate ends.
///
/// # Errors
/// The file cannot be read, or holds no certificate in PEM.
pub(super) async fn ends_at(path: &Path) -> Result<Timestamp, String> {
    let pem = tokio::fs::read(path).await.map_err(|error| format!("{}: {error}", path.display()))?;
    ends(&pem).map_err(|reason| format!("{}: {reason}", path.display()))
}

fn ends(pem: &[u8]) -> Result<Timestamp, String> {
    let certificate = Certificate::from_pem(pem).map_err(|error| format!("not a certificate in PEM: {error}"))?;
    let ends = certificate.tbs_certificate.validity.not_after.to_unix_duration().as_secs();
    let seconds = i64::try_from(ends).map_err(|_| "its end is out of range".to_owned())?;
    Timestamp::from_second(seconds).map_err(|_| "its end is out of range".to_owned())
}

/// What is to be told of a certificate that ends then.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Notice {
    Fine,
    EndsIn { days: i64 },
    Over,
}

pub(super) fn notice(ends: Timestamp, now: Timestamp) -> Notice {
    let days = (ends.as_second() - now.as_second()).div_euclid(24 * 3_600);
    match days {
        ..0 => Notice::Over,
        0..=WARN_DAYS => Notice::EndsIn { days },
        _ => Notice::Fine,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_warned_about_for_a_month_and_then_over() {
        let ends = ends(include_bytes!("../../tests/certificate.pem")).expect("a certificate");
        let before = |days: i64| Timestamp::from_second(ends.as_second() - days * 24 * 3_600).expect("a time");
        assert_eq!(notice(ends, before(31)), Notice::Fine);
        assert_eq!(notice(ends, before(30)), Notice::EndsIn { days: 30 });
        assert_eq!(notice(ends, before(0)), Notice::EndsIn { days: 0 });
        assert_eq!(notice(ends, before(-1)), Notice::Over);
    }

    #[test]
    fn a_file_that_is_no_certificate_is_named() {
        assert!(ends(b"hello").expect_err("no certificate").contains("PEM"));
    }
}
