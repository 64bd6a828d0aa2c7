//! What crm-sync sends to the CRM, as plain data: what is journalled is what is sent.

use connectors::{
    AccountShown, CollectionTask, ContractShown, DealCase, ReceivableShown, RenewalShown, RenewalStage, UsageShown,
};
use serde::{Deserialize, Serialize};

/// One change. The serde names are stored in the journal: add, never rename.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "effect", rename_all = "snake_case")]
pub enum CrmEffect {
    EnsureAccount {
        account: AccountShown,
    },
    ShowContract {
        contract: ContractShown,
        /// The version of the contract that it shows.
        version: i64,
    },
    ShowReceivable {
        receivable: ReceivableShown,
        /// How many changes it has seen: the effect's key.
        revision: u64,
    },
    ShowUsage {
        usage: UsageShown,
        version: i64,
    },
    OpenTask {
        task: CollectionTask,
    },
    ShowRenewal {
        renewal: RenewalShown,
    },
    ShowCase {
        case: DealCase,
        /// The version of the case that it shows.
        version: i64,
    },
}

impl CrmEffect {
    /// The account it belongs to.
    #[must_use]
    pub fn account_id(&self) -> &str {
        match self {
            Self::EnsureAccount { account } => &account.account_id,
            Self::ShowContract { contract, .. } => &contract.account_id,
            Self::ShowReceivable { receivable, .. } => &receivable.account_id,
            Self::ShowUsage { usage, .. } => &usage.account_id,
            Self::OpenTask { task } => &task.account_id,
            Self::ShowRenewal { renewal } => &renewal.account_id,
            Self::ShowCase { case, .. } => &case.account_id,
        }
    }
}

impl consumer::Effect for CrmEffect {
    fn key(&self) -> String {
        match self {
            Self::EnsureAccount { .. } => format!("{}:ensure", self.entity()),
            Self::ShowContract { version, .. } | Self::ShowUsage { version, .. } | Self::ShowCase { version, .. } => {
                format!("{}:v{version}:show", self.entity())
            }
            Self::ShowReceivable { revision, .. } => format!("{}:r{revision}:show", self.entity()),
            Self::OpenTask { .. } => format!("{}:open", self.entity()),
            Self::ShowRenewal { renewal } => match renewal.stage {
                RenewalStage::Due => format!("{}:due", self.entity()),
                RenewalStage::Won => format!("{}:show", self.entity()),
                RenewalStage::Lost => format!("{}:lost", self.entity()),
            },
        }
    }

    fn entity(&self) -> String {
        match self {
            Self::EnsureAccount { account } => format!("account:{}", account.account_id),
            Self::ShowContract { contract, .. } => format!("contract:{}", contract.contract_id),
            Self::ShowReceivable { receivable, .. } => format!("receivable:{}", receivable.receivable_id()),
            Self::ShowUsage { usage, .. } => format!("usage:{}", usage.threshold_id),
            Self::OpenTask { task } => format!("task:{}", task.task_id()),
            Self::ShowRenewal { renewal } => format!("renewal:{}", renewal.renewal_id),
            Self::ShowCase { case, .. } => format!("case:{}", case.case_id),
        }
    }

    /// States replace one another; a task and an account are made once.
    fn coalesces(&self) -> bool {
        match self {
            Self::ShowContract { .. }
            | Self::ShowReceivable { .. }
            | Self::ShowUsage { .. }
            | Self::ShowCase { .. } => true,
            Self::EnsureAccount { .. } | Self::OpenTask { .. } | Self::ShowRenewal { .. } => false,
        }
    }

    /// A collection takes records of one object.
    fn collection(&self) -> Option<&'static str> {
        Some(match self {
            Self::EnsureAccount { .. } => "account",
            Self::ShowContract { .. } => "contract",
            Self::ShowReceivable { .. } => "receivable",
            Self::ShowUsage { .. } => "usage",
            Self::OpenTask { .. } => "task",
            Self::ShowRenewal { .. } => "renewal",
            Self::ShowCase { .. } => "case",
        })
    }
}
