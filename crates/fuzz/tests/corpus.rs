//! What was found once is asked again for ever, with a few mutations of it.

use fuzz::{Run, inputs_of, targets};

/// As the fuzzer does, with a decoder in another language beside ours. `make setup` installs it; where it is not there, this says so.
#[test]
fn fastavro_reads_what_we_read() {
    let abroad = match targets::abroad() {
        Ok(target) => target,
        Err(why) => {
            assert!(std::env::var_os("THROUGHLINE_PYTHON").is_none(), "{why:#}");
            return eprintln!("nothing is compared: {why:#}");
        }
    };
    let corpus = inputs_of(&*abroad).expect("readable");
    let mut run = Run::start(&*abroad, corpus, 1).unwrap_or_else(|finding| panic!("{}", finding.what));
    for _ in 0..2_000 {
        run.step().unwrap_or_else(|finding| panic!("{} {:?}", finding.what, finding.input));
    }
    assert!(run.answers() > 10);
}

#[test]
fn every_kept_input_and_some_mutations_of_it_are_answered() {
    for target in targets::all() {
        let corpus = inputs_of(&*target).expect("readable");
        assert!(!corpus.is_empty(), "{} has inputs to begin with", target.name());
        let mut run =
            Run::start(&*target, corpus, 1).unwrap_or_else(|finding| panic!("{}: {}", target.name(), finding.what));
        let steps = if target.name().starts_with("decide") { 5 } else { 500 };
        for _ in 0..steps {
            run.step().unwrap_or_else(|finding| panic!("{}: {} {:?}", target.name(), finding.what, finding.input));
        }
        assert!(run.answers() > 1, "{} answers in more than one way", target.name());
    }
}
