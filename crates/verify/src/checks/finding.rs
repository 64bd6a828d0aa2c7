//! What was compared and what did not hold.

use crate::Check;

pub struct Finding {
    pub counted: u64,
    pub breaks: Vec<String>,
}

impl Finding {
    pub const fn new() -> Self {
        Self { counted: 0, breaks: Vec::new() }
    }

    pub fn expect(&mut self, holds: bool, what: impl FnOnce() -> String) {
        self.counted += 1;
        if !holds {
            self.breaks.push(what());
        }
    }

    pub fn check(self, id: &'static str, rule: &'static str, unit: &str) -> Check {
        const SHOWN: usize = 5;
        let ok = self.breaks.is_empty();
        let detail = if ok {
            format!("{} {unit}", self.counted)
        } else {
            let more = self.breaks.len().saturating_sub(SHOWN);
            let shown = self.breaks.iter().take(SHOWN).cloned().collect::<Vec<_>>().join("; ");
            if more > 0 { format!("{shown}; and {more} more") } else { shown }
        };
        Check { service: String::new(), id, rule, ok, counted: self.counted, detail }
    }
}

impl Default for Finding {
    fn default() -> Self {
        Self::new()
    }
}

/// A check that has nothing to compare with; it says so.
pub fn unchecked(id: &'static str, rule: &'static str) -> Check {
    let detail = "not checked: no outside system was given".to_owned();
    Check { service: String::new(), id, rule, ok: true, counted: 0, detail }
}
