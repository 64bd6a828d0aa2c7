//! `[letters]`: what dead letters say, and what the service does about them by itself.

use crate::{
    machine::millis_of,
    upkeep::{Auto, Policy},
};
use events::foreign::{self, Family};
use service::config::{Config, Section};
use std::{collections::BTreeMap, time::Duration};

/// Settings of dead letters; what stops a slice is in `[runtime]`.
#[derive(Debug, Clone)]
pub struct Letters {
    /// Families whose header names our letters carry beside our own.
    pub aliases: Vec<Family>,
    /// What is done about letters whose cause is gone.
    pub policy: Policy,
    /// How long jobs that are over, and other decisions about letters, are kept.
    pub keep_decisions: Duration,
}

impl Config for Letters {
    fn read(s: &mut Section<'_>) -> Self {
        let words = s.optional::<String>(
            "aliases",
            "tools whose header names dead letters carry beside ours, such as \"spring,connect\": \
             spring, spring-retry, connect, streams, share-group, smallrye",
        );
        let aliases = aliases(s, words);
        let policy = policy(s);
        let keep_decisions = s.or(
            "keep_decisions",
            Duration::from_secs(400 * 24 * 3_600),
            "how long jobs that are over, expired rules and resolved groups are kept, if no letter of theirs is open",
        );
        let day = Duration::from_secs(24 * 3_600);
        s.rule(&["keep_decisions"], keep_decisions >= day, "must be at least 24h", "9600h is a good value");
        Self { aliases, policy, keep_decisions }
    }
}

fn aliases(s: &mut Section<'_>, words: Option<String>) -> Vec<Family> {
    let mut aliases = Vec::new();
    for word in words.iter().flat_map(|words| words.split(',')).map(str::trim) {
        match foreign::alias(word) {
            Ok(family) if aliases.contains(&family) => {
                s.rule(&["aliases"], false, "names a tool twice", "once is enough")
            }
            Ok(family) => aliases.push(family),
            Err(wrong) => s.rule(&["aliases"], false, &wrong, "such as \"spring,connect\""),
        }
    }
    aliases
}

fn policy(s: &mut Section<'_>) -> Policy {
    let help = "what is done about letters that would end if they were retried now";
    let default = s.choice("auto", "propose", &Auto::WORDS, help);
    let every = s.or("auto_every", Duration::from_secs(30 * 60), "between two looks at all causes of a slice");
    let sample = s.or("auto_sample", 3, "letters of each cause that today's code is asked about");
    let rate = s.or("auto_rate", 10, "letters a second of jobs that rules and `auto` start");
    let named: BTreeMap<String, String> = s.map("auto_for", "`auto` for one class or code");
    let mut special = BTreeMap::new();
    for (name, word) in named {
        let auto = Auto::WORDS.iter().find(|(known, _)| *known == word).map(|(_, auto)| *auto);
        if let Some(wrong) = Policy::wrong_name(&name) {
            s.rule(&["auto_for"], false, &wrong, "`throughline explain` lists the codes");
        }
        match auto {
            Some(auto) => drop(special.insert(name, auto)),
            None => s.rule(&["auto_for"], false, &format!("`{name}` = {word:?}"), "use one of off, propose, retry"),
        }
    }
    let minute = Duration::from_secs(60);
    s.rule(&["auto_every"], every >= minute, "must be at least 1m", "30m is a good value");
    s.rule(&["auto_sample"], (1..=100).contains(&sample), "must be from 1 to 100", "3 is a good value");
    s.rule(&["auto_rate"], rate > 0, "must be at least 1", "10 is a good value");
    Policy { default, special, every_ms: millis_of(every), sample, rate }
}

#[cfg(test)]
mod tests {
    use super::*;
    use failure::Class;
    use service::config::{Source, load};

    struct Root(Letters);

    impl Config for Root {
        fn read(section: &mut Section<'_>) -> Self {
            Self(section.section("letters"))
        }
    }

    fn read(text: &str) -> Result<Letters, String> {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("service.toml");
        std::fs::write(&file, text).expect("a file");
        let loaded = load::<Root>(&Source { file: Some(file), ..Source::default() });
        loaded.map(|loaded| loaded.config.0).map_err(|problems| format!("{problems:?}"))
    }

    #[test]
    fn nothing_is_written_or_retried_unless_somebody_says_so() {
        let letters = read("").expect("defaults are sound");
        assert_eq!((letters.aliases.len(), letters.policy.default), (0, Auto::Propose));
        assert!(letters.policy.special.is_empty());
    }

    #[test]
    fn families_and_policies_are_read_and_wrong_ones_named() {
        let text = "[letters]\naliases = \"spring, connect\"\nauto = \"off\"\n[letters.auto_for]\nSCHEMA_ID_UNKNOWN = \"retry\"\n";
        let letters = read(text).expect("sound");
        assert_eq!(letters.aliases, [Family::SpringDeadLetter, Family::KafkaConnect]);
        assert_eq!(letters.policy.of(Class::Poison, "SCHEMA_ID_UNKNOWN"), Auto::Retry);
        assert_eq!(letters.policy.of(Class::Poison, "BYTES_NOT_AVRO"), Auto::Off);
        for (wrong, said) in [
            ("aliases = \"karafka\"", "no family of headers"),
            ("aliases = \"spring,spring\"", "names a tool twice"),
            ("auto = \"always\"", "unknown word"),
            ("auto_every = \"5s\"", "must be at least 1m"),
            ("auto_sample = 0", "must be from 1 to 100"),
            ("keep_decisions = \"1h\"", "must be at least 24h"),
            ("[letters.auto_for]\ndependency = \"retry\"", "neither business"),
            ("[letters.auto_for]\npoison = \"always\"", "always"),
        ] {
            let refused = read(&format!("[letters]\n{wrong}\n")).err();
            assert!(refused.as_ref().is_some_and(|why| why.contains(said)), "{wrong}: {refused:?}");
        }
    }
}
