//! Nothing but tests: which crate may use which, and what pure code may not name. See `tests/arrows`.
