//! The allocation bound of decoding. A list grows only by elements that were really read, and what its growth may cost in
//! all is limited per record; text cannot cost more than the record itself has bytes.

use serde::{
    Deserialize, Deserializer,
    de::{Error, SeqAccess, Visitor},
};
use std::{cell::Cell, fmt, marker::PhantomData};

thread_local! {
    /// What is left for lists of the record that this thread decodes; `None` outside of a decode.
    static LEFT: Cell<Option<usize>> = const { Cell::new(None) };
    static EXCEEDED: Cell<bool> = const { Cell::new(false) };
    /// What decoded values of this thread hold so far, for [`measured`].
    static HELD: Cell<usize> = const { Cell::new(0) };
}

/// Runs a decode and answers what the decoded value holds: bytes of its lists and boxes. Texts are not counted, they are bytes of
/// the record once more.
pub fn measured<T>(decode: impl FnOnce() -> T) -> (T, usize) {
    HELD.set(0);
    let value = decode();
    (value, HELD.replace(0))
}

/// Counts what a decoded value holds besides its texts.
pub fn holds(bytes: usize) {
    HELD.set(HELD.get().saturating_add(bytes));
}

/// Holds the budget of one decode on this thread; ends with it.
pub struct Budget(());

impl Budget {
    #[must_use]
    pub fn start(bytes: usize) -> Self {
        LEFT.set(Some(bytes));
        EXCEEDED.set(false);
        Self(())
    }

    /// Whether a list was refused for lack of budget.
    #[must_use]
    pub fn exceeded(&self) -> bool {
        EXCEEDED.get()
    }
}

impl Drop for Budget {
    fn drop(&mut self) {
        LEFT.set(None);
    }
}

/// Takes `bytes` from the budget of the running decode; without one (a document read back from our own store) there is no bound.
fn take(bytes: usize) -> bool {
    let Some(left) = LEFT.get() else { return true };
    match left.checked_sub(bytes) {
        Some(rest) => {
            LEFT.set(Some(rest));
            true
        }
        None => {
            EXCEEDED.set(true);
            false
        }
    }
}

/// Reads a list within the budget; used by the generated types.
pub fn bounded_list<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    deserializer.deserialize_seq(ListVisitor(PhantomData))
}

struct ListVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ListVisitor<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<T>, A::Error> {
        const FIRST: usize = 4;
        let mut list: Vec<T> = Vec::new();
        while let Some(item) = items.next_element()? {
            if list.len() == list.capacity() {
                let more = list.capacity().max(FIRST);
                if !take(more.saturating_mul(size_of::<T>())) {
                    return Err(A::Error::custom("the lists of this record need more memory than allowed"));
                }
                list.reserve_exact(more);
            }
            list.push(item);
        }
        // Lists live as long as their record waits; most are read once.
        list.shrink_to_fit();
        holds(list.len().saturating_mul(size_of::<T>()));
        Ok(list)
    }
}
