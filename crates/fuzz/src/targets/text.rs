//! Texts that people write: conditions over letters, the mapping file, and labels that come out again.

use crate::Target;
use serde_json::json;

/// `--where` of letters.
pub struct Condition;

impl Target for Condition {
    fn name(&self) -> &'static str {
        "condition"
    }
    fn seeds(&self) -> Vec<Vec<u8>> {
        [
            "error.code == \"PERIOD_CLOSED\"",
            "attempts > 3 && topic.startsWith(\"invoice\")",
            "value.lines.exists(l, l.net_minor > 100)",
        ]
        .map(|text| text.as_bytes().to_vec())
        .to_vec()
    }
    fn words(&self) -> &'static [&'static str] {
        &[
            "&&",
            "||",
            "==",
            "(",
            ")",
            "[",
            "]",
            "!",
            "-",
            "9223372036854775807",
            "error.code",
            "matches(\"(a+)+\")",
            "size(",
            ".map(x,",
            "?",
            ":",
        ]
    }
    fn answer(&self, input: &[u8]) -> Result<String, String> {
        let text = String::from_utf8_lossy(input);
        let Ok(condition) = control::letters::Condition::parse(&text) else { return Ok("refused".to_owned()) };
        let letter = json!({"key": "a", "topic": "invoice.posted.v1", "service": "erp-sync", "attempts": 2, "age_seconds": 60,
            "error": {"code": "PERIOD_CLOSED"}, "headers": {}, "value": {"lines": [{"net_minor": 5}]}, "sequence": "a"});
        Ok(match condition.holds(&letter) {
            Ok(holds) => format!("{holds} {}", condition.reads_body),
            Err(_) => "cannot be asked".to_owned(),
        })
    }
}

/// The mapping of erp-sync.
pub struct Mapping;

impl Target for Mapping {
    fn name(&self) -> &'static str {
        "mapping"
    }
    fn seeds(&self) -> Vec<Vec<u8>> {
        vec![include_bytes!("../../../../deploy/policies/erp-mapping.yaml").to_vec()]
    }
    fn words(&self) -> &'static [&'static str] {
        &["&a", "*a", "<<: *a", "- ", "{}", "[]", "null", "!!binary", "---\n", "\n  ", "9223372036854775808"]
    }
    fn answer(&self, input: &[u8]) -> Result<String, String> {
        let text = String::from_utf8_lossy(input);
        Ok(match erp_sync::mapping::Mapping::parse(&text) {
            Ok(_) => "taken".to_owned(),
            Err(problems) => format!("{} problems", problems.to_string().lines().count()),
        })
    }
}

/// A label's value in the metrics: one sample stays one line, whatever is in it.
pub struct Labels;

impl Target for Labels {
    fn name(&self) -> &'static str {
        "labels"
    }
    fn seeds(&self) -> Vec<Vec<u8>> {
        vec![b"invoice.posted.v1".to_vec(), b"a\"b\\c\nd".to_vec()]
    }
    fn answer(&self, input: &[u8]) -> Result<String, String> {
        let metrics = telemetry::Metrics::new("fuzz");
        let label = String::from_utf8_lossy(input).into_owned();
        let labels = telemetry::labels::Partition { topic: label.as_str().into(), partition: 7 };
        metrics.lag_records.get_or_create(&labels).set(42);
        let text = metrics.encode();
        let lines = text.lines().filter(|line| line.starts_with("throughline_lag_records{")).collect::<Vec<_>>();
        match lines[..] {
            [line] if line.ends_with("} 42") && line.contains("partition=\"7\"") => {}
            _ => return Err(format!("the sample is no line of its own: {lines:?}")),
        }
        Ok(format!("{} {} {}", label.contains('"'), label.contains('\\'), label.contains('\n')))
    }
}
