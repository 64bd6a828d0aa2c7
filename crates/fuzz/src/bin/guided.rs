//! The targets under libFuzzer, guided by coverage: `make libfuzzer TARGET=datum`. `FUZZ_TARGET` names the one that is asked. A finding ends the
//! process, as a panic does, and libFuzzer keeps its input.

#![no_main]

use fuzz::Target;
use std::sync::LazyLock;

static TARGET: LazyLock<Box<dyn Target>> = LazyLock::new(|| {
    let wanted = std::env::var("FUZZ_TARGET").unwrap_or_default();
    let named = |target: &Box<dyn Target>| target.name() == wanted;
    fuzz::targets::all().into_iter().find(named).unwrap_or_else(|| panic!("FUZZ_TARGET: there is no target `{wanted}`"))
});

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    if let Err(what) = TARGET.answer(input) {
        panic!("{what}");
    }
});
