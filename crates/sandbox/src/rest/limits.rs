//! How many requests an endpoint takes in a second.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

/// Requests of the running second, by endpoint.
#[derive(Debug, Default)]
pub struct Rates(Mutex<(i64, HashMap<String, u32>)>);

impl Rates {
    /// Counts a request; whether it is within `limit` (0: there is none).
    pub fn admit(&self, route: &str, second: i64, limit: u32) -> bool {
        let mut rates = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if rates.0 != second {
            *rates = (second, HashMap::new());
        }
        let count = rates.1.entry(route.to_owned()).or_default();
        *count = count.saturating_add(1);
        limit == 0 || *count <= limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_endpoint_has_its_own_seconds() {
        let rates = Rates::default();
        let admitted: Vec<bool> = (0..3).map(|_| rates.admit("GET /a", 7, 2)).collect();
        assert_eq!(admitted, [true, true, false]);
        assert!(rates.admit("GET /b", 7, 2) && rates.admit("GET /a", 8, 2));
        assert!((0..100).all(|_| rates.admit("GET /c", 8, 0)));
    }
}
