//! What a setting may hold, and how it is read from a file, from the environment, and shown again.

use super::units::{self, Bytes};
use std::{net::SocketAddr, path::PathBuf, time::Duration};

/// A type a setting can have.
pub trait Value: Sized {
    /// Names the type in messages: "a duration such as `10s`".
    const EXPECTED: &'static str;

    /// From the environment, or from a string in the file.
    fn from_text(text: &str) -> Result<Self, String>;

    /// From the file. By default only a string will do.
    fn from_toml(value: &toml::Value) -> Result<Self, String> {
        match value {
            toml::Value::String(text) => Self::from_text(text),
            other => Err(mismatch::<Self>(other)),
        }
    }

    /// As `config print` shows it.
    fn show(&self) -> String;

    /// Stands in where a problem was reported; never reaches a service, because loading fails then.
    fn placeholder() -> Self;
}

fn mismatch<T: Value>(value: &toml::Value) -> String {
    format!("is not {1} but of type {0}", value.type_str(), T::EXPECTED)
}

impl Value for String {
    const EXPECTED: &'static str = "a string";
    fn from_text(text: &str) -> Result<Self, String> {
        if text.trim().is_empty() { Err("is empty".to_owned()) } else { Ok(text.to_owned()) }
    }
    fn show(&self) -> String {
        self.clone()
    }
    fn placeholder() -> Self {
        Self::new()
    }
}

impl Value for PathBuf {
    const EXPECTED: &'static str = "a path";
    fn from_text(text: &str) -> Result<Self, String> {
        String::from_text(text).map(Self::from)
    }
    fn show(&self) -> String {
        self.display().to_string()
    }
    fn placeholder() -> Self {
        Self::new()
    }
}

impl Value for bool {
    const EXPECTED: &'static str = "true or false";
    fn from_text(text: &str) -> Result<Self, String> {
        text.trim().parse().map_err(|_| format!("wanted {}", Self::EXPECTED))
    }
    fn from_toml(value: &toml::Value) -> Result<Self, String> {
        value.as_bool().ok_or_else(|| mismatch::<Self>(value))
    }
    fn show(&self) -> String {
        self.to_string()
    }
    fn placeholder() -> Self {
        false
    }
}

macro_rules! integer {
    ($($type:ty),+) => {$(
        impl Value for $type {
            const EXPECTED: &'static str = "a whole number";
            fn from_text(text: &str) -> Result<Self, String> {
                let number: i128 = text.trim().replace('_', "").parse().map_err(|_| format!("wanted {}", Self::EXPECTED))?;
                Self::try_from(number).map_err(|_| format!("must be between {} and {}", Self::MIN, Self::MAX))
            }
            fn from_toml(value: &toml::Value) -> Result<Self, String> {
                let number = value.as_integer().ok_or_else(|| mismatch::<Self>(value))?;
                Self::try_from(number).map_err(|_| format!("must be between {} and {}", Self::MIN, Self::MAX))
            }
            fn show(&self) -> String {
                self.to_string()
            }
            fn placeholder() -> Self {
                0
            }
        }
    )+};
}
integer!(u16, u32, u64, usize, i32, i64);

impl Value for f64 {
    const EXPECTED: &'static str = "a number";
    fn from_text(text: &str) -> Result<Self, String> {
        let number: Self = text.trim().parse().map_err(|_| format!("wanted {}", Self::EXPECTED))?;
        if number.is_finite() { Ok(number) } else { Err("must be finite".to_owned()) }
    }
    fn from_toml(value: &toml::Value) -> Result<Self, String> {
        let number = value.as_float().or_else(|| value.as_integer().map(|n| n as Self));
        number.filter(|n| n.is_finite()).ok_or_else(|| mismatch::<Self>(value))
    }
    fn show(&self) -> String {
        self.to_string()
    }
    fn placeholder() -> Self {
        0.0
    }
}

impl Value for Duration {
    const EXPECTED: &'static str = "a duration such as \"10s\" or \"250ms\"";
    fn from_text(text: &str) -> Result<Self, String> {
        units::parse_duration(text)
    }
    fn show(&self) -> String {
        units::show_duration(*self)
    }
    fn placeholder() -> Self {
        Self::ZERO
    }
}

impl Value for Bytes {
    const EXPECTED: &'static str = "a size such as \"5MiB\" or \"512B\"";
    fn from_text(text: &str) -> Result<Self, String> {
        units::parse_bytes(text)
    }
    fn show(&self) -> String {
        self.to_string()
    }
    fn placeholder() -> Self {
        Self(0)
    }
}

impl Value for SocketAddr {
    const EXPECTED: &'static str = "an address such as \"127.0.0.1:8080\"";
    fn from_text(text: &str) -> Result<Self, String> {
        text.trim().parse().map_err(|_| format!("wanted {} (no host name)", Self::EXPECTED))
    }
    fn show(&self) -> String {
        self.to_string()
    }
    fn placeholder() -> Self {
        Self::from(([127, 0, 0, 1], 0))
    }
}

/// From the environment: a list with commas.
impl<T: Value> Value for Vec<T> {
    const EXPECTED: &'static str = "a list";
    fn from_text(text: &str) -> Result<Self, String> {
        text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(T::from_text).collect()
    }
    fn from_toml(value: &toml::Value) -> Result<Self, String> {
        let items = value.as_array().ok_or_else(|| mismatch::<Self>(value))?;
        let numbered = items.iter().enumerate();
        numbered.map(|(i, item)| T::from_toml(item).map_err(|reason| format!("item {}: {reason}", i + 1))).collect()
    }
    fn show(&self) -> String {
        self.iter().map(T::show).collect::<Vec<_>>().join(",")
    }
    fn placeholder() -> Self {
        Self::new()
    }
}
