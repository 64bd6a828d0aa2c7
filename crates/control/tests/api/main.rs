//! The API from outside: rights, bad input, letters, plans and jobs, the audit. No service runs.

mod audit;
mod bad_input;
mod letters;
mod oidc;
mod plans;
mod rights;
mod rules;
mod stage;
