//! Deals, and the service in a simulated world without faults.
#![allow(dead_code, reason = "each test file uses its own part")]

use connectors::tax::{LineTax, TaxAnswer, TaxPart};
use events::{
    Case as Fallout, ContractAmendmentRequested, ContractCancelled, CustomerCreditHoldChanged, Deal,
    EntitlementGranted, Envelope, Event, EventSet, FalloutDecided, Notice, OpportunityClosedWon, OpportunityReopened,
    OrderAccepted, OrderCancelled, OrderRejected, ProvisioningFailed, Reply, Request, Saga, SagaStep, WriterSchema,
    common::{
        CancellationMode, ChargeType, ContractLine, DealLine, FalloutAction, Reason, RejectionCode, RejectionReason,
    },
    topics,
};
use jiff::civil::date;
use order_flow::{
    OrderFlow, Writer,
    document::FlowDocument,
    effect::{Change, FlowEffect},
    event::FlowEvent,
};
use rules::Store;
use rust_decimal::Decimal;
use std::{collections::BTreeMap, path::Path, sync::Arc};
use testkit::{
    deals::{self, at},
    lifecycle,
    simulation::{Case, Observed, Options, SimEvent, World},
};

pub const ACCOUNT: &str = "A-1";

pub fn flow() -> OrderFlow {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/policies");
    let store = Store::open(&folder).unwrap_or_else(|problems| panic!("{problems}"));
    OrderFlow::new(Arc::new(store), Writer::new(Writer::TOPICS.into_iter().zip(1..).collect()))
}

/// The engine takes ten percent of each line.
pub fn details(effect: &FlowEffect) -> BTreeMap<String, String> {
    let Change::DetermineTax(question) = &effect.change else { return BTreeMap::new() };
    let part = |amount: i64| TaxPart {
        jurisdiction: "US-CA".into(),
        name: "Sales tax".into(),
        rate_percent: Decimal::TEN,
        taxable_minor: amount,
        tax_minor: amount / 10,
    };
    let line = |line: &connectors::tax::TaxedLine| LineTax {
        line_id: line.line_id.clone(),
        taxable_minor: line.amount_minor,
        tax_minor: line.amount_minor / 10,
        parts: vec![part(line.amount_minor)],
    };
    let lines: Vec<LineTax> = question.lines.iter().map(line).collect();
    let answer = TaxAnswer {
        id: format!("tax-{}", question.document.document_id),
        document_id: question.document.document_id.clone(),
        revision: question.document.revision,
        total_tax_minor: lines.iter().map(|line| line.tax_minor).sum(),
        lines,
    };
    [("answer".to_owned(), serde_json::to_string(&answer).expect("text"))].into()
}

/// The `n`th thing that happens.
pub fn happens(n: i64, event: impl Into<FlowEvent>, topic: &'static str) -> SimEvent<FlowEvent> {
    let event = event.into();
    let envelope = Envelope {
        id: format!("event-{n}"),
        source: "urn:test".into(),
        event_type: topics::event_type(topic),
        time_ms: at(n).as_millisecond(),
        subject: Some(event.subject().to_owned()),
        correlation_id: Some("deal-flow".into()),
        ..Envelope::default()
    };
    SimEvent { topic, key: event.account_id().to_owned(), envelope, event: Ok(event) }
}

pub fn line(id: &str, product: &str, charge_type: ChargeType, amount_minor: i64) -> DealLine {
    let quantity = Decimal::TEN;
    DealLine {
        line: ContractLine {
            contract_line_id: id.into(),
            product_id: product.into(),
            charge_type,
            quantity,
            unit_price: Decimal::ONE_HUNDRED,
            amount_minor,
            ..ContractLine::default()
        },
        ..DealLine::default()
    }
}

/// A deal that nothing is wrong with: one seller, one line, one year.
pub fn deal(id: &str) -> OpportunityClosedWon {
    deals::deal(ACCOUNT, id)
}

/// The same, sold by two entities in two currencies.
pub fn shared(id: &str) -> OpportunityClosedWon {
    deals::shared(ACCOUNT, id)
}

pub fn won(n: i64, deal: OpportunityClosedWon) -> SimEvent<FlowEvent> {
    happens(n, Deal::from(deal), topics::OPPORTUNITY_CLOSED_WON)
}

pub fn reopened(n: i64, id: &str, version: i64) -> SimEvent<FlowEvent> {
    let event = OpportunityReopened {
        account_id: ACCOUNT.into(),
        entity_version: version,
        effective_at: at(n),
        recorded_at: at(n),
        legal_entity_id: "US".into(),
        opportunity_id: id.into(),
        previous_stage: None,
        reason: Reason { code: "customer_withdrew".into(), text: None },
    };
    happens(n, Deal::from(event), topics::OPPORTUNITY_REOPENED)
}

pub fn hold(n: i64, version: i64, on_hold: bool) -> SimEvent<FlowEvent> {
    let event = CustomerCreditHoldChanged {
        account_id: ACCOUNT.into(),
        entity_version: version,
        effective_at: at(n),
        recorded_at: at(n),
        legal_entity_id: "US".into(),
        on_hold,
        reason: None,
    };
    happens(n, Deal::from(event), topics::CUSTOMER_CREDIT_HOLD_CHANGED)
}

pub fn decided(n: i64, id: &str, action: FalloutAction, codes: &[&str]) -> SimEvent<FlowEvent> {
    let event = FalloutDecided {
        account_id: ACCOUNT.into(),
        entity_version: 1,
        effective_at: at(n),
        recorded_at: at(n),
        legal_entity_id: "US".into(),
        opportunity_id: id.into(),
        decision_id: format!("decision-{n}"),
        action,
        codes: codes.iter().map(|code| (*code).to_owned()).collect(),
        decided_by: "somebody".into(),
        note: None,
        case_id: None,
    };
    happens(n, Deal::from(event), topics::FALLOUT_DECIDED)
}

/// The same about one case.
pub fn decided_case(n: i64, (id, case_id): (&str, &str), action: FalloutAction, codes: &[&str]) -> SimEvent<FlowEvent> {
    let mut decided = decided(n, id, action, codes);
    if let Ok(FlowEvent::Deal(Deal::FalloutDecided(event))) = &mut decided.event {
        event.case_id = Some(case_id.into());
    }
    decided
}

pub fn amend(n: i64, event: ContractAmendmentRequested) -> SimEvent<FlowEvent> {
    happens(n, Deal::from(event), topics::CONTRACT_AMENDMENT_REQUESTED)
}

/// The customer renews for the year after, with this version of the contract and this price in hundredths.
pub fn renewed(n: i64, id: &str, version: i64, price: i64) -> SimEvent<FlowEvent> {
    happens(n, Event::from(lifecycle::renewal(ACCOUNT, id, version, price)), topics::SUBSCRIPTION_RENEWAL_ACCEPTED)
}

pub fn not_renewed(n: i64, id: &str) -> SimEvent<FlowEvent> {
    happens(n, Notice::from(lifecycle::no_renewal(ACCOUNT, id)), topics::SUBSCRIPTION_RENEWAL_DECLINED)
}

/// The ERP has the order of a renewal.
pub fn renewal_taken(n: i64, id: &str) -> SimEvent<FlowEvent> {
    let mut taken = accepted(n, id, "US");
    if let Ok(FlowEvent::Reply(Reply::OrderAccepted(event))) = &mut taken.event {
        event.order_id = format!("{id}-US/R-{id}");
        event.erp_order_id = "erp-renewal".into();
        event.opportunity_id = None;
    }
    taken
}

/// Somebody else cancels the contract with this version.
pub fn ended(n: i64, id: &str, version: i64) -> SimEvent<FlowEvent> {
    let event = ContractCancelled {
        account_id: ACCOUNT.into(),
        entity_version: version,
        effective_at: at(n),
        recorded_at: at(n),
        legal_entity_id: "US".into(),
        contract_id: format!("{id}-US"),
        timezone: "UTC".into(),
        currency: "USD".into(),
        ..ContractCancelled::default()
    };
    happens(n, Event::from(event), topics::CONTRACT_CANCELLED)
}

/// Somebody cancels a contract for the first of September.
pub fn ends(n: i64, id: &str, version: i64) -> SimEvent<FlowEvent> {
    let event = ContractCancelled {
        account_id: ACCOUNT.into(),
        entity_version: version,
        effective_at: at(n),
        recorded_at: at(n),
        legal_entity_id: "US".into(),
        contract_id: id.into(),
        mode: CancellationMode::EndOfTerm,
        cancel_on: date(2026, 9, 1),
        timezone: "America/New_York".into(),
        reason: Reason { code: "customer_left".into(), text: None },
        currency: "USD".into(),
        ..ContractCancelled::default()
    };
    happens(n, Event::from(event), topics::CONTRACT_CANCELLED)
}

pub fn accepted(n: i64, id: &str, entity: &str) -> SimEvent<FlowEvent> {
    let event = OrderAccepted {
        account_id: ACCOUNT.into(),
        entity_version: 1,
        effective_at: at(n),
        recorded_at: at(n),
        accepted_at: at(n),
        legal_entity_id: entity.into(),
        order_id: format!("{id}-{entity}"),
        contract_id: Some(format!("{id}-{entity}")),
        opportunity_id: Some(id.into()),
        erp_system: "netsuite".into(),
        erp_order_id: format!("erp-{entity}"),
        erp_order_no: Some("SO-1".into()),
        currency: "USD".into(),
        ..OrderAccepted::default()
    };
    happens(n, Reply::from(event), topics::ORDER_ACCEPTED)
}

pub fn rejected(n: i64, id: &str, entity: &str) -> SimEvent<FlowEvent> {
    let event = OrderRejected {
        account_id: ACCOUNT.into(),
        entity_version: 1,
        effective_at: at(n),
        recorded_at: at(n),
        rejected_at: at(n),
        legal_entity_id: entity.into(),
        order_id: format!("{id}-{entity}"),
        contract_id: Some(format!("{id}-{entity}")),
        opportunity_id: Some(id.into()),
        erp_system: "netsuite".into(),
        reasons: vec![RejectionReason {
            code: RejectionCode::UnmappedProduct,
            path: Some("lines[0].product_id".into()),
            message: "no item".into(),
            fix_hint: None,
            owner_queue: Some("master-data".into()),
        }],
        resubmittable: true,
    };
    happens(n, Reply::from(event), topics::ORDER_REJECTED)
}

/// The product could not carry the contract of an order out.
pub fn not_provisioned(n: i64, id: &str, entity: &str) -> SimEvent<FlowEvent> {
    let event = ProvisioningFailed {
        account_id: ACCOUNT.into(),
        entity_version: 1,
        effective_at: at(n),
        recorded_at: at(n),
        legal_entity_id: entity.into(),
        failed_event_id: format!("activated-{id}-{entity}"),
        failed_event_type: topics::CONTRACT_ACTIVATED.into(),
        failed_subject: format!("{id}-{entity}"),
        reasons: vec![RejectionReason {
            code: RejectionCode::UnmappedProduct,
            path: Some("lines[0].product_id".into()),
            message: "no bundle".into(),
            fix_hint: None,
            owner_queue: Some("master-data".into()),
        }],
        error_class: "business".into(),
        resubmittable: true,
    };
    happens(n, Reply::from(event), topics::PROVISIONING_FAILED)
}

/// The customer has access to what the contract of an order says.
pub fn granted(n: i64, id: &str, entity: &str) -> SimEvent<FlowEvent> {
    let event = EntitlementGranted {
        account_id: ACCOUNT.into(),
        entity_version: 1,
        effective_at: at(n),
        recorded_at: at(n),
        legal_entity_id: entity.into(),
        entitlement_id: format!("{id}-{entity}/L1/platform"),
        contract_id: format!("{id}-{entity}"),
        ..EntitlementGranted::default()
    };
    happens(n, Reply::from(event), topics::ENTITLEMENT_GRANTED)
}

pub fn cancelled(n: i64, id: &str, entity: &str) -> SimEvent<FlowEvent> {
    let event = OrderCancelled {
        account_id: ACCOUNT.into(),
        entity_version: 2,
        effective_at: at(n),
        recorded_at: at(n),
        cancelled_at: at(n),
        legal_entity_id: entity.into(),
        order_id: format!("{id}-{entity}"),
        contract_id: Some(format!("{id}-{entity}")),
        opportunity_id: Some(id.into()),
        erp_system: "netsuite".into(),
        reason: Reason { code: "customer_withdrew".into(), text: None },
        ..OrderCancelled::default()
    };
    happens(n, Reply::from(event), topics::ORDER_CANCELLED)
}

/// What happened, with everything told in its order.
pub struct Told {
    pub requests: Vec<Request>,
    pub contracts: Vec<Event>,
    pub cases: Vec<Fallout>,
    pub facts: Vec<SagaStep>,
    pub answers: Vec<Reply>,
    pub notices: Vec<Notice>,
    pub observed: Observed,
}

impl Told {
    pub fn of(events: Vec<SimEvent<FlowEvent>>) -> Self {
        Self::by(&Case::new(flow(), events))
    }

    pub fn by(case: &Case<OrderFlow>) -> Self {
        let (observed, _) = World::new(case, Options::calm(), 0).run().expect("the run comes to rest");
        let mut told = Self {
            requests: Vec::new(),
            contracts: Vec::new(),
            cases: Vec::new(),
            facts: Vec::new(),
            answers: Vec::new(),
            notices: Vec::new(),
            observed,
        };
        for outgoing in told.observed.told.clone() {
            let topic: &str = &outgoing.topic;
            let Some(schema) = WriterSchema::own(topic) else { continue };
            let Some(value) = &outgoing.value else { continue };
            let datum = &value[5..];
            if Request::topics().contains(&topic) {
                told.requests.push(Request::decode_avro(topic, &schema, datum).expect("ours"));
            } else if Event::topics().contains(&topic) {
                told.contracts.push(Event::decode_avro(topic, &schema, datum).expect("ours"));
            } else if Fallout::topics().contains(&topic) {
                told.cases.push(Fallout::decode_avro(topic, &schema, datum).expect("ours"));
            } else if Saga::topics().contains(&topic) {
                let Saga::SagaStep(fact) = Saga::decode_avro(topic, &schema, datum).expect("ours");
                assert_eq!(Saga::from(*fact.clone()).check(), Ok(()));
                told.facts.push(*fact);
            } else if Reply::topics().contains(&topic) {
                told.answers.push(Reply::decode_avro(topic, &schema, datum).expect("ours"));
            } else if Notice::topics().contains(&topic) {
                told.notices.push(Notice::decode_avro(topic, &schema, datum).expect("ours"));
            }
        }
        for event in &told.requests {
            assert_eq!(event.check(), Ok(()));
        }
        for event in &told.contracts {
            assert_eq!(event.check(), Ok(()));
        }
        for event in &told.cases {
            assert_eq!(event.check(), Ok(()));
        }
        for event in &told.answers {
            assert_eq!(event.check(), Ok(()));
        }
        for event in &told.notices {
            assert_eq!(event.check(), Ok(()));
        }
        told
    }

    /// Everything that is kept of a deal.
    pub fn deal(&self, id: &str) -> order_flow::document::DealState {
        let body = &self.observed.documents[&ledger::DocumentKey::new("deal", id)];
        match serde_json::from_str(body).expect("a document") {
            FlowDocument::Deal(deal) => *deal,
            other => panic!("{other:?}"),
        }
    }

    /// Amendments that hold.
    pub fn amended(&self) -> Vec<&events::ContractAmended> {
        let amended = self.contracts.iter().filter_map(|event| match event {
            Event::ContractAmended(amended) => Some(&**amended),
            _ => None,
        });
        amended.collect()
    }

    /// Why amendments do not happen.
    pub fn declined(&self) -> Vec<&str> {
        let reasons = self.answers.iter().filter_map(|answer| match answer {
            Reply::ContractAmendmentDeclined(declined) => Some(&*declined.reasons[0].code),
            _ => None,
        });
        reasons.collect()
    }

    /// Templates of what customers are told.
    pub fn messages(&self) -> Vec<&str> {
        let messages = self.notices.iter().filter_map(|notice| match notice {
            Notice::NotificationRequested(message) => Some(&*message.template),
            _ => None,
        });
        messages.collect()
    }

    /// Stage of a deal, as people's queries see it.
    pub fn status(&self, id: &str) -> String {
        let body = &self.observed.documents[&ledger::DocumentKey::new("deal", id)];
        let document: FlowDocument = serde_json::from_str(body).expect("a document");
        consumer::Document::status(&document).to_owned()
    }

    /// What happened to a process, in its order: kind and step of each fact.
    pub fn course(&self, order_id: &str) -> Vec<String> {
        let facts = self.facts.iter().filter(|fact| fact.process_id == order_id);
        let facts: Vec<_> = facts.collect();
        let numbers: Vec<_> = facts.iter().map(|fact| fact.entity_version).collect();
        assert_eq!(numbers, (1..=numbers.len() as i64).collect::<Vec<_>>(), "without gaps");
        let word = |fact: &&SagaStep| match &fact.step {
            Some(step) => format!("{} {step}", fact.kind),
            None => fact.kind.to_string(),
        };
        facts.iter().map(word).collect()
    }

    /// Keys of the effects in the outside system's log.
    pub fn effects(&self) -> Vec<&str> {
        self.observed.effects.iter().map(|effect| &*effect.key).collect()
    }

    pub fn asked(&self) -> Vec<&events::OrderRequested> {
        let asked = self.requests.iter().filter_map(|request| match request {
            Request::OrderRequested(asked) => Some(&**asked),
            Request::OrderCancelRequested(_) => None,
        });
        asked.collect()
    }

    /// How many orders the ERP is asked to take back.
    pub fn taken_back(&self) -> usize {
        self.requests.len() - self.asked().len()
    }

    pub fn activated(&self) -> Vec<&events::ContractActivated> {
        let active = self.contracts.iter().filter_map(|event| match event {
            Event::ContractActivated(active) => Some(&**active),
            _ => None,
        });
        active.collect()
    }

    /// Codes of the reasons of each case, and how each case ended.
    pub fn cases(&self) -> (Vec<Vec<String>>, Vec<String>) {
        let (mut opened, mut ended) = (Vec::new(), Vec::new());
        for case in &self.cases {
            match case {
                Fallout::FalloutOpened(case) => {
                    opened.push(case.reasons.iter().map(|reason| reason.code.clone()).collect());
                }
                Fallout::FalloutClosed(case) => ended.push(case.end.to_string()),
            }
        }
        (opened, ended)
    }
}
