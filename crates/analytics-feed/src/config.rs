//! Settings of analytics-feed besides those that every service has.

use crate::{Pseudonyms, mask::MIN_KEY_BYTES};
use events::Generation;
use secrecy::{ExposeSecret, SecretString};
use service::config::{Config, Section};

/// `[masking]`: the key of the pseudonyms.
#[derive(Debug)]
pub struct MaskingConfig {
    key: Option<SecretString>,
    generation: u32,
}

impl Config for MaskingConfig {
    fn read(s: &mut Section<'_>) -> Self {
        let key = s.secret("key", "key of the pseudonyms that stand for personal data, at least 32 bytes");
        let long_enough = key.as_ref().is_some_and(|key| key.expose_secret().len() >= MIN_KEY_BYTES);
        let hint = "a file with 32 random bytes or more, such as `openssl rand -hex 32` writes";
        s.rule(&["key", "key_file"], long_enough, "must be given, with at least 32 bytes", hint);
        let generation = s.or("generation", 1, "number of the key, from 1: raise it with each new key");
        s.rule(&["generation"], generation > 0, "must be at least 1", "the first key has number 1");
        Self { key, generation }
    }
}

impl MaskingConfig {
    /// # Errors
    /// In words, if there is no usable key.
    pub fn pseudonyms(&self) -> Result<Pseudonyms, String> {
        let key = self.key.as_ref().ok_or("masking.key_file is missing")?;
        Pseudonyms::try_new(key, self.generation)
    }
}

/// `[projection]`: which making of the topics this process fills.
#[derive(Debug)]
pub struct ProjectionConfig {
    pub generation: Generation,
}

impl Config for ProjectionConfig {
    fn read(s: &mut Section<'_>) -> Self {
        let help = "which making of the topics to fill, from 1: a later one has topics, group and ledger of its own";
        let generation = Generation::new(s.or("generation", 1, help));
        s.rule(&["generation"], generation.is_some(), "must be at least 1", "the first generation has number 1");
        Self { generation: generation.unwrap_or(Generation::FIRST) }
    }
}

impl ProjectionConfig {
    /// The ledger of this generation, beside that of the first one which the settings name. It is derived and not set, so that
    /// no mistake in a file makes a new generation go on where an old one stands.
    pub fn place(&self, ledger: &mut ledger::Config) {
        if self.generation == Generation::FIRST {
            return;
        }
        ledger.schema = ledger::schema_of(&self.generation.name(&ledger.schema));
        if let Some(path) = ledger.url.strip_prefix("sqlite://") {
            let file = self.generation.name(path.strip_suffix(".db").unwrap_or(path));
            ledger.url = format!("sqlite://{file}.db");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use service::config::{Source, load};

    fn read(text: &str) -> Result<MaskingConfig, String> {
        let folder = tempfile::tempdir().expect("a folder");
        let (file, key) = (folder.path().join("feed.toml"), folder.path().join("key"));
        std::fs::write(&key, "0123456789abcdef0123456789abcdef\n").expect("a file");
        std::fs::write(&file, text.replace("KEY", &key.display().to_string())).expect("a file");
        let loaded = load::<MaskingConfig>(&Source { file: Some(file), ..Source::default() });
        loaded.map(|loaded| loaded.config).map_err(|problems| problems.to_string())
    }

    #[test]
    fn a_key_file_is_enough() {
        let config = read("key_file = \"KEY\"").expect("good");
        assert!(config.pseudonyms().is_ok());
        assert!(!format!("{config:?}").contains("0123456789"), "the key is never shown");
    }

    fn projection(text: &str) -> Result<ProjectionConfig, String> {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("feed.toml");
        std::fs::write(&file, text).expect("a file");
        let loaded = load::<ProjectionConfig>(&Source { file: Some(file), ..Source::default() });
        loaded.map(|loaded| loaded.config).map_err(|problems| problems.to_string())
    }

    #[test]
    fn each_generation_has_a_ledger_of_its_own_and_the_first_has_the_one_that_is_set() {
        let places = |text, url| {
            let mut ledger = ledger::Config::new(url, "analytics_feed");
            projection(text).expect("good").place(&mut ledger);
            (ledger.url, ledger.schema)
        };
        let at = |url: &str, schema: &str| (url.to_owned(), schema.to_owned());
        let (sqlite, postgres) = ("sqlite:///d/ledger-analytics-feed.db", "postgres://u@h/d");
        assert_eq!(places("", sqlite), at(sqlite, "analytics_feed"));
        assert_eq!(places("generation = 1", postgres), at(postgres, "analytics_feed"));
        assert_eq!(places("generation = 2", postgres), at(postgres, "analytics_feed_g2"));
        let second = at("sqlite:///d/ledger-analytics-feed.g2.db", "analytics_feed_g2");
        assert_eq!(places("generation = 2", sqlite), second);
    }

    #[test]
    fn there_is_no_generation_zero() {
        let problems = projection("generation = 0").expect_err("refused");
        assert!(problems.contains("generation") && problems.contains("at least 1"), "{problems}");
    }

    #[test]
    fn without_a_key_nothing_starts() {
        let problems = read("generation = 0").expect_err("no key");
        assert!(problems.contains("key_file") && problems.contains("generation"), "{problems}");
    }
}
