//! Pseudonyms: the only form in which personal data leaves this service.
//!
//! The same text of the same kind gives the same token as long as the key is the same, so that data teams can join and count.
//! Without the key nobody can tell the text from the token; with the key destroyed, nobody ever can.

use events::Personal;
use hmac::{Hmac, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use std::fmt;

/// What a key has at least: shorter ones can be guessed.
pub const MIN_KEY_BYTES: usize = 32;
/// Bytes of the digest that a token shows: collisions among a billion texts are improbable beyond concern.
const SHOWN_BYTES: usize = 16;

/// Makes tokens with one key.
#[derive(Clone)]
pub struct Pseudonyms {
    keyed: Hmac<Sha256>,
    generation: u32,
}

impl Pseudonyms {
    /// `generation` counts the keys that were in use, from 1; it stands in front of every token.
    ///
    /// # Errors
    /// In words, if the key is too short or the generation is 0.
    pub fn try_new(key: &SecretString, generation: u32) -> Result<Self, String> {
        let bytes = key.expose_secret().as_bytes();
        if bytes.len() < MIN_KEY_BYTES {
            return Err(format!("the masking key has {} bytes, it needs at least {MIN_KEY_BYTES}", bytes.len()));
        }
        if generation == 0 {
            return Err("the generation of the masking key counts from 1".to_owned());
        }
        let keyed = Hmac::new_from_slice(bytes).map_err(|error| error.to_string())?;
        Ok(Self { keyed, generation })
    }

    /// `g<generation>-` and 32 hexadecimal digits. `kind` is the tag of the schema, such as `email`.
    #[must_use]
    pub fn token(&self, kind: &str, text: &Personal) -> String {
        let mut keyed = self.keyed.clone();
        keyed.update(kind.as_bytes());
        keyed.update(&[0]);
        keyed.update(text.reveal().as_bytes());
        let digest = keyed.finalize().into_bytes();
        let shown: String = digest[..SHOWN_BYTES].iter().map(|byte| format!("{byte:02x}")).collect();
        format!("g{}-{shown}", self.generation)
    }

    /// The token of what may be absent.
    #[must_use]
    pub fn optional(&self, kind: &str, text: Option<&Personal>) -> Option<String> {
        text.map(|text| self.token(kind, text))
    }
}

impl fmt::Debug for Pseudonyms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pseudonyms(generation {})", self.generation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pseudonyms(key: &str, generation: u32) -> Pseudonyms {
        Pseudonyms::try_new(&SecretString::from(key.repeat(MIN_KEY_BYTES)), generation).expect("long enough")
    }

    #[test]
    fn the_same_text_gives_the_same_token_and_nothing_of_it_is_seen() {
        let ada = Personal::new("Ada Lovelace");
        let token = pseudonyms("k", 3).token("name", &ada);
        assert_eq!(token, pseudonyms("k", 3).token("name", &ada));
        assert!(token.starts_with("g3-") && token.len() == 35 && !token.contains("Ada"), "{token}");
    }

    #[test]
    fn another_key_kind_or_text_gives_another_token() {
        let token = pseudonyms("k", 1).token("name", &Personal::new("Ada"));
        assert_ne!(token, pseudonyms("l", 1).token("name", &Personal::new("Ada")));
        assert_ne!(token, pseudonyms("k", 1).token("email", &Personal::new("Ada")));
        assert_ne!(token, pseudonyms("k", 1).token("name", &Personal::new("Adb")));
    }

    #[test]
    fn a_key_that_can_be_guessed_is_refused_and_never_shown() {
        let reason = Pseudonyms::try_new(&SecretString::from("hunter2"), 1).expect_err("too short");
        assert!(reason.contains("32") && !reason.contains("hunter2"), "{reason}");
        assert!(!format!("{:?}", pseudonyms("k", 1)).contains("kk"));
    }
}
