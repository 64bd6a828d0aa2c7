#![doc = include_str!("../README.md")]

mod amend;
mod billing;
pub mod change;
mod companies;
pub mod config;
pub mod contract;
mod course;
pub mod document;
pub mod effect;
pub mod event;
mod facts;
pub mod follow;
pub mod handler;
mod order;
mod order_state;
mod process;
pub mod protect;
pub mod quote;
mod renew;
mod replan;
mod reply;
mod run;
mod saga;
pub mod split;
mod step;
mod target;
mod tax;
mod work;
pub mod writer;

pub use config::{BillingConfig, FlowConfig, TaxConfig};
pub use course::Parts;
pub use handler::OrderFlow;
pub use run::{ServiceConfig, run};
pub use saga::documents;
pub use target::OutsideTarget;
pub use writer::Writer;
