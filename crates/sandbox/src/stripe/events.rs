//! Webhooks as a receiver would get them: signed, and on demand in another order or more than once.

use hmac::{Hmac, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

use super::store::{Store, seconds};
use crate::rest::{App, Delivery};

/// All events, oldest first unless `delivery` says otherwise; each with the header that proves where it comes from.
pub fn deliveries(app: &App, delivery: Delivery) -> Value {
    let secret = app.credentials.derived("whsec");
    let now = seconds(app.clock.now_ms());
    let mut state = app.state();
    let store = Store::by_itself(&mut state, 0);
    let mut bodies: Vec<String> = store.newest("event").into_iter().rev().map(Value::to_string).collect();
    let once = bodies.clone();
    for _ in 1..delivery.times.clamp(1, 10) {
        bodies.extend_from_slice(&once);
    }
    if let Some(seed) = delivery.shuffle {
        shuffle(&mut bodies, seed);
    }
    let sent: Vec<Value> = bodies
        .into_iter()
        .map(|body| json!({ "headers": { "Stripe-Signature": signature(&secret, now, &body) }, "body": body }))
        .collect();
    json!({ "secret": secret, "deliveries": sent })
}

/// `t=…,v1=…`: HMAC-SHA256 of time, point and body.
fn signature(secret: &str, at: i64, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes a key of any length");
    mac.update(format!("{at}.{body}").as_bytes());
    let hex: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("t={at},v1={hex}")
}

/// Fisher and Yates, by a generator that depends on nothing but the seed (SplitMix64).
fn shuffle(rows: &mut [String], seed: u64) {
    let mut state = seed;
    for at in (1..rows.len()).rev() {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        let other = usize::try_from((mixed ^ (mixed >> 31)) % (at as u64 + 1)).unwrap_or(0);
        rows.swap(at, other);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shuffle_keeps_everything_and_can_be_repeated() {
        let rows: Vec<String> = (0..20).map(|number| number.to_string()).collect();
        let (mut once, mut again) = (rows.clone(), rows.clone());
        shuffle(&mut once, 7);
        shuffle(&mut again, 7);
        assert_eq!(once, again);
        assert_ne!(once, rows);
        once.sort_by_key(|row| row.parse::<u32>().expect("a number"));
        assert_eq!(once, rows);
    }
}
