//! Settings of analytics-feed besides those that every service has.

use crate::{Pseudonyms, mask::MIN_KEY_BYTES};
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

    #[test]
    fn without_a_key_nothing_starts() {
        let problems = read("generation = 0").expect_err("no key");
        assert!(problems.contains("key_file") && problems.contains("generation"), "{problems}");
    }
}
