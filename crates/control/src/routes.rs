//! The one table of what the API serves: the server, the OpenAPI document and the test of roles are made from it.

use crate::{
    letters::SELECTION,
    params::{Kind, Param, WORD, optional, required},
    rights::Right,
};

/// What a request is about; the server has one handler for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Op {
    Services,
    Groups,
    Letters,
    Letter,
    Unmasked,
    Stats,
    Export,
    Foreign,
    ForeignLetter,
    AuditList,
    AuditVerify,
    AuditExport,
    GroupState,
    PlanRetry,
    PlanDiscard,
    PlanRestore,
    PlanEdit,
    ApplyRetry,
    ApplyDiscard,
    ApplyRestore,
    ApplyEdit,
    PlanMove,
    ApplyMove,
    PlanErase,
    ApplyErase,
    PlanOriginal,
    ApplyOriginal,
    ExportUnmasked,
    Import,
    PlanReplay,
    ApplyReplay,
    ReplayOutcome,
    Jobs,
    Job,
    JobItems,
    JobPause,
    JobResume,
    JobCancel,
    Rules,
    RuleAdd,
    RuleRemove,
}

/// How a request is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    Get,
    Post,
}

/// One line of the table.
#[derive(Debug, Clone, Copy)]
pub struct Route {
    pub op: Op,
    pub method: Method,
    pub path: &'static str,
    /// What the caller must be allowed, on the services that it is about.
    pub right: Right,
    /// Whether it may change anything besides the audit.
    pub mutates: bool,
    pub about: &'static str,
    /// Lists of parameters, read together: of path and query, or of the body.
    pub params: &'static [&'static [Param]],
}

impl Route {
    /// All parameters.
    #[must_use]
    pub fn all_params(&self) -> Vec<Param> {
        self.params.concat()
    }

    /// Whether a parameter stands in the path.
    #[must_use]
    pub fn in_path(&self, name: &str) -> bool {
        self.path.contains(&format!("{{{name}}}"))
    }
}

const PAGE: &[Param] = &[
    optional("limit", Kind::Integer(1, 1_000), "items of a page; 100 if absent"),
    optional("cursor", WORD, "where the last page ended: `next` of its answer"),
];
const ID: &[Param] = &[required("id", Kind::Text(2_048), "the letter: service/slice/sequence/no")];
const SERVICE: &[Param] = &[optional("service", WORD, "of this service; of all that the caller may see if absent")];
const REASON: &[Param] = &[required("reason", Kind::Text(1_000), "why; kept in the audit")];
const TOPIC: &[Param] = &[required("topic", WORD, "a topic of dead letters, ours or somebody else's")];
const PLACE: &[Param] = &[
    required("topic", WORD, "the topic"),
    required("partition", Kind::Integer(0, 1_000_000), "the partition"),
    required("offset", Kind::Integer(0, i64::MAX), "the offset"),
];
const BY: &[Param] =
    &[required("by", Kind::Word(&["class", "code", "step", "topic", "hour", "service", "state"]), "what is counted")];

const GROUP: &[Param] = &[
    required("fingerprint", WORD, "the group"),
    required("service", WORD, "whose letters they are"),
    required("state", Kind::Word(&["acknowledged", "resolved", "archived"]), "what people say of it"),
    optional("until", Kind::Text(64), "archived until then (RFC 3339)"),
];
const PACE: &[Param] = &[
    optional("rate", Kind::Integer(1, 1_000_000), "letters a second at most"),
    optional("ramp", Kind::Texts(50, 10), "sizes of the first batches"),
    optional("max", Kind::Integer(1, 1_000_000), "refuse to plan more than this"),
    optional("stop_after", Kind::Integer(1, 1_000_000), "stop when so many failed again"),
    optional("stop_percent", Kind::Integer(1, 100), "stop when more than so many percent failed again"),
    optional("stop_same", Kind::Integer(1, 1_000_000), "stop when so many in a row failed again alike"),
];
const LIMIT: &[Param] = &[optional(
    "max_replays",
    Kind::Integer(0, 1_000_000),
    "leave out letters that were tried again more often than this",
)];
const TO: &[Param] = &[required("to", WORD, "the topic to move to")];
const LINES: &[Param] = &[
    required("service", WORD, "the service they go back to"),
    required("lines", Kind::Texts(500, 1_500_000), "lines of an export, each one JSON object as text"),
    optional("dry_run", Kind::Flag, "only say what would happen to each line"),
];
const HISTORY: &[Param] = &[
    required("service", WORD, "the service that shall see the records"),
    required("topic", WORD, "a topic that it reads, or one of dead letters that any tool wrote"),
    optional("partition", Kind::Integer(0, 1_000_000), "of this partition"),
    optional("offset", Kind::Integer(0, i64::MAX), "the one at this offset of the partition"),
    optional("since", Kind::Time, "with a timestamp at or after"),
    optional("until", Kind::Time, "with a timestamp before"),
    optional("key", WORD, "with this key"),
    optional("type", WORD, "with this event type, or one that ends in it"),
    optional("max_replays", Kind::Integer(0, 1_000), "refuse letters that came back so often"),
    optional("all", Kind::Flag, "really all of them, where nothing else is chosen"),
];
const BATCH: &[Param] = &[
    required("plan", Kind::Object, "a plan file as it was answered"),
    optional("most", Kind::Integer(1, 5_000), "records to put by this request; 1000 if absent"),
];
const OF_PLAN: &[Param] =
    &[required("plan", WORD, "the plan's hash"), required("service", WORD, "the service that it is for")];
const PREDICT: &[Param] =
    &[optional("predict_seconds", Kind::Integer(0, 300), "how long the service may take to predict; 0: not at all")];
const PLAN: &[Param] = &[
    required("plan", Kind::Object, "a plan file as it was answered"),
    optional("ticket", WORD, "a ticket it belongs to"),
    optional("skip_changed", Kind::Flag, "leave out letters that are not what the plan says any more"),
];
const EDIT: &[Param] = &[
    required("patch", Kind::Object, "fields to change; names may be paths such as lines[0].sku"),
    optional("whole", Kind::Flag, "the patch is the whole event, for one that nobody can read"),
];
const JOB: &[Param] = &[required("id", WORD, "the job")];
const LIVE: &[Param] = &[optional("live", Kind::Flag, "only jobs that are not over")];

const RULE: &[Param] = &[
    required("service", WORD, "whose letters"),
    required("owner", WORD, "who answers for it: a person or a team"),
    required("action", Kind::Word(&["retry", "discard", "redirect"]), "what happens to the letters"),
    optional("every", Kind::Text(32), "for retry: how often, such as 1h; at least a minute"),
    optional("to", WORD, "for redirect: the topic that gets them"),
    required("ends", Kind::Text(64), "when it ends (RFC 3339), within a year"),
    optional("class", Kind::Word(&["business", "contract", "poison", "bug"]), "letters of this class"),
    optional("code", WORD, "letters with this code"),
    optional("group", WORD, "letters of the group with this fingerprint"),
];
const RULE_ID: &[Param] = &[required("id", WORD, "the rule"), required("service", WORD, "whose rule it is")];

const fn get(
    op: Op,
    path: &'static str,
    right: Right,
    about: &'static str,
    params: &'static [&'static [Param]],
) -> Route {
    Route { op, method: Method::Get, path, right, mutates: false, about, params }
}

const fn post(
    op: Op,
    path: &'static str,
    right: Right,
    about: &'static str,
    params: &'static [&'static [Param]],
) -> Route {
    Route { op, method: Method::Post, path, right, mutates: true, about, params }
}

/// Every route.
pub const ROUTES: &[Route] = &[
    get(
        Op::Services,
        "/v1/services",
        Right::DlqRead,
        "The services that are known, and whether their ledgers answer.",
        &[],
    ),
    get(Op::Groups, "/v1/groups", Right::DlqRead, "Letters grouped by their cause.", &[SELECTION, PAGE]),
    get(Op::Letters, "/v1/letters", Right::DlqRead, "Letters that match, oldest first.", &[SELECTION, PAGE]),
    get(
        Op::Letter,
        "/v1/letters/{id}",
        Right::DlqRead,
        "One letter: why, attempts, what is blocked behind it, what to do; its body, masked, for those who may read bodies.",
        &[ID],
    ),
    post(
        Op::Unmasked,
        "/v1/letters/{id}/unmasked",
        Right::DlqPayloadUnmask,
        "One letter with personal data and raw bytes. Kept in the audit.",
        &[ID, REASON],
    ),
    get(Op::Stats, "/v1/stats", Right::DlqRead, "Letters counted by one property.", &[SELECTION, BY]),
    get(Op::Export, "/v1/export", Right::DlqExport, "Letters with masked bodies, for a file.", &[SELECTION, PAGE]),
    get(Op::Foreign, "/v1/foreign", Right::DlqRead, "Dead letters of any topic, whoever wrote them.", &[TOPIC, PAGE]),
    get(Op::ForeignLetter, "/v1/foreign/letter", Right::DlqPayloadRead, "One dead letter of any topic.", &[PLACE]),
    get(Op::AuditList, "/v1/audit", Right::AuditRead, "Who did what, and why; the newest first.", &[SERVICE, PAGE]),
    get(Op::AuditVerify, "/v1/audit/verify", Right::AuditRead, "Whether the audit's hash chain is whole.", &[SERVICE]),
    get(
        Op::AuditExport,
        "/v1/audit/export",
        Right::AuditRead,
        "The audit of one service from its start, to be kept elsewhere.",
        &[SERVICE, PAGE],
    ),
    post(
        Op::GroupState,
        "/v1/groups/state",
        Right::DlqAcknowledge,
        "Acknowledge, resolve or archive a group.",
        &[GROUP, REASON],
    ),
    post(
        Op::PlanRetry,
        "/v1/plan/retry",
        Right::DlqRetry,
        "Freeze letters to be processed again, with what would happen to each.",
        &[SELECTION, PACE, LIMIT, PREDICT],
    ),
    post(
        Op::PlanOriginal,
        "/v1/plan/original",
        Right::DlqOriginal,
        "Freeze letters to be shown once more to all readers of the topics they came from, which are named, and retried.",
        &[SELECTION, PACE, LIMIT, PREDICT],
    ),
    post(
        Op::ApplyOriginal,
        "/v1/apply/original",
        Right::DlqOriginal,
        "Put the copies of such a plan on their topics, then start its job.",
        &[PLAN, REASON],
    ),
    post(
        Op::PlanMove,
        "/v1/plan/move",
        Right::DlqMove,
        "Freeze letters to be put on another topic for good.",
        &[SELECTION, PACE, TO],
    ),
    post(
        Op::ApplyMove,
        "/v1/apply/move",
        Right::DlqMove,
        "Put the copies of such a plan on its topic, then start the job that closes the letters.",
        &[PLAN, REASON],
    ),
    post(
        Op::PlanErase,
        "/v1/plan/erase",
        Right::DlqErase,
        "Freeze letters of a person who is to be forgotten, also those that wait or were given up.",
        &[SELECTION, PACE],
    ),
    post(
        Op::ApplyErase,
        "/v1/apply/erase",
        Right::DlqErase,
        "Start the job that ends such letters and deletes what is in them, for good.",
        &[PLAN, REASON],
    ),
    post(
        Op::ExportUnmasked,
        "/v1/export/unmasked",
        Right::DlqExportUnmask,
        "Letters with personal data and raw bytes, for a file. Kept in the audit.",
        &[SELECTION, PAGE, REASON],
    ),
    post(
        Op::Import,
        "/v1/import",
        Right::DlqImport,
        "Bring exported letters back through the service's replay topic; all of the lines, or none if one is wrong.",
        &[LINES, REASON],
    ),
    post(
        Op::PlanReplay,
        "/v1/replay/plan",
        Right::Replay,
        "Read records of a topic and say what the service did or would do with each; those without effect so far can be put to it.",
        &[HISTORY],
    ),
    post(
        Op::ApplyReplay,
        "/v1/replay/apply",
        Right::Replay,
        "Put the next records of such a plan on the service's replay topic; repeat it until all are there.",
        &[BATCH, REASON],
    ),
    get(
        Op::ReplayOutcome,
        "/v1/replay/outcome",
        Right::DlqRead,
        "What became of the records that a plan has put.",
        &[OF_PLAN],
    ),
    post(Op::PlanDiscard, "/v1/plan/discard", Right::DlqDiscard, "Freeze letters to be given up.", &[SELECTION, PACE]),
    post(
        Op::PlanRestore,
        "/v1/plan/restore",
        Right::DlqDiscard,
        "Freeze discarded letters to be brought back.",
        &[SELECTION, PACE],
    ),
    post(
        Op::PlanEdit,
        "/v1/plan/edit/{id}",
        Right::DlqEdit,
        "Change a decoded copy of one letter, checked against its schema.",
        &[ID, EDIT, REASON],
    ),
    post(Op::ApplyRetry, "/v1/apply/retry", Right::DlqRetry, "Start the job of a plan to retry.", &[PLAN, REASON]),
    post(
        Op::ApplyDiscard,
        "/v1/apply/discard",
        Right::DlqDiscard,
        "Start the job of a plan to discard.",
        &[PLAN, REASON],
    ),
    post(
        Op::ApplyRestore,
        "/v1/apply/restore",
        Right::DlqDiscard,
        "Start the job of a plan to restore.",
        &[PLAN, REASON],
    ),
    post(
        Op::ApplyEdit,
        "/v1/apply/edit",
        Right::DlqEdit,
        "Start the job of an edit; by policy another person than who made it.",
        &[PLAN, REASON],
    ),
    get(Op::Rules, "/v1/rules", Right::DlqRead, "Standing rules, expired ones too.", &[SERVICE]),
    post(
        Op::RuleAdd,
        "/v1/rules",
        Right::DlqRule,
        "Let letters be retried by a schedule, or given up, until a date; also needs the right to do that by hand.",
        &[RULE, REASON],
    ),
    post(Op::RuleRemove, "/v1/rules/{id}/remove", Right::DlqRule, "Take a rule away.", &[RULE_ID, REASON]),
    get(Op::Jobs, "/v1/jobs", Right::DlqRead, "Jobs, the newest first.", &[SERVICE, LIVE, PAGE]),
    get(Op::Job, "/v1/jobs/{id}", Right::DlqRead, "One job: how far it is.", &[JOB]),
    get(Op::JobItems, "/v1/jobs/{id}/items", Right::DlqRead, "What became of each letter of a job.", &[JOB, PAGE]),
    post(
        Op::JobPause,
        "/v1/jobs/{id}/pause",
        Right::JobCancel,
        "Let a job rest; what it has begun, it ends.",
        &[JOB, REASON],
    ),
    post(Op::JobResume, "/v1/jobs/{id}/resume", Right::JobCancel, "Let a paused job go on.", &[JOB, REASON]),
    post(
        Op::JobCancel,
        "/v1/jobs/{id}/cancel",
        Right::JobCancel,
        "End a job; what was not begun is released.",
        &[JOB, REASON],
    ),
];
