//! The list of mutants keeps up with the code; that each is found is what `make mutants` shows.

use proof::mutant::{all, all_applied};
use std::{collections::BTreeSet, path::Path};

#[test]
fn every_mutant_still_fits_the_code_exactly_once() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mutants = all().expect("a good list");
    assert!(mutants.len() >= 20, "{} mutants", mutants.len());
    let names: BTreeSet<_> = mutants.iter().map(|mutant| &mutant.name).collect();
    assert_eq!(names.len(), mutants.len(), "each has a name of its own");
    let texts = all_applied(&mutants, &root).expect("each text is there once");
    assert!(mutants.iter().all(|mutant| texts.contains_key(&mutant.file)));
}

#[test]
fn the_table_in_the_documents_names_every_mutant() {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/mutants.md"));
    let page = page.expect("docs/mutants.md");
    for mutant in all().expect("a good list") {
        assert!(page.contains(&format!("| {} |", mutant.name)), "`make mutants` has to be run: {}", mutant.name);
    }
}
