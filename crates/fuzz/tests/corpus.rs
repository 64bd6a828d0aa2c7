//! What was found once is asked again for ever, with a few mutations of it.

use fuzz::{Run, inputs_of, targets};

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
