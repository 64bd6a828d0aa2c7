//! The life of one account: what happens when, in numbers only. Nothing here knows how an event looks.
//!
//! A step is computed when its time comes, from the account's own generator; so accounts do not influence each other, and a
//! thousand of them need no more memory than what each still has before it.

mod amend;
mod billing;
mod contract;
mod contracts;
mod dispute;
mod due;
mod happening;
mod loss;
mod proration;
mod ramp;
mod refund;
mod settlement;
mod term;
mod usage;

pub(super) use contract::{Contract, Line};
pub(super) use contracts::list_price;
pub(super) use happening::{
    Amended, AmendmentKind, Cancelled, Credited, Disputed, Flaw, Happening, Moment, OutOf, Paid, Step, Used, Why,
};

use super::{
    calendar::{DAY_MS, at_hour, date_of, days_after, epoch_ms, months_after},
    catalog::{MARKETS, Market, PRODUCTS, TERMS, UNMAPPED_PRODUCT},
    chance::{Chance, EventId},
    money::{Charge, Kind, Sold},
    options::{Faults, Options},
    tax::{Standing, Tax},
};
use due::{Due, Plan};
use jiff::civil::Date;
use std::{cmp::Reverse, collections::BinaryHeap};

/// Numbers given out so far, by kind of document.
#[derive(Debug, Default)]
struct Counters {
    invoices: u32,
    credit_notes: u32,
    payments: u32,
    batches: u32,
    thresholds: u32,
    refunds: u32,
    disputes: u32,
}

#[derive(Debug)]
pub(super) struct Account {
    pub(super) index: u32,
    /// Where it joined.
    pub(super) market: &'static Market,
    /// Where it is.
    pub(super) country: &'static str,
    pub(super) standing: Standing,
    pub(super) terms: (&'static str, i32),
    pub(super) contracts: Vec<Contract>,
    chance: Chance,
    due: BinaryHeap<Reverse<Due>>,
    planned: u32,
    horizon_ms: i64,
    counters: Counters,
    /// Invoices to be paid together with the next one of their contract.
    carried: Vec<(usize, u32, i64)>,
    flaw: Flaw,
}

impl Account {
    pub(super) fn new(options: &Options, index: u32) -> Self {
        let mut chance = Chance::of_account(options.seed, index);
        let market = chance.weighted(&MARKETS, |market| market.weight);
        let terms = TERMS[chance.below(TERMS.len() as u64) as usize];
        let country = chance.weighted(market.customers, |(_, weight)| *weight).0;
        let standing = standing(market, country, &mut chance);
        let flaw = flaw(&options.faults, &mut chance);
        let mut account = Self {
            index,
            market,
            country,
            standing,
            terms,
            contracts: Vec::with_capacity(1),
            chance,
            due: BinaryHeap::new(),
            planned: 0,
            horizon_ms: horizon_ms(options),
            counters: Counters::default(),
            carried: Vec::new(),
            flaw,
        };
        let joins = date_of(joins_ms(options, index));
        if flaw != Flaw::None {
            account.sign(joins, market);
            let last_day = days_after(joins, account.chance.between(1, 40));
            account.plan(at_hour(last_day, 14, 0.999), 0, None, Plan::End);
            return account;
        }
        let starts = account.first_day(joins);
        account.sign(starts, market);
        if account.chance.one_in(6) {
            let expands = days_after(starts, account.chance.between(20, 90));
            let seller = account.seller();
            account.sign(expands, seller);
        }
        account
    }

    /// Contracts like to start at the end of a month.
    fn first_day(&mut self, joins: Date) -> Date {
        if self.chance.one_in(12) { joins.last_of_month() } else { joins }
    }

    /// Who sells a further contract: mostly the same entity, or another one, in its own currency.
    fn seller(&mut self) -> &'static Market {
        if self.chance.one_in(3) { self.chance.weighted(&MARKETS, |market| market.weight) } else { self.market }
    }

    /// The tax of what is billed for a contract on a day.
    fn tax(&self, contract: usize, on: Date) -> Option<Tax> {
        Tax::of(self.contracts[contract].market, self.country, self.standing, on)
    }

    /// When the next thing happens; `None` when the account's story is over.
    pub(super) fn next_at(&self) -> Option<i64> {
        self.due.peek().map(|next| next.0.at_ms).filter(|at_ms| *at_ms < self.horizon_ms)
    }

    /// Takes the next step, at [`Account::next_at`]. Some steps leave no trace.
    pub(super) fn live(&mut self) -> Option<Moment> {
        self.next_at()?;
        let Reverse(Due { at_ms, contract, cause, plan, .. }) = self.due.pop()?;
        let id = self.chance.event_id(at_ms);
        let flaw = if matches!(plan, Plan::End) { self.flaw } else { Flaw::None };
        let happening = self.step(at_ms, contract, id, plan)?;
        Some(Moment { at_ms, id, cause, contract, happening, flaw })
    }

    fn step(&mut self, at_ms: i64, contract: usize, id: EventId, plan: Plan) -> Option<Happening> {
        match plan {
            Plan::Activate => Some(self.activate(contract, id)),
            Plan::Use => self.measure(at_ms, contract, id),
            Plan::UseLate { period, used, more } => self.measure_late(contract, period, used, more),
            Plan::Correct { period, wrong } => self.correct(at_ms, contract, id, period, wrong),
            Plan::Cross { period, observed } => Some(self.cross(contract, period, observed)),
            Plan::Bill { is_redone } => self.bill(at_ms, contract, id, is_redone),
            Plan::BillExtra { charges } => Some(self.bill_extra(at_ms, contract, id, charges)),
            Plan::Amend => self.amend(at_ms, contract, id),
            Plan::Step { months } => self.step_up(at_ms, contract, months),
            Plan::Resume => self.resume(at_ms, contract),
            Plan::Decide { end } => self.decide(contract, end),
            Plan::Leave => self.leave(at_ms, contract, id),
            Plan::WriteOff { invoice, amount } => Some(Happening::WrittenOff { invoice, amount }),
            Plan::Credit { invoice, charges, why, pays_back } => {
                let credit_note = count(&mut self.counters.credit_notes);
                if let Some(of) = pays_back {
                    self.pay_out(at_ms, contract, id, of, credit_note, &charges);
                }
                Some(Happening::Credited(Credited { credit_note, invoice, charges, why }))
            }
            Plan::Pay(pay) => Some(self.receive(at_ms, contract, id, *pay)),
            Plan::Fail { payment, attempt, invoice, amount } => {
                Some(self.fail(at_ms, contract, id, (payment, attempt), invoice, amount))
            }
            Plan::Refund { payment, version, out_of, amount } => {
                let refund = count(&mut self.counters.refunds);
                Some(Happening::Refunded { payment, version, refund, out_of, amount })
            }
            Plan::Dispute(dispute) => Some(self.dispute(at_ms, contract, id, *dispute)),
            Plan::End => Some(self.end(at_ms)),
        }
    }

    fn plan(&mut self, at_ms: i64, contract: usize, cause: Option<EventId>, plan: Plan) {
        // What lies beyond the horizon never happens: not kept.
        if at_ms < self.horizon_ms {
            self.planned += 1;
            self.due.push(Reverse(Due { at_ms, order: self.planned, contract, cause, plan }));
        }
    }

    /// The account's last event, wrong as its flaw says.
    fn end(&mut self, at_ms: i64) -> Happening {
        self.due.clear();
        if self.flaw == Flaw::Conflict {
            let payment = count(&mut self.counters.payments);
            return Happening::Paid(Paid { payment, version: 1, allocations: Box::new([]), unapplied: 1_000 });
        }
        let line = &self.contracts[0].lines[0];
        let mut sold = Sold::from(&PRODUCTS[line.product]);
        if self.flaw == Flaw::Business {
            sold = Sold { product: UNMAPPED_PRODUCT, description: "Gadget", unit: "piece" };
        }
        let day = date_of(at_ms);
        let charge = Charge::new(Kind::Recurring, line.number, sold, 1, line.price).taxed(self.tax(0, day));
        Happening::Billed {
            invoice: count(&mut self.counters.invoices),
            period: (day, months_after(day, 1)),
            charges: vec![charge],
            sum_error: i64::from(self.flaw == Flaw::Contract),
        }
    }
}

fn count(counter: &mut u32) -> u32 {
    *counter += 1;
    *counter
}

fn flaw(faults: &Faults, chance: &mut Chance) -> Flaw {
    let drawn = chance.unit();
    let business = faults.contract_errors + faults.business_errors;
    if drawn < faults.contract_errors {
        Flaw::Contract
    } else if drawn < business {
        Flaw::Business
    } else if drawn < business + faults.conflicts {
        Flaw::Conflict
    } else {
        Flaw::None
    }
}

/// Half of the companies abroad have a VAT number that was checked, and so have most at home; a few at home are charities.
fn standing(market: &Market, country: &str, chance: &mut Chance) -> Standing {
    let is_abroad = country != market.country;
    let has_vat = market.country == "DE" && chance.share(if is_abroad { 0.5 } else { 0.9 });
    match chance.below(100) {
        _ if has_vat => Standing::Registered,
        0..=4 if !is_abroad => Standing::Exempt,
        _ => Standing::Private,
    }
}

/// The first instant after the observed time.
fn horizon_ms(options: &Options) -> i64 {
    epoch_ms(months_after(options.start, options.months))
}

/// No event of the account is earlier. Accounts join one after another during the first half of the observed time.
pub(super) fn joins_ms(options: &Options, index: u32) -> i64 {
    let start = epoch_ms(options.start);
    let first_half = (horizon_ms(options) - start) / 2;
    start + (i128::from(first_half) * i128::from(index) / i128::from(options.accounts)) as i64 / DAY_MS * DAY_MS
}
