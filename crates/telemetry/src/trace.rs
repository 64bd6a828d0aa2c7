//! W3C trace context: one hop in, one hop out. Ids are derived, not drawn, so that a replay gives the same ones.

use sha2::{Digest, Sha256};
use std::{fmt, str::FromStr};

/// A `traceparent`. Displays in its wire form, `00-<trace>-<span>-<flags>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceContext {
    pub trace_id: [u8; 16],
    pub span_id: [u8; 8],
    /// Bit 0: sampled.
    pub flags: u8,
}

impl TraceContext {
    /// Reads a `traceparent` header; `None` if it is not valid, as the recommendation asks: start a new trace then.
    #[must_use]
    pub fn parse(header: &str) -> Option<Self> {
        let mut parts = header.trim().split('-');
        let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let version = byte(version)?;
        if version == 0xff || (version == 0 && parts.next().is_some()) {
            return None;
        }
        let context = Self { trace_id: bytes(trace)?, span_id: bytes(span)?, flags: byte(flags)? };
        (context.trace_id != [0; 16] && context.span_id != [0; 8]).then_some(context)
    }

    /// A new, sampled trace named by `seed`, such as an event's uid.
    #[must_use]
    pub fn root(seed: impl AsRef<[u8]>) -> Self {
        let digest = Sha256::digest(seed.as_ref());
        let mut context = Self { trace_id: [0; 16], span_id: [0; 8], flags: 1 };
        context.trace_id.copy_from_slice(&digest[..16]);
        context.span_id.copy_from_slice(&digest[16..24]);
        context
    }

    /// The next hop: the same trace, a span id derived from this span and `seed` (such as an effect key).
    #[must_use]
    pub fn child(&self, seed: impl AsRef<[u8]>) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(self.trace_id);
        hasher.update(self.span_id);
        hasher.update(seed.as_ref());
        let mut span_id = [0; 8];
        span_id.copy_from_slice(&hasher.finalize()[..8]);
        // An id of zeros means "none"; it may come out once in 2^64.
        span_id[7] |= u8::from(span_id == [0; 8]);
        Self { span_id, ..*self }
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("00-")?;
        self.trace_id.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str("-")?;
        self.span_id.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        write!(f, "-{:02x}", self.flags)
    }
}

impl FromStr for TraceContext {
    type Err = String;

    fn from_str(header: &str) -> Result<Self, Self::Err> {
        Self::parse(header).ok_or_else(|| "not a traceparent: want 00-<32 hex>-<16 hex>-<2 hex>".to_owned())
    }
}

/// Makes `span` a child of the hop in `traceparent`. Without the `otlp` feature, and with a header that is not valid, it does
/// nothing: the header is still passed on to outside calls.
pub fn adopt(span: &tracing::Span, traceparent: &str) {
    #[cfg(feature = "otlp")]
    if let Some(context) = TraceContext::parse(traceparent) {
        crate::otlp::set_parent(span, &context);
    }
    #[cfg(not(feature = "otlp"))]
    let _ = (span, traceparent);
}

fn byte(hex: &str) -> Option<u8> {
    bytes::<1>(hex).map(|[byte]| byte)
}

/// Lower-case hex of exactly `N` bytes.
fn bytes<const N: usize>(hex: &str) -> Option<[u8; N]> {
    let digit = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let hex = hex.as_bytes();
    if hex.len() != 2 * N {
        return None;
    }
    let mut out = [0; N];
    for (byte, pair) in out.iter_mut().zip(hex.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_traceparent_reads_back_as_it_was() {
        assert_eq!(TraceContext::parse(HEADER).map(|context| context.to_string()).as_deref(), Some(HEADER));
    }

    #[test]
    fn a_header_that_is_not_valid_is_no_context() {
        let bad = [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-extra",
            "00-4bf92f3577b34da6a3ce929d0e0e473ü-00f067aa0ba902b7-01",
        ];
        for header in bad {
            assert_eq!(TraceContext::parse(header), None, "{header}");
        }
    }

    #[test]
    fn a_newer_version_may_say_more() {
        let newer = "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more";
        assert_eq!(TraceContext::parse(newer).map(|context| context.to_string()).as_deref(), Some(HEADER));
    }

    #[test]
    fn a_child_stays_in_its_trace_and_is_the_same_on_every_replay() {
        let parent = TraceContext::root("event 1");
        let (one, again, other) = (parent.child("a"), parent.child("a"), parent.child("b"));
        assert_eq!(one, again);
        assert_ne!(one.span_id, other.span_id);
        assert_ne!(one.span_id, parent.span_id);
        assert_eq!(one.trace_id, parent.trace_id);
    }
}
