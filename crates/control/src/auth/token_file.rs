//! Tokens for one machine: a file that only its owner can read, a line each: `TOKEN NAME ROLE[:SERVICE]…`.

use super::refused;
use crate::{
    error::Result,
    rights::{Caller, Grant},
};
use secrecy::{ExposeSecret, SecretString};
use std::{
    collections::BTreeSet,
    io::Write as _,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::Path,
};

const MIN_TOKEN_BYTES: usize = 16;

/// The tokens of a file.
#[derive(Debug)]
pub struct TokenFile {
    tokens: Vec<(SecretString, Caller)>,
}

impl TokenFile {
    /// Reads the file.
    ///
    /// # Errors
    /// In words, if others can read it, or a line is not as it should be (the line is named, the token never shown).
    pub fn read(path: &Path) -> std::result::Result<Self, String> {
        let wrong = |what: String| format!("{}: {what}", path.display());
        let rights = std::fs::metadata(path).map_err(|error| wrong(error.to_string()))?.permissions().mode();
        if rights & 0o077 != 0 {
            return Err(wrong(format!("others may read it (mode {:03o}); chmod 600 it", rights & 0o777)));
        }
        let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
        let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'));
        let tokens: std::result::Result<Vec<_>, _> =
            lines.map(|(i, line)| parse(line).map_err(|what| wrong(format!("line {}: {what}", i + 1)))).collect();
        let tokens = tokens?;
        if tokens.is_empty() { Err(wrong("it holds no token".to_owned())) } else { Ok(Self { tokens }) }
    }

    /// Whose token this is. All are compared, so that time tells nothing.
    pub fn caller(&self, token: &str) -> Result<Caller> {
        let mut found = None;
        for (known, caller) in &self.tokens {
            if service::http::same(known.expose_secret().as_bytes(), token.as_bytes()) {
                found = Some(caller);
            }
        }
        found.cloned().ok_or_else(|| refused("the token is not known here"))
    }
}

fn parse(line: &str) -> std::result::Result<(SecretString, Caller), String> {
    let mut words = line.split_whitespace();
    let token = words.next().unwrap_or_default();
    if token.len() < MIN_TOKEN_BYTES {
        return Err(format!("the token is shorter than {MIN_TOKEN_BYTES} characters"));
    }
    let name = words.next().ok_or("the name of its owner is missing")?.to_owned();
    let grants: BTreeSet<Grant> = words.map(str::parse).collect::<std::result::Result<_, _>>()?;
    if grants.is_empty() {
        return Err("the role is missing".to_owned());
    }
    Ok((SecretString::from(token.to_owned()), Caller { name, grants }))
}

/// Makes a file with one token for `name`, who may do everything; an existing file is kept.
///
/// # Errors
/// If it can be neither made nor read.
pub fn make_token_file(path: &Path, name: &str) -> std::io::Result<()> {
    let name: String = name.chars().filter(|c| !c.is_whitespace() && !c.is_control()).collect();
    let token = format!("{}{}", uuid::Uuid::new_v4().simple(), uuid::Uuid::new_v4().simple());
    let file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    match file {
        Ok(mut file) => writeln!(file, "{token} {} admin", if name.is_empty() { "local" } else { &name }),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rights::Right;

    #[test]
    fn a_file_that_was_made_is_for_its_owner_alone_and_lets_them_in() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        make_token_file(&path, "a b").unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        make_token_file(&path, "other").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text, "an existing token is kept");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let tokens = TokenFile::read(&path).unwrap();
        let caller = tokens.caller(text.split(' ').next().unwrap()).unwrap();
        assert_eq!(caller.name, "ab");
        assert!(caller.may(Right::DlqPayloadUnmask, "any"));
        assert!(tokens.caller("0000000000000000").is_err());
        assert!(!format!("{tokens:?}").contains(&text[..32]), "tokens never show");
    }

    #[test]
    fn a_file_that_others_may_read_or_with_a_bad_line_is_refused_without_its_tokens() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, "0123456789abcdef ada boss\n").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(TokenFile::read(&path).unwrap_err().contains("chmod 600"));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        let said = TokenFile::read(&path).unwrap_err();
        assert!(said.contains("line 1: `boss` is no role") && !said.contains("0123456789"), "{said}");
        for bad in ["short ada admin", "0123456789abcdef", "0123456789abcdef ada", "# nothing\n"] {
            std::fs::write(&path, bad).unwrap();
            assert!(TokenFile::read(&path).is_err(), "{bad}");
        }
    }
}
