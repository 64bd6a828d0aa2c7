//! A whole Throughline stack on one machine: parts started and stopped by process id, in a folder of their own, on
//! free loopback ports.

pub mod process;
pub mod registry;
