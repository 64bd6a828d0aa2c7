//! Enums whose first symbol is `unknown`: what a newer writer adds reads as that, and never breaks a reader.

/// Declares an enum with the symbols it has on the wire, in the order of the schema.
macro_rules! symbols {
    ($(#[$doc:meta])* pub enum $name:ident { Unknown = $unknown:literal, $($variant:ident = $symbol:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
        pub enum $name {
            /// A symbol of a newer version of the schema.
            #[default]
            Unknown,
            $(#[doc = concat!("`", $symbol, "`")] $variant,)*
        }

        impl $name {
            /// In the order of the schema.
            pub const ALL: &'static [Self] = &[Self::Unknown, $(Self::$variant,)*];

            /// The symbol on the wire.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    Self::Unknown => $unknown,
                    $(Self::$variant => $symbol,)*
                }
            }

            /// `Unknown` for a symbol that is not in our schema.
            #[must_use]
            pub fn from_symbol(symbol: &str) -> Self {
                match symbol {
                    $($symbol => Self::$variant,)*
                    _ => Self::Unknown,
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl crate::codec::Encode for $name {
            fn encode(&self, out: &mut Vec<u8>) {
                crate::codec::put_long(*self as i64, out);
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Symbol;
                impl serde::de::Visitor<'_> for Symbol {
                    type Value = $name;
                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str("a symbol")
                    }
                    fn visit_str<E: serde::de::Error>(self, symbol: &str) -> Result<$name, E> {
                        Ok($name::from_symbol(symbol))
                    }
                }
                deserializer.deserialize_str(Symbol)
            }
        }
    };
}

pub(crate) use symbols;
