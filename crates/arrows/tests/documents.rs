//! Documents speak of things that are there: links lead somewhere, named files and tests exist, the list of crates is whole.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use arrows::workspace::{members, root};

/// Top-level folders that a path in backticks begins with.
const PLACES: &[&str] = &["crates/", "docs/", "schemas/", "deploy/", "tests/"];
/// The shortest name that is taken for a test's: tests are sentences.
const SENTENCE: usize = 24;

/// Every page that people wrote; those of `docs/schemas` follow from the schemas.
fn pages() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    collect(&root(), "md", &mut found);
    found.retain(|path| !path.starts_with(root().join("docs/schemas")));
    found.into_iter().map(|path| (path.clone(), std::fs::read_to_string(&path).expect("a readable page"))).collect()
}

fn collect(folder: &Path, extension: &str, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a readable folder") {
        let path = entry.expect("a readable entry").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let is_ours = !name.starts_with('.') && name != "target" && name != "node_modules";
        if path.is_dir() && is_ours {
            collect(&path, extension, found);
        } else if path.extension().is_some_and(|own| own == extension) {
            found.push(path);
        }
    }
}

/// What stands between backticks, outside of blocks of code.
fn quoted(text: &str) -> Vec<&str> {
    let prose = text.split("```").step_by(2);
    prose.flat_map(|part| part.split('`').skip(1).step_by(2)).filter(|quote| !quote.contains('\n')).collect()
}

/// Targets of `[text](target)` that are not addresses.
fn links(text: &str) -> Vec<&str> {
    let starts = text.match_indices("](").map(|(at, _)| &text[at + 2..]);
    starts
        .filter_map(|rest| rest.split(')').next())
        .filter(|target| !target.contains("://") && !target.starts_with('#'))
        .collect()
}

#[test]
fn every_link_leads_somewhere() {
    let mut wrong = Vec::new();
    for (page, text) in pages() {
        for link in links(&text) {
            let target = link.split('#').next().unwrap_or_default();
            if !page.parent().expect("a folder").join(target).exists() {
                wrong.push(format!("{} links to {link}", page.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "\n  {}", wrong.join("\n  "));
}

#[test]
fn every_path_in_a_document_is_there() {
    let mut wrong = Vec::new();
    for (page, text) in pages() {
        for quote in quoted(&text) {
            let is_path = PLACES.iter().any(|place| quote.starts_with(place)) && !quote.contains(['<', '*', ' ', '…']);
            if is_path && !root().join(quote).exists() {
                wrong.push(format!("{} names {quote}", page.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "\n  {}", wrong.join("\n  "));
}

#[test]
fn every_test_that_the_readme_names_is_there() {
    let text = std::fs::read_to_string(root().join("README.md")).expect("the readme");
    let mut sources = Vec::new();
    collect(&root().join("crates"), "rs", &mut sources);
    let code: String = sources.iter().map(|path| std::fs::read_to_string(path).expect("a readable source")).collect();
    let is_test = |quote: &&str| quote.len() >= SENTENCE && quote.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    let missing: Vec<&str> =
        quoted(&text).into_iter().filter(is_test).filter(|test| !code.contains(&format!("fn {test}("))).collect();
    assert!(missing.is_empty(), "README.md names tests that are not there: {missing:?}");
}

#[test]
fn the_readme_lists_every_crate_and_no_other() {
    let text = std::fs::read_to_string(root().join("README.md")).expect("the readme");
    let section =
        text.split("## The crates").nth(1).and_then(|rest| rest.split("\n\nRead").next()).expect("the section");
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `")).filter_map(|row| row.split('`').next());
    let listed: BTreeSet<String> = rows.map(str::to_owned).collect();
    let present: BTreeSet<String> = members().into_iter().map(|member| member.name).collect();
    assert_eq!(listed, present);
}
