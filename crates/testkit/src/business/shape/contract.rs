//! Contracts, and what changes them.

use super::{Shaper, amount};
use crate::business::{calendar::months_after, catalog::PRODUCTS, life::Line, tax::Standing};
use events::{common::*, *};
use jiff::civil::Date;
use rust_decimal::Decimal;

impl Shaper<'_> {
    pub(super) fn activated(&self) -> ContractActivated {
        let contract = self.contract();
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
            total_contract_value_minor: Some(per_period * self.periods()),
            revenue_plan: if contract.annual { self.revenue_plan() } else { Vec::new() },
            entitlements: contract.lines.iter().map(|line| self.entitlement(line)).collect(),
            activation_source: Some("signature".to_owned()),
            ..ContractActivated::default()
        }
    }

    /// Billing periods of one term.
    fn periods(&self) -> i64 {
        let contract = self.contract();
        i64::from(contract.term_months) / if contract.annual { 12 } else { 1 }
    }

    /// Annual contracts are paid in advance, so what each line sells is an obligation of its own.
    pub(super) fn obligation_id(&self, line: u16) -> Option<String> {
        self.contract().annual.then(|| format!("{}-PO", self.line_id(line)))
    }

    /// The same in all contracts of an account: what it is does not depend on what it buys where.
    pub(super) fn customer(&self) -> Customer {
        let account = self.account;
        let (index, home) = (account.index, account.market);
        let is_abroad = account.country != home.country;
        let vat_id = || TaxId {
            scheme: "eu_vat".to_owned(),
            value: self.names.vat_id(account.country, index).into(),
            verified_at: None,
        };
        Customer {
            legal_name: self.names.company(index).into(),
            email: Some(format!("billing@{}.example.com", self.account_id()).into()),
            currency: home.currency.to_owned(),
            locale: Some(home.locale.to_owned()),
            tax_ids: (account.standing == Standing::Registered).then(vat_id).into_iter().collect(),
            tax_exemption: match account.standing {
                Standing::Registered if is_abroad => TaxExemption::ReverseCharge,
                Standing::Exempt => TaxExemption::Exempt,
                Standing::Registered | Standing::Private => TaxExemption::None,
            },
            payment_terms: Some(self.terms()),
            billing_address: Some(Address { country: account.country.to_owned(), ..Address::default() }),
            ..Customer::default()
        }
    }

    pub(super) fn billing_schedule(&self) -> BillingSchedule {
        let contract = self.contract();
        BillingSchedule {
            frequency: if contract.annual { BillingFrequency::Annual } else { BillingFrequency::Monthly },
            anchor_day: i32::from(contract.start.day()),
            timezone: self.timezone(),
            in_advance: true,
            next_invoice_on: Some(contract.start),
        }
    }

    pub(super) fn contract_line(&self, line: &Line) -> ContractLine {
        let product = &PRODUCTS[line.product];
        ContractLine {
            contract_line_id: self.line_id(line.number),
            product_id: product.id.to_owned(),
            description: Some(product.name.to_owned()),
            charge_type: ChargeType::Recurring,
            quantity: Decimal::from(line.seats),
            unit: Some("seat".to_owned()),
            unit_price: line.price.major(self.market().exponent),
            amount_minor: amount(line),
            performance_obligation_id: self.obligation_id(line.number),
            ..ContractLine::default()
        }
    }

    pub(super) fn revenue_plan(&self) -> Vec<RevenueObligation> {
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

    pub(super) fn entitlement(&self, line: &Line) -> EntitlementRequest {
        EntitlementRequest {
            feature_key: PRODUCTS[line.product].feature.to_owned(),
            quantity: Some(Decimal::from(line.seats)),
            contract_line_id: Some(self.line_id(line.number)),
        }
    }

    pub(super) fn amended(&self, before: Option<&Line>, after: &Line) -> ContractAmended {
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
            delta_tcv_minor: self.rest_of_the_term(delta),
            revenue_modification: Some(RevenueModification::Prospective),
            ..ContractAmended::default()
        }
    }

    /// What a change of the price of one billing period comes to until the end of the term.
    fn rest_of_the_term(&self, delta: i64) -> i64 {
        let contract = self.contract();
        let start = months_after(contract.end, 0);
        let days_left = i64::from(start.since(self.day()).map_or(0, |span| span.get_days()).max(0));
        let days = if contract.annual { 365 } else { 30 };
        (i128::from(delta) * i128::from(days_left) / days) as i64
    }

    pub(super) fn renewed(&self, before: &[Line], uplift_basis_points: i64) -> SubscriptionRenewalAccepted {
        let contract = self.contract();
        let start = months_after(contract.start, contract.term_months * contract.renewals);
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
            total_contract_value_minor: Some(contract.lines.iter().map(amount).sum::<i64>() * self.periods()),
            accepted_at: self.at(),
            channel: Some("portal".to_owned()),
            ..SubscriptionRenewalAccepted::default()
        }
    }

    pub(super) fn cancelled(&self, on: Date, at_once: bool) -> ContractCancelled {
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
}
