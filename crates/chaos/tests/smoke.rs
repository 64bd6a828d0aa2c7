//! The short chaos run, as the program runs it.

use std::process::Command;

#[test]
fn the_short_run_keeps_every_promise() {
    let scratch = testkit::Scratch::try_new("chaos-smoke").expect("a folder");
    let mut chaos = Command::new(env!("CARGO_BIN_EXE_chaos"));
    let output = chaos.args(["--smoke", "--state"]).arg(scratch.join("state.ndjson")).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains(" 0 broken, 0 void, 0 not run"), "{said}");
}
