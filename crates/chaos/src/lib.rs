//! Chaos on real parts: seeded cases of faults on Apache Kafka, PostgreSQL, registry, stand-ins and services as processes of their own.
//! Each case says what it breaks, shows by probes that it really broke, and ends with `verify`, the outside system's own log compared
//! with what the business must come to, and the history checker. A case whose fault never hit its window is void, never green.

pub mod acts;
pub mod cases;
pub mod clock;
pub mod elsewhere;
pub mod history;
pub mod load;
pub mod outcome;
pub mod page;
pub mod proxy;
pub mod sampler;
pub mod stage;
pub mod trial;
