//! The life of one account: what happens when, in numbers only. Nothing here knows how an event looks.
//!
//! A step is computed when its time comes, from the account's own generator; so accounts do not influence each other, and a
//! thousand of them need no more memory than what each still has before it.

use super::{
    calendar::{DAY_MS, at_hour, date_of, days_after, epoch_ms, months_after},
    catalog::{MARKETS, METERS, Market, PRODUCTS, TERMS, UNMAPPED_PRODUCT},
    chance::{Chance, EventId},
    money::{Charge, Kind, Price, Sold, rated},
    options::{Faults, Options},
};
use jiff::civil::Date;
use std::{cmp::Reverse, collections::BinaryHeap};

/// One product of a contract, as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) number: u16,
    pub(super) product: usize,
    pub(super) seats: i64,
    /// Price of a seat and billing period.
    pub(super) price: Price,
}

#[derive(Debug, Clone)]
pub(super) struct Contract {
    pub(super) number: u32,
    pub(super) start: Date,
    /// The day after the last one of the running term.
    pub(super) end: Date,
    pub(super) term_months: u32,
    pub(super) annual: bool,
    pub(super) lines: Vec<Line>,
    pub(super) meter: Option<usize>,
    /// Version of the last event about the contract.
    pub(super) version: i64,
    pub(super) amendments: i32,
    pub(super) renewals: u32,
    /// Billing periods begun.
    billed: u32,
    cancelled: bool,
    /// Rated and not billed yet.
    unbilled_usage: Vec<Charge>,
    /// Identity of its activation: what everything about it is correlated by.
    pub(super) flow: EventId,
}

/// Something that happened to an account.
#[derive(Debug, Clone)]
pub(super) enum Happening {
    Activated,
    Amended { before: Option<Line>, after: Line },
    Renewed { before: Vec<Line>, uplift_basis_points: i64 },
    Cancelled { on: Date, at_once: bool },
    Billed { invoice: u32, period: (Date, Date), charges: Vec<Charge>, sum_error: i64 },
    Credited { credit_note: u32, invoice: Option<u32>, charge: Charge },
    Paid { payment: u32, version: i64, allocations: Vec<(u32, i64)>, unapplied: i64 },
    PaymentFailed { payment: u32, attempt: i32, invoice: u32, amount: i64, next_at: Option<i64> },
    Used { batch: u32, meter: usize, period: (Date, Date), quantity: i64, charges: Vec<Charge> },
    Crossed { threshold: u32, meter: usize, period: (Date, Date), observed: i64 },
}

/// How an account's last event is wrong on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flaw {
    None,
    Contract,
    Business,
    Conflict,
}

/// One event in numbers.
#[derive(Debug, Clone)]
pub(super) struct Moment {
    pub(super) at_ms: i64,
    pub(super) id: EventId,
    pub(super) cause: Option<EventId>,
    /// Index of the contract concerned.
    pub(super) contract: usize,
    pub(super) happening: Happening,
    pub(super) flaw: Flaw,
}

/// What is still to come, ordered by time and then by the order it was planned in.
#[derive(Debug)]
struct Due {
    at_ms: i64,
    order: u32,
    contract: usize,
    cause: Option<EventId>,
    plan: Plan,
}

#[derive(Debug)]
enum Plan {
    Activate,
    Use,
    Cross {
        observed: i64,
    },
    Bill,
    Amend,
    /// Renew or leave at the end of the term.
    Decide,
    Leave,
    Credit {
        invoice: Option<u32>,
        charge: Box<Charge>,
    },
    Pay {
        payment: Option<u32>,
        version: i64,
        allocations: Box<[(u32, i64)]>,
        unapplied: i64,
    },
    Fail {
        payment: u32,
        attempt: i32,
        invoice: u32,
        amount: i64,
    },
    End,
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}
impl Eq for Due {}
impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Due {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at_ms, self.order).cmp(&(other.at_ms, other.order))
    }
}

/// Numbers given out so far, by kind of document.
#[derive(Debug, Default)]
struct Counters {
    invoices: u32,
    credit_notes: u32,
    payments: u32,
    batches: u32,
    thresholds: u32,
}

#[derive(Debug)]
pub(super) struct Account {
    pub(super) index: u32,
    pub(super) market: &'static Market,
    pub(super) terms: (&'static str, i32),
    pub(super) contracts: Vec<Contract>,
    chance: Chance,
    due: BinaryHeap<Reverse<Due>>,
    planned: u32,
    horizon_ms: i64,
    counters: Counters,
    /// Invoices to be paid together with the next one.
    carried: Vec<(u32, i64)>,
    flaw: Flaw,
}

impl Account {
    pub(super) fn new(options: &Options, index: u32) -> Self {
        let mut chance = Chance::of_account(options.seed, index);
        let market = chance.weighted(&MARKETS, |market| market.weight);
        let terms = TERMS[chance.below(TERMS.len() as u64) as usize];
        let flaw = flaw(&options.faults, &mut chance);
        let mut account = Self {
            index,
            market,
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
        account.sign(joins);
        if flaw != Flaw::None {
            let last_day = days_after(joins, account.chance.between(1, 40));
            account.plan(at_hour(last_day, 14, 0.999), 0, None, Plan::End);
        } else if account.chance.one_in(8) {
            let expands = days_after(joins, account.chance.between(20, 90));
            account.sign(expands);
        }
        account
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
            Plan::Cross { observed } => Some(self.cross(at_ms, contract, observed)),
            Plan::Bill => self.bill(at_ms, contract, id),
            Plan::Amend => self.amend(at_ms, contract),
            Plan::Decide => self.decide(contract),
            Plan::Leave => self.leave(at_ms, contract),
            Plan::Credit { invoice, charge } => {
                let credit_note = count(&mut self.counters.credit_notes);
                Some(Happening::Credited { credit_note, invoice, charge: *charge })
            }
            Plan::Pay { payment, version, allocations, unapplied } => {
                let payment = payment.unwrap_or_else(|| count(&mut self.counters.payments));
                Some(Happening::Paid { payment, version, allocations: allocations.into_vec(), unapplied })
            }
            Plan::Fail { payment, attempt, invoice, amount } => {
                Some(self.fail(at_ms, contract, id, (payment, attempt), invoice, amount))
            }
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

    fn sign(&mut self, start: Date) {
        let annual = self.chance.one_in(5);
        let term_months = if annual { 12 } else { [1, 3, 3, 6, 12][self.chance.below(5) as usize] };
        let lines = self.first_lines(annual);
        let meter = (!annual && self.chance.share(0.4)).then(|| self.chance.below(METERS.len() as u64) as usize);
        let number = self.contracts.len();
        self.contracts.push(Contract {
            number: number as u32 + 1,
            start,
            end: months_after(start, term_months),
            term_months,
            annual,
            lines,
            meter,
            version: 0,
            amendments: 0,
            renewals: 0,
            billed: 0,
            cancelled: false,
            unbilled_usage: Vec::new(),
            flow: EventId::NIL,
        });
        let jitter = self.chance.unit();
        self.plan(at_hour(start, 5, jitter), number, None, Plan::Activate);
    }

    /// Most customers are small; one in forty is big, and its account is a hot key.
    fn first_lines(&mut self, annual: bool) -> Vec<Line> {
        let (products, seats) = match self.chance.below(40) {
            0 => (PRODUCTS.len() as u64, self.chance.between(200, 5_000)),
            1..=9 => (self.chance.between(2, 4) as u64, self.chance.between(20, 200)),
            _ => (self.chance.between(1, 2) as u64, self.chance.between(1, 25)),
        };
        let rebate_percent = self.chance.between(0, 6) * 5;
        (0..products as usize)
            .map(|product| self.line(product as u16 + 1, product, seats, rebate_percent, annual))
            .collect()
    }

    fn line(&self, number: u16, product: usize, seats: i64, rebate_percent: i64, annual: bool) -> Line {
        let monthly = (PRODUCTS[product].price * self.market.price_level * (100 - rebate_percent) / 100).max(1);
        Line { number, product, seats, price: Price::of_minor(if annual { monthly * 12 } else { monthly }) }
    }

    fn activate(&mut self, contract: usize, id: EventId) -> Happening {
        let jitter = self.chance.unit();
        let state = &mut self.contracts[contract];
        (state.flow, state.version) = (id, 1);
        let (start, end, annual) = (state.start, state.end, state.annual);
        self.plan(at_hour(start, 9, jitter), contract, Some(id), Plan::Bill);
        self.plan_decision(contract, end);
        if !annual && self.chance.share(0.3) {
            let day = days_after(start, self.chance.between(5, 60));
            self.plan(at_hour(day, 8, jitter), contract, Some(id), Plan::Amend);
        }
        if self.chance.share(0.06) {
            let day = days_after(start, self.chance.between(15, 120));
            self.plan(at_hour(day, 12, jitter), contract, Some(id), Plan::Leave);
        }
        Happening::Activated
    }

    fn plan_decision(&mut self, contract: usize, end: Date) {
        let day = days_after(end, -self.chance.between(5, 9));
        let jitter = self.chance.unit();
        let flow = self.contracts[contract].flow;
        self.plan(at_hour(day, 7, jitter), contract, Some(flow), Plan::Decide);
    }

    /// Usage of the billing period that ends when the next one is billed.
    fn measure(&mut self, at_ms: i64, contract: usize, id: EventId) -> Option<Happening> {
        let state = &self.contracts[contract];
        let meter = state.meter.filter(|_| !state.cancelled)?;
        let period = state.period(state.billed.saturating_sub(1));
        let included = METERS[meter].included;
        // A third stays below what is included, a few go far above it.
        let quantity = match self.chance.below(12) {
            0..=3 => self.chance.between(included / 10, included),
            4..=10 => self.chance.between(included, included * 3),
            _ => self.chance.between(included * 3, included * 30),
        };
        let charges = rated(self.market, &METERS[meter], 100, quantity);
        self.contracts[contract].unbilled_usage.extend(charges.iter().cloned());
        if quantity > included {
            self.plan(at_ms + 60_000, contract, Some(id), Plan::Cross { observed: quantity });
        }
        let batch = count(&mut self.counters.batches);
        Some(Happening::Used { batch, meter, period, quantity, charges })
    }

    fn cross(&mut self, at_ms: i64, contract: usize, observed: i64) -> Happening {
        let state = &self.contracts[contract];
        let day = date_of(at_ms);
        let (meter, period) = (state.meter.unwrap_or_default(), (months_before(day), day));
        Happening::Crossed { threshold: count(&mut self.counters.thresholds), meter, period, observed }
    }

    fn bill(&mut self, at_ms: i64, contract: usize, id: EventId) -> Option<Happening> {
        let market = self.market;
        let state = &mut self.contracts[contract];
        if state.cancelled {
            return None;
        }
        let period = state.period(state.billed);
        state.billed += 1;
        let mut charges: Vec<Charge> = state
            .lines
            .iter()
            .map(|line| {
                Charge::new(
                    market,
                    Kind::Recurring,
                    line.number,
                    (&PRODUCTS[line.product]).into(),
                    line.seats,
                    line.price,
                )
            })
            .collect();
        charges.append(&mut state.unbilled_usage);
        let metered = state.meter.is_some();
        let jitter = self.chance.unit();
        if metered {
            self.plan(at_hour(period.1, 6, jitter), contract, Some(id), Plan::Use);
        }
        self.plan(at_hour(period.1, 9, jitter), contract, Some(id), Plan::Bill);
        let invoice = count(&mut self.counters.invoices);
        self.settle(at_ms, contract, id, invoice, &charges);
        Some(Happening::Billed { invoice, period, charges, sum_error: 0 })
    }

    /// Decides how an invoice will be paid. What is credited and paid never exceeds what it asks for.
    fn settle(&mut self, at_ms: i64, contract: usize, id: EventId, invoice: u32, charges: &[Charge]) {
        let open: i64 = charges.iter().map(Charge::gross).sum();
        let due_ms = at_ms
            + DAY_MS * (i64::from(self.terms.1) + self.chance.between(-5, 10))
            + self.chance.between(0, 3_600_000);
        match self.chance.below(100) {
            0..=59 => self.pay_with_carried(due_ms, contract, id, invoice, open),
            60..=70 => {
                let first = open * self.chance.between(30, 70) / 100;
                self.pay(due_ms - 5 * DAY_MS, contract, id, &[(invoice, first)], 0);
                self.pay(due_ms + 9 * DAY_MS, contract, id, &[(invoice, open - first)], 0);
            }
            71..=74 => self.pay(due_ms, contract, id, &[(invoice, open / 2)], 0),
            75..=79 => {
                let too_much = 1 + open / self.chance.between(10, 100);
                self.pay(due_ms, contract, id, &[(invoice, open)], too_much);
            }
            80..=86 => {
                let payment = count(&mut self.counters.payments);
                let plan = Plan::Fail { payment, attempt: 1, invoice, amount: open };
                self.plan(due_ms, contract, Some(id), plan);
            }
            87..=92 => self.credit_then_pay(at_ms, due_ms, contract, id, (invoice, open), charges),
            93..=95 => self.carried.push((invoice, open)),
            96 => self.goodwill(due_ms, contract, id, charges),
            // Never paid: it stays open.
            _ => {}
        }
    }

    fn pay(&mut self, at_ms: i64, contract: usize, cause: EventId, allocations: &[(u32, i64)], unapplied: i64) {
        let allocations: Box<[_]> = allocations.iter().copied().filter(|(_, amount)| *amount > 0).collect();
        if !allocations.is_empty() {
            self.plan(at_ms, contract, Some(cause), Plan::Pay { payment: None, version: 1, allocations, unapplied });
        }
    }

    fn pay_with_carried(&mut self, at_ms: i64, contract: usize, cause: EventId, invoice: u32, open: i64) {
        let mut allocations = std::mem::take(&mut self.carried);
        allocations.push((invoice, open));
        self.pay(at_ms, contract, cause, &allocations, 0);
    }

    fn credit_then_pay(
        &mut self,
        at_ms: i64,
        due_ms: i64,
        contract: usize,
        cause: EventId,
        (invoice, open): (u32, i64),
        charges: &[Charge],
    ) {
        let Some(charge) = self.part_of(charges) else { return };
        let rest = open - charge.gross();
        self.plan(
            at_ms + 2 * DAY_MS,
            contract,
            Some(cause),
            Plan::Credit { invoice: Some(invoice), charge: Box::new(charge) },
        );
        self.pay(due_ms, contract, cause, &[(invoice, rest)], 0);
    }

    /// A credit that stands on the account.
    fn goodwill(&mut self, at_ms: i64, contract: usize, cause: EventId, charges: &[Charge]) {
        if let Some(charge) = self.part_of(charges) {
            self.plan(at_ms, contract, Some(cause), Plan::Credit { invoice: None, charge: Box::new(charge) });
        }
    }

    /// A part of one charge, never more than the charge itself.
    fn part_of(&mut self, charges: &[Charge]) -> Option<Charge> {
        let charge = charges.get(self.chance.below(charges.len() as u64) as usize)?;
        let part = charge.part(self.market, self.chance.between(1, charge.quantity));
        (part.net > 0).then_some(part)
    }

    /// Card declined; tried again up to twice, and paid or given up.
    fn fail(
        &mut self,
        at_ms: i64,
        contract: usize,
        id: EventId,
        (payment, attempt): (u32, i32),
        invoice: u32,
        amount: i64,
    ) -> Happening {
        let again = at_ms + 3 * DAY_MS;
        let recovers = self.chance.share(0.6);
        if recovers {
            let allocations = Box::new([(invoice, amount)]);
            let version = i64::from(attempt) + 1;
            self.plan(
                again,
                contract,
                Some(id),
                Plan::Pay { payment: Some(payment), version, allocations, unapplied: 0 },
            );
        } else if attempt < 3 {
            self.plan(again, contract, Some(id), Plan::Fail { payment, attempt: attempt + 1, invoice, amount });
        }
        let next_at = (recovers || attempt < 3).then_some(again);
        Happening::PaymentFailed { payment, attempt, invoice, amount, next_at }
    }

    fn amend(&mut self, at_ms: i64, contract: usize) -> Option<Happening> {
        let wants_more = self.chance.share(0.7);
        let extra = self.chance.between(1, 10);
        let place = self.chance.below(self.contracts[contract].lines.len() as u64) as usize;
        let added = PRODUCTS.len() - 1;
        let new_line = self.line(50, added, extra, 0, self.contracts[contract].annual);
        let flow = self.contracts[contract].flow;
        let state = &mut self.contracts[contract];
        if state.cancelled {
            return None;
        }
        state.version += 1;
        state.amendments += 1;
        let has_it = state.lines.iter().any(|line| line.product == added);
        let (before, after) = if wants_more || has_it {
            let before = state.lines[place].clone();
            state.lines[place].seats += extra;
            (Some(before), state.lines[place].clone())
        } else {
            state.lines.push(new_line.clone());
            (None, new_line)
        };
        if self.chance.share(0.4) {
            let again = at_ms + DAY_MS * self.chance.between(30, 80);
            self.plan(again, contract, Some(flow), Plan::Amend);
        }
        Some(Happening::Amended { before, after })
    }

    fn decide(&mut self, contract: usize) -> Option<Happening> {
        let renews = self.chance.share(0.85);
        let uplift = self.chance.between(0, 10) * 50;
        let state = &mut self.contracts[contract];
        if state.cancelled {
            return None;
        }
        state.version += 1;
        if !renews {
            state.cancelled = true;
            return Some(Happening::Cancelled { on: state.end, at_once: false });
        }
        let before = state.lines.clone();
        for line in &mut state.lines {
            line.price = Price::of_minor((line.price.times(1) * (10_000 + uplift) + 5_000) / 10_000);
        }
        state.renewals += 1;
        state.end = months_after(state.start, state.term_months * (state.renewals + 1));
        let end = state.end;
        self.plan_decision(contract, end);
        Some(Happening::Renewed { before, uplift_basis_points: uplift })
    }

    fn leave(&mut self, at_ms: i64, contract: usize) -> Option<Happening> {
        let state = &mut self.contracts[contract];
        if state.cancelled {
            return None;
        }
        (state.cancelled, state.version) = (true, state.version + 1);
        Some(Happening::Cancelled { on: date_of(at_ms), at_once: true })
    }

    /// The account's last event, wrong as its flaw says.
    fn end(&mut self, at_ms: i64) -> Happening {
        self.due.clear();
        if self.flaw == Flaw::Conflict {
            let payment = count(&mut self.counters.payments);
            return Happening::Paid { payment, version: 1, allocations: Vec::new(), unapplied: 1_000 };
        }
        let line = &self.contracts[0].lines[0];
        let mut sold = Sold::from(&PRODUCTS[line.product]);
        if self.flaw == Flaw::Business {
            sold = Sold { product: UNMAPPED_PRODUCT, description: "Gadget", unit: "piece" };
        }
        let charge = Charge::new(self.market, Kind::Recurring, line.number, sold, 1, line.price);
        let day = date_of(at_ms);
        Happening::Billed {
            invoice: count(&mut self.counters.invoices),
            period: (day, months_after(day, 1)),
            charges: vec![charge],
            sum_error: i64::from(self.flaw == Flaw::Contract),
        }
    }
}

impl Contract {
    /// First day of billing period `n` (from 0) and of the next one.
    fn period(&self, n: u32) -> (Date, Date) {
        let months = if self.annual { 12 } else { 1 };
        (months_after(self.start, n * months), months_after(self.start, (n + 1) * months))
    }
}

fn months_before(day: Date) -> Date {
    days_after(day, -30)
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
