//! Cases whose handlers belong to no service: together they use everything that the machine can do.

pub mod answers;
pub mod books;
pub mod dunning;
pub mod fact;
pub mod latest;
pub mod mirror;

use super::{Case, Scenario, SimEvent};
use books::{Books, business, crowd, honest_key, refused_twice};
use fact::{Fact, ORDERS, Post, event};
use failure::Failure;

fn books(events: Vec<SimEvent<Fact>>) -> Case<Books> {
    Case { money: Some(books::MONEY), ..Case::new(Books { effect_key: honest_key }, events) }
}

/// Fifty events of one account, so that many wait behind each other.
#[must_use]
pub fn burst() -> Vec<SimEvent<Fact>> {
    (0..50).map(|n| event(ORDERS, 0, format!("s{n}"), format!("e{n}"), n)).collect()
}

/// Every generic case.
#[must_use]
pub fn all() -> Vec<Scenario> {
    let refused = Case {
        rule: |post: &Post| {
            (post.entity == "invoice-a0-3").then(|| Failure::business("PERIOD_CLOSED", "finance", "period is closed"))
        },
        ..books(business())
    };
    let letters = Case {
        rule: |post: &Post| {
            post.key.ends_with("a4:v1:lines").then(|| Failure::contract("FIELD_INVALID", "no such line"))
        },
        ..refused_twice()
    };
    vec![
        Scenario::new("books", books(business())),
        Scenario::new("crowd", books(crowd())),
        Scenario::new("refused", refused),
        Scenario::new("refused-twice", Case { money: Some(books::MONEY), ..refused_twice() }),
        Scenario::new("letters", Case { money: Some(books::MONEY), ..letters }),
        Scenario::new("mirror", Case::new(mirror::Mirror, business())),
        Scenario::new("stream", Case::new(mirror::Mirror, mirror::stream())),
        Scenario::new("latest", Case { coalesces: true, ..Case::new(latest::Latest, burst()) }),
        Scenario::new("dunning", Case::new(dunning::Dunning, dunning::debts())),
        Scenario::new("answers", answers::orders()),
    ]
}
