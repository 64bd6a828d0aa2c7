//! Putting records of a topic to one service once more: what the service did with each, the plan of those that it shall see, and
//! the copies on its replay topic.

mod copies;
mod known;
mod plan;

pub use copies::{COPY_OF, COPY_PLAN, Copy, ends, put, there};
pub use known::{Asked, Known, ask, dispositions};
pub use plan::{LanePlan, Refused};
