//! Contracts, and what changes them.

use super::Shaper;
use crate::business::{
    catalog::PRODUCTS,
    life::{Cancelled, Line},
    tax::Standing,
};
use events::{common::*, *};
use rust_decimal::Decimal;

impl Shaper<'_> {
    pub(super) fn activated(&self) -> ContractActivated {
        let contract = self.contract();
        ContractActivated {
            account_id: self.account_id(),
            entity_version: 1,
            effective_at: self.at(),
            recorded_at: self.at(),
            legal_entity_id: self.entity(),
            contract_id: self.contract_id(),
            customer: self.customer(),
            currency: self.currency(),
            term: self.term(contract.start, contract.end()),
            billing_schedule: Some(self.billing_schedule()),
            lines: contract.lines.iter().map(|line| self.contract_line(line)).collect(),
            total_contract_value_minor: Some(contract.value()),
            revenue_plan: if contract.annual { self.revenue_plan() } else { Vec::new() },
            entitlements: contract.lines.iter().map(|line| self.entitlement(line)).collect(),
            activation_source: Some("signature".to_owned()),
            ..ContractActivated::default()
        }
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
            amount_minor: line.amount(),
            performance_obligation_id: self.obligation_id(line.number),
            ..ContractLine::default()
        }
    }

    pub(super) fn entitlement(&self, line: &Line) -> EntitlementRequest {
        EntitlementRequest {
            feature_key: PRODUCTS[line.product].feature.to_owned(),
            quantity: Some(Decimal::from(line.seats)),
            contract_line_id: Some(self.line_id(line.number)),
        }
    }

    pub(super) fn renewed(&self, before: &[Line], uplift_basis_points: i64) -> SubscriptionRenewalAccepted {
        let contract = self.contract();
        SubscriptionRenewalAccepted {
            account_id: self.account_id(),
            entity_version: contract.version,
            effective_at: self.at(),
            recorded_at: self.at(),
            legal_entity_id: self.entity(),
            renewal_id: self.names.renewal(self.account.index, contract.number, contract.renewals),
            contract_id: self.contract_id(),
            renewed_term: self.term(contract.term_start(), contract.end()),
            currency: self.currency(),
            uplift_percent: Some(Decimal::new(uplift_basis_points, 2)),
            lines_before: before.iter().map(|line| self.contract_line(line)).collect(),
            lines_after: contract.lines.iter().map(|line| self.contract_line(line)).collect(),
            total_contract_value_minor: Some(contract.value()),
            accepted_at: self.at(),
            channel: Some("portal".to_owned()),
            ..SubscriptionRenewalAccepted::default()
        }
    }

    pub(super) fn cancelled(&self, cancelled: &Cancelled) -> ContractCancelled {
        let (mode, code) = if cancelled.at_once {
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
            cancel_on: cancelled.on,
            timezone: self.timezone(),
            reason: Reason { code: code.to_owned(), text: None },
            currency: self.currency(),
            notice_on: Some(self.day()),
            final_invoice_policy: cancelled.at_once.then(|| "usage_to_date".to_owned()),
            refund_policy: cancelled
                .at_once
                .then(|| if cancelled.is_refunded { "prorated" } else { "none" }.to_owned()),
            early_termination_fee_minor: cancelled.fee,
            ..ContractCancelled::default()
        }
    }
}
