//! The API from outside: rights, bad input, letters, plans and jobs, the audit. No service runs.

mod audit;
mod bad_input;
mod edits;
mod elsewhere;
mod files;
mod lane;
mod letters;
mod many;
mod oidc;
mod plans;
mod rights;
mod rules;
mod stage;
