//! A service that reads events of several families has an enum of its own over them.

/// Declares such an enum: each family with the topics of it that the service reads, and behind `rest` the one of which it reads all others.
///
/// The topics are arrays, so that decoding a record looks through them without allocating.
#[macro_export]
macro_rules! event_families {
    (
        $(#[$doc:meta])*
        pub enum $set:ident {
            $($name:ident($family:ty) on $topics:expr,)*
        }
        rest $rest_name:ident($rest:ty)
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq)]
        pub enum $set {
            $($name($family),)*
            $rest_name($rest),
        }

        $(impl From<$family> for $set {
            fn from(event: $family) -> Self {
                Self::$name(event)
            }
        })*

        impl From<$rest> for $set {
            fn from(event: $rest) -> Self {
                Self::$rest_name(event)
            }
        }

        impl $crate::EventSet for $set {
            fn topics() -> Vec<&'static str> {
                let mut topics = <$rest as $crate::EventSet>::topics();
                $(topics.extend($topics);)*
                topics
            }

            fn decode_avro(topic: &str, schema: &$crate::WriterSchema, datum: &[u8]) -> Result<Self, $crate::Failure> {
                $(if $topics.contains(&topic) {
                    return <$family as $crate::EventSet>::decode_avro(topic, schema, datum).map(Self::$name);
                })*
                <$rest as $crate::EventSet>::decode_avro(topic, schema, datum).map(Self::$rest_name)
            }

            fn decode_json(topic: &str, data: &$crate::Json) -> Result<Self, $crate::Failure> {
                $(if $topics.contains(&topic) {
                    return <$family as $crate::EventSet>::decode_json(topic, data).map(Self::$name);
                })*
                <$rest as $crate::EventSet>::decode_json(topic, data).map(Self::$rest_name)
            }

            fn account_id(&self) -> &str {
                match self {
                    $(Self::$name(event) => $crate::EventSet::account_id(event),)*
                    Self::$rest_name(event) => $crate::EventSet::account_id(event),
                }
            }

            fn subject(&self) -> &str {
                match self {
                    $(Self::$name(event) => $crate::EventSet::subject(event),)*
                    Self::$rest_name(event) => $crate::EventSet::subject(event),
                }
            }

            fn entity_version(&self) -> Option<i64> {
                match self {
                    $(Self::$name(event) => $crate::EventSet::entity_version(event),)*
                    Self::$rest_name(event) => $crate::EventSet::entity_version(event),
                }
            }

            fn check(&self) -> Result<(), $crate::Failure> {
                match self {
                    $(Self::$name(event) => $crate::EventSet::check(event),)*
                    Self::$rest_name(event) => $crate::EventSet::check(event),
                }
            }
        }
    };
}
