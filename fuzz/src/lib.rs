//! What the targets share: libFuzzer brings the bytes, a target of `crates/fuzz` answers, and what must not be ends the process, as a
//! panic does.

use std::{collections::BTreeMap, sync::LazyLock};

type Targets = BTreeMap<&'static str, Box<dyn fuzz::Target>>;

/// Asks a target.
///
/// # Panics
/// With what must not be, so that libFuzzer keeps the input.
pub fn ask(name: &str, input: &[u8]) {
    static TARGETS: LazyLock<Targets> =
        LazyLock::new(|| fuzz::targets::all().into_iter().map(|target| (target.name(), target)).collect());
    let target = TARGETS.get(name).unwrap_or_else(|| panic!("there is no target `{name}`"));
    if let Err(what) = target.answer(input) {
        panic!("{what}");
    }
}
