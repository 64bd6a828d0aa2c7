//! Rules about the repository itself, as tests: which crate may use which, what pure code may not name
//! (`tests/arrows`), and that documents speak of things that are there (`tests/documents.rs`). Here is only how it is read.

pub mod workspace;
