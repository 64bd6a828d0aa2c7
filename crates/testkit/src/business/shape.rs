//! How a moment of an account's life looks as an event of the wire contract.

use super::{
    calendar::{date_of, days_after},
    catalog::{METERS, PRODUCTS, company},
    life::{Account, Contract, Happening, Line, Moment},
    money::{Charge, Kind},
    names::Names,
};
use events::{common::*, *};
use jiff::{Timestamp, civil::Date};
use rust_decimal::Decimal;

/// What every event of an account needs to be shaped.
pub(super) struct Shaper<'a> {
    pub(super) names: &'a Names,
    pub(super) account: &'a Account,
    pub(super) moment: &'a Moment,
}

impl Shaper<'_> {
    pub(super) fn event(&self) -> Event {
        match &self.moment.happening {
            Happening::Activated => self.activated().into(),
            Happening::Amended { before, after } => self.amended(before.as_ref(), after).into(),
            Happening::Renewed { before, uplift_basis_points } => self.renewed(before, *uplift_basis_points).into(),
            Happening::Cancelled { on, at_once } => self.cancelled(*on, *at_once).into(),
            Happening::Billed { invoice, period, charges, sum_error } => {
                self.billed(*invoice, *period, charges, *sum_error).into()
            }
            Happening::Credited { credit_note, invoice, charge } => {
                self.credited(*credit_note, *invoice, charge).into()
            }
            Happening::Paid { payment, version, allocations, unapplied } => {
                self.paid(*payment, *version, allocations, *unapplied).into()
            }
            Happening::PaymentFailed { payment, attempt, invoice, amount, next_at } => {
                self.payment_failed(*payment, *attempt, *invoice, *amount, *next_at).into()
            }
            Happening::Used { batch, meter, period, quantity, charges } => {
                self.used(*batch, *meter, *period, *quantity, charges).into()
            }
            Happening::Crossed { threshold, meter, period, observed } => {
                self.crossed(*threshold, *meter, *period, *observed).into()
            }
        }
    }

    fn contract(&self) -> &Contract {
        &self.account.contracts[self.moment.contract]
    }

    fn contract_id(&self) -> String {
        self.names.contract(self.account.index, self.contract().number)
    }

    fn account_id(&self) -> String {
        self.names.account(self.account.index)
    }

    fn entity(&self) -> String {
        self.account.market.legal_entity.to_owned()
    }

    fn currency(&self) -> String {
        self.account.market.currency.to_owned()
    }

    fn timezone(&self) -> String {
        self.account.market.timezone.to_owned()
    }

    fn at(&self) -> Timestamp {
        timestamp(self.moment.at_ms)
    }

    fn day(&self) -> Date {
        date_of(self.moment.at_ms)
    }

    fn period(&self, (start_on, end_on): (Date, Date)) -> Period {
        Period { start_on, end_on, timezone: self.timezone() }
    }

    fn term(&self, start_on: Date, end_on: Date) -> Term {
        let end_on = Some(end_on);
        Term { start_on, end_on, timezone: self.timezone(), auto_renew: true, renewal_notice_days: Some(30) }
    }

    fn terms(&self) -> PaymentTerms {
        PaymentTerms { code: self.account.terms.0.to_owned(), net_days: self.account.terms.1 }
    }

    fn activated(&self) -> ContractActivated {
        let contract = self.contract();
        let yearly = |amount: i64| if contract.annual { amount / 12 } else { amount };
        let per_period: i64 = contract.lines.iter().map(amount).sum();
        ContractActivated {
            account_id: self.account_id(),
            entity_version: 1,
            effective_at: self.at(),
            recorded_at: self.at(),
            legal_entity_id: self.entity(),
            contract_id: self.contract_id(),
            customer: self.customer(),
            currency: self.currency(),
            term: self.term(contract.start, contract.end),
            billing_schedule: Some(self.billing_schedule()),
            lines: contract.lines.iter().map(|line| self.contract_line(line)).collect(),
            total_contract_value_minor: Some(yearly(per_period) * i64::from(contract.term_months)),
            revenue_plan: if contract.annual { self.revenue_plan() } else { Vec::new() },
            entitlements: contract.lines.iter().map(|line| self.entitlement(line)).collect(),
            activation_source: Some("signature".to_owned()),
            ..ContractActivated::default()
        }
    }

    fn customer(&self) -> Customer {
        let market = self.account.market;
        Customer {
            legal_name: company(self.account.index).into(),
            email: Some(format!("billing@{}.example.com", self.account_id()).into()),
            currency: self.currency(),
            locale: Some(market.locale.to_owned()),
            payment_terms: Some(self.terms()),
            billing_address: Some(Address { country: market.country.to_owned(), ..Address::default() }),
            ..Customer::default()
        }
    }

    fn billing_schedule(&self) -> BillingSchedule {
        let contract = self.contract();
        BillingSchedule {
            frequency: if contract.annual { BillingFrequency::Annual } else { BillingFrequency::Monthly },
            anchor_day: i32::from(contract.start.day()),
            timezone: self.timezone(),
            in_advance: true,
            next_invoice_on: Some(contract.start),
        }
    }

    fn contract_line(&self, line: &Line) -> ContractLine {
        let product = &PRODUCTS[line.product];
        ContractLine {
            contract_line_id: self.line_id(line.number),
            product_id: product.id.to_owned(),
            description: Some(product.name.to_owned()),
            charge_type: ChargeType::Recurring,
            quantity: Decimal::from(line.seats),
            unit: Some("seat".to_owned()),
            unit_price: line.price.major(self.account.market.exponent),
            amount_minor: amount(line),
            ..ContractLine::default()
        }
    }

    fn line_id(&self, number: u16) -> String {
        self.names.line(self.account.index, self.contract().number, number)
    }

    fn revenue_plan(&self) -> Vec<RevenueObligation> {
        let contract = self.contract();
        let obligation = |line: &Line| RevenueObligation {
            performance_obligation_id: format!("{}-PO", self.line_id(line.number)),
            standalone_selling_price_minor: amount(line),
            allocated_price_minor: amount(line),
            method: RecognitionMethod::StraightLineDaily,
            start_on: contract.start,
            end_on: Some(contract.end),
            ..RevenueObligation::default()
        };
        contract.lines.iter().map(obligation).collect()
    }

    fn entitlement(&self, line: &Line) -> EntitlementRequest {
        EntitlementRequest {
            feature_key: PRODUCTS[line.product].feature.to_owned(),
            quantity: Some(Decimal::from(line.seats)),
            contract_line_id: Some(self.line_id(line.number)),
        }
    }

    fn amended(&self, before: Option<&Line>, after: &Line) -> ContractAmended {
        let contract = self.contract();
        let delta = amount(after) - before.map_or(0, amount);
        ContractAmended {
            account_id: self.account_id(),
            entity_version: contract.version,
            effective_at: self.at(),
            recorded_at: self.at(),
            legal_entity_id: self.entity(),
            contract_id: self.contract_id(),
            amendment_id: format!("{}-A{}", self.contract_id(), contract.amendments),
            sequence_no: contract.amendments,
            amendment_type: if before.is_some() { AmendmentType::Quantity } else { AmendmentType::Add },
            currency: self.currency(),
            changes: vec![LineChange {
                contract_line_id: self.line_id(after.number),
                before: before.map(|line| self.contract_line(line)),
                after: Some(self.contract_line(after)),
            }],
            delta_mrr_minor: if contract.annual { delta / 12 } else { delta },
            revenue_modification: Some(RevenueModification::Prospective),
            ..ContractAmended::default()
        }
    }

    fn renewed(&self, before: &[Line], uplift_basis_points: i64) -> SubscriptionRenewalAccepted {
        let contract = self.contract();
        let start = super::calendar::months_after(contract.start, contract.term_months * contract.renewals);
        SubscriptionRenewalAccepted {
            account_id: self.account_id(),
            entity_version: contract.version,
            effective_at: self.at(),
            recorded_at: self.at(),
            legal_entity_id: self.entity(),
            renewal_id: self.names.renewal(self.account.index, contract.number, contract.renewals),
            contract_id: self.contract_id(),
            renewed_term: self.term(start, contract.end),
            currency: self.currency(),
            uplift_percent: Some(Decimal::new(uplift_basis_points, 2)),
            lines_before: before.iter().map(|line| self.contract_line(line)).collect(),
            lines_after: contract.lines.iter().map(|line| self.contract_line(line)).collect(),
            accepted_at: self.at(),
            channel: Some("portal".to_owned()),
            ..SubscriptionRenewalAccepted::default()
        }
    }

    fn cancelled(&self, on: Date, at_once: bool) -> ContractCancelled {
        let (mode, code) = if at_once {
            (CancellationMode::Immediate, "closed_down")
        } else {
            (CancellationMode::EndOfTerm, "not_renewed")
        };
        ContractCancelled {
            account_id: self.account_id(),
            entity_version: self.contract().version,
            effective_at: self.at(),
            recorded_at: self.at(),
            legal_entity_id: self.entity(),
            contract_id: self.contract_id(),
            mode,
            cancel_on: on,
            timezone: self.timezone(),
            reason: Reason { code: code.to_owned(), text: None },
            currency: self.currency(),
            notice_on: Some(self.day()),
            ..ContractCancelled::default()
        }
    }

    fn billed(&self, invoice: u32, period: (Date, Date), charges: &[Charge], sum_error: i64) -> InvoicePosted {
        let number = self.names.invoice(self.account.index, invoice);
        InvoicePosted {
            account_id: self.account_id(),
            entity_version: 1,
            effective_at: self.at(),
            recorded_at: self.at(),
            legal_entity_id: self.entity(),
            invoice_number: number.to_uppercase(),
            invoice_id: number,
            contract_id: Some(self.contract_id()),
            issue_on: self.day(),
            timezone: self.timezone(),
            due_on: Some(days_after(self.day(), i64::from(self.account.terms.1))),
            period: Some(self.period(period)),
            currency: self.currency(),
            lines: self.lines(charges, Some(period)),
            tax_breakdown: self.taxes(charges),
            totals: totals(charges, sum_error),
            payment_terms: Some(self.terms()),
            ..InvoicePosted::default()
        }
    }

    fn credited(&self, credit_note: u32, invoice: Option<u32>, charge: &Charge) -> CreditNoteIssued {
        let number = self.names.credit_note(self.account.index, credit_note);
        let charges = std::slice::from_ref(charge);
        let preceding_invoice = invoice.map(|invoice| {
            let invoice_id = self.names.invoice(self.account.index, invoice);
            InvoiceRef { invoice_number: Some(invoice_id.to_uppercase()), invoice_id, issue_on: None }
        });
        let (to_invoice_minor, balance_minor) =
            if invoice.is_some() { (charge.gross(), 0) } else { (0, charge.gross()) };
        CreditNoteIssued {
            account_id: self.account_id(),
            entity_version: 1,
            effective_at: self.at(),
            recorded_at: self.at(),
            legal_entity_id: self.entity(),
            credit_note_number: number.to_uppercase(),
            credit_note_id: number,
            preceding_invoice,
            contract_id: Some(self.contract_id()),
            reason: Reason { code: if invoice.is_some() { "overcharge" } else { "goodwill" }.to_owned(), text: None },
            issue_on: self.day(),
            timezone: self.timezone(),
            currency: self.currency(),
            lines: self.lines(charges, None),
            tax_breakdown: self.taxes(charges),
            totals: totals(charges, 0),
            application: Some(CreditApplication { to_invoice_minor, refund_minor: 0, balance_minor }),
            ..CreditNoteIssued::default()
        }
    }

    fn lines(&self, charges: &[Charge], period: Option<(Date, Date)>) -> Vec<LineItem> {
        let line = |(place, charge): (usize, &Charge)| LineItem {
            line_id: (place + 1).to_string(),
            product_id: charge.product.to_owned(),
            description: Some(charge.description.to_owned()),
            charge_type: charge_type(charge.kind),
            quantity: Decimal::from(charge.quantity),
            unit: Some(charge.unit.to_owned()),
            unit_price: charge.price.major(self.account.market.exponent),
            net_minor: charge.net,
            tax_minor: charge.tax,
            taxes: self.taxes(std::slice::from_ref(charge)),
            service_period: period.filter(|_| charge.kind == Kind::Recurring).map(|period| self.period(period)),
            contract_line_id: (charge.kind == Kind::Recurring).then(|| self.line_id(charge.line)),
            ..LineItem::default()
        };
        charges.iter().enumerate().map(line).collect()
    }

    /// One rate per document; markets without tax have none to show.
    fn taxes(&self, charges: &[Charge]) -> Vec<TaxLine> {
        let market = self.account.market;
        if market.tax_basis_points == 0 {
            return Vec::new();
        }
        vec![TaxLine {
            jurisdiction: Some(market.country.to_owned()),
            category_code: "S".to_owned(),
            rate_percent: Decimal::new(market.tax_basis_points, 2),
            taxable_minor: charges.iter().map(|charge| charge.net).sum(),
            tax_minor: charges.iter().map(|charge| charge.tax).sum(),
            ..TaxLine::default()
        }]
    }

    fn paid(&self, payment: u32, version: i64, allocations: &[(u32, i64)], unapplied: i64) -> PaymentReceived {
        let payment_id = self.names.payment(self.account.index, payment);
        let applied: i64 = allocations.iter().map(|(_, amount)| amount).sum();
        let method = self.method();
        PaymentReceived {
            account_id: self.account_id(),
            entity_version: version,
            effective_at: self.at(),
            recorded_at: self.at(),
            legal_entity_id: self.entity(),
            method,
            amount_minor: applied + unapplied,
            currency: self.currency(),
            received_on: self.day(),
            value_on: Some(self.day()),
            timezone: self.timezone(),
            allocations: allocations.iter().map(|(invoice, amount)| self.allocation(*invoice, *amount)).collect(),
            unapplied_minor: unapplied,
            bank_reference: (method == PaymentMethod::BankTransfer).then(|| payment_id.to_uppercase().into()),
            payment_id,
            ..PaymentReceived::default()
        }
    }

    fn allocation(&self, invoice: u32, amount_minor: i64) -> PaymentAllocation {
        let invoice_id = self.names.invoice(self.account.index, invoice);
        PaymentAllocation { invoice_id, amount_minor, ..PaymentAllocation::default() }
    }

    fn method(&self) -> PaymentMethod {
        match self.account.index % 4 {
            0 => PaymentMethod::Card,
            1 => PaymentMethod::DirectDebit,
            _ => PaymentMethod::BankTransfer,
        }
    }

    fn payment_failed(
        &self,
        payment: u32,
        attempt: i32,
        invoice: u32,
        amount_minor: i64,
        next_at: Option<i64>,
    ) -> PaymentFailed {
        PaymentFailed {
            account_id: self.account_id(),
            entity_version: i64::from(attempt),
            effective_at: self.at(),
            recorded_at: self.at(),
            legal_entity_id: self.entity(),
            payment_id: self.names.payment(self.account.index, payment),
            attempt_no: attempt,
            invoice_id: self.names.invoice(self.account.index, invoice),
            amount_minor,
            currency: self.currency(),
            method: PaymentMethod::Card,
            failure_code: "card_declined".to_owned(),
            decline_code: Some("insufficient_funds".to_owned()),
            category: if next_at.is_some() { FailureCategory::Soft } else { FailureCategory::Hard },
            next_attempt_at: next_at.map(timestamp),
            dunning_step: Some(attempt),
            ..PaymentFailed::default()
        }
    }

    fn used(&self, batch: u32, meter: usize, period: (Date, Date), quantity: i64, charges: &[Charge]) -> UsageRated {
        let meter = &METERS[meter];
        UsageRated {
            account_id: self.account_id(),
            entity_version: 1,
            effective_at: self.at(),
            recorded_at: self.at(),
            legal_entity_id: self.entity(),
            usage_batch_id: self.names.usage_batch(self.account.index, batch),
            contract_id: self.contract_id(),
            product_id: meter.product.to_owned(),
            meter: meter.name.to_owned(),
            period: self.period(period),
            quantity: Decimal::from(quantity),
            unit: meter.unit.to_owned(),
            included_quantity: Decimal::from(quantity.min(meter.included)),
            overage_quantity: Decimal::from((quantity - meter.included).max(0)),
            tiers: self.tiers(meter.included, charges),
            amount_minor: charges.iter().map(|charge| charge.net).sum(),
            currency: self.currency(),
            rating_version: Some("2026-01".to_owned()),
            ..UsageRated::default()
        }
    }

    fn tiers(&self, included: i64, charges: &[Charge]) -> Vec<UsageTier> {
        let mut from = included;
        let mut tier = |charge: &Charge| {
            let start = from;
            from += charge.quantity;
            UsageTier {
                from_quantity: Decimal::from(start),
                to_quantity: Some(Decimal::from(from)),
                quantity: Decimal::from(charge.quantity),
                unit_price: charge.price.major(self.account.market.exponent),
                amount_minor: charge.net,
            }
        };
        charges.iter().map(&mut tier).collect()
    }

    fn crossed(&self, threshold: u32, meter: usize, period: (Date, Date), observed: i64) -> UsageThresholdExceeded {
        let meter = &METERS[meter];
        UsageThresholdExceeded {
            account_id: self.account_id(),
            entity_version: 1,
            effective_at: self.at(),
            recorded_at: self.at(),
            legal_entity_id: self.entity(),
            threshold_id: self.names.threshold(self.account.index, threshold),
            contract_id: self.contract_id(),
            meter: meter.name.to_owned(),
            threshold_type: ThresholdType::Absolute,
            threshold_value: Decimal::from(meter.included),
            observed_value: Decimal::from(observed),
            unit: Some(meter.unit.to_owned()),
            period: self.period(period),
            first_crossed_at: self.at(),
            action: ThresholdAction::Notify,
            recurrence: 1,
            ..UsageThresholdExceeded::default()
        }
    }
}

fn amount(line: &Line) -> i64 {
    line.price.times(line.seats)
}

const fn charge_type(kind: Kind) -> ChargeType {
    match kind {
        Kind::Recurring => ChargeType::Recurring,
        Kind::Usage => ChargeType::Usage,
    }
}

fn totals(charges: &[Charge], sum_error: i64) -> Totals {
    let net: i64 = charges.iter().map(|charge| charge.net).sum();
    let tax: i64 = charges.iter().map(|charge| charge.tax).sum();
    Totals {
        line_net_minor: net + sum_error,
        tax_exclusive_minor: net + sum_error,
        tax_minor: tax,
        tax_inclusive_minor: net + tax + sum_error,
        payable_minor: net + tax + sum_error,
        ..Totals::default()
    }
}

fn timestamp(at_ms: i64) -> Timestamp {
    // Years 1971 to 2310 (see `Options::problems`) are far inside of what a timestamp holds.
    Timestamp::from_millisecond(at_ms).unwrap_or(Timestamp::UNIX_EPOCH)
}
