//! The lines of a history. Places name a record by topic, partition and offset; `digest` is any text that is equal exactly where the
//! bytes of key, value and headers are (a drain leaves out the headers that a dead letter or the relay adds).

use serde::{Deserialize, Serialize};

/// Topic, partition and offset of a record.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Place {
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
}

/// An amount in minor units.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Money {
    pub currency: String,
    pub minor: i64,
}

/// A record of an input topic, as a client of its own found it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Published {
    pub place: Place,
    /// Identity of the event; absent where nobody can read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
    /// What the service keeps in order; absent where nobody can read the event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<String>,
    /// Subject and version: a later version may wait for an earlier one that was published after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<(String, i64)>,
    pub digest: String,
    /// What has to be moved in the outside system for this event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub money: Option<Money>,
}

/// One record's disposition in the journal, in the order of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decided {
    pub entry: i64,
    pub place: Place,
    pub disposition: String,
}

/// One committed change in the outside system's own log, in its order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Effect {
    pub key: String,
    pub event: String,
    pub digest: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub money: Option<Money>,
}

/// An event of ours in an output topic, in the order of the topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Appeared {
    pub place: Place,
    /// The slice that published it, and its number there.
    pub slice: i32,
    pub number: i64,
    pub digest: String,
    /// For a dead letter: where its source lies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub letter_of: Option<Place>,
}

/// One line. Lines of one kind are in the order in which their writer saw them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Line {
    Published(Published),
    /// How far the ledger says a partition is done: the next offset.
    Position {
        topic: String,
        partition: i32,
        next: i64,
    },
    /// A journal entry and the epoch that wrote it.
    Entry {
        slice: i32,
        entry: i64,
        epoch: i64,
    },
    Decided(Decided),
    /// A parked record's row as it is at the end.
    Parked {
        place: Place,
        state: String,
    },
    /// An event that the journal holds, to be published.
    Committed {
        slice: i32,
        topic: String,
        partition: i32,
        number: i64,
    },
    Appeared(Appeared),
    Effect(Effect),
    /// Something that is still open at the end although all faults have healed.
    Open {
        what: String,
    },
    /// State at the end, without clocks and ids of attempts.
    Document {
        key: String,
        digest: String,
    },
    /// After a crash: records that were delivered before and had to be decided again, and the limit on what may be in flight.
    Crash {
        slice: i32,
        redone: u64,
        limit: u64,
    },
    /// An effect was sent a second time by the owner of the slice although the outside system had it.
    SentAgain {
        key: String,
    },
    /// The whole input was read again: what changed by it.
    Reread {
        records: u64,
        documents_changed: u64,
        effects_added: u64,
        published_added: u64,
    },
}
