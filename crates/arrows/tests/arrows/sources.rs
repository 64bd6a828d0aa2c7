//! What source files name. Good enough for a rule: comments and what follows `#[cfg(test)]` are left out.

use std::path::Path;

/// Ways to ask what time it is.
pub const CLOCKS: &[&str] = &[
    "SystemTime::now",
    "Instant::now",
    "Timestamp::now",
    "Zoned::now",
    "UNIX_EPOCH.elapsed",
    "Utc::now",
    "Local::now",
];
/// Ways to wait, to reach the outside, or to draw by chance.
pub const OUTSIDE: &[&str] =
    &["tokio::", "rdkafka", "std::fs", "std::net", "std::thread", "std::env", "rand::", "new_v4", "now_v7"];

/// `file:line` of every line under `place` that names one of `words`. `place` is a file or a folder.
pub fn naming(place: &Path, words: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    visit(place, &mut |file, text| {
        for (number, line) in text.lines().enumerate() {
            if line.trim() == "#[cfg(test)]" {
                break;
            }
            let code = line.split("//").next().unwrap_or_default();
            if let Some(word) = words.iter().find(|word| code.contains(*word)) {
                found.push(format!("{}:{} names {word}", file.display(), number + 1));
            }
        }
    });
    found
}

fn visit(place: &Path, look: &mut impl FnMut(&Path, &str)) {
    if place.is_dir() {
        let entries = std::fs::read_dir(place).expect("a readable folder");
        let mut paths: Vec<_> = entries.map(|entry| entry.expect("a readable entry").path()).collect();
        paths.sort();
        paths.iter().for_each(|path| visit(path, look));
    } else if place.extension().is_some_and(|extension| extension == "rs")
        && place.file_stem() != Some("tests".as_ref())
    {
        look(place, &std::fs::read_to_string(place).expect("a readable file"));
    }
}
