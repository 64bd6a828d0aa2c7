//! Log lines: for people on a terminal, JSON elsewhere; always on standard error.

use crate::json::JsonLines;
use std::io::IsTerminal;
use tracing_subscriber::{EnvFilter, Layer, Registry, layer::SubscriberExt, util::SubscriberInitExt};

/// How log lines look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// Human on a terminal, JSON otherwise.
    #[default]
    Auto,
    Human,
    Json,
}

impl std::str::FromStr for Format {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        match word {
            "auto" => Ok(Self::Auto),
            "human" => Ok(Self::Human),
            "json" => Ok(Self::Json),
            _ => Err(format!("unknown log format `{word}`: use auto, human or json")),
        }
    }
}

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("RUST_LOG is not a filter: {0}")]
    Filter(String),
    #[error("logging is set up already in this process")]
    Twice,
    #[error("OTLP export: {0}")]
    Export(String),
}

/// Keep it until the end of `main`: dropping it sends the last spans.
#[derive(Debug)]
#[must_use = "dropping the guard ends the export of traces"]
pub struct Guard {
    #[cfg(feature = "otlp")]
    _export: Option<crate::otlp::Export>,
}

pub(crate) type BoxedLayer = Box<dyn Layer<Registry> + Send + Sync>;

/// Sets up logging for the process. `RUST_LOG` filters (default `info`). With the `otlp` feature, traces go to
/// `OTEL_EXPORTER_OTLP_ENDPOINT` if that is set; call it inside a tokio runtime then.
pub fn init(service: &str, format: Format) -> Result<Guard, Error> {
    let layers: Vec<BoxedLayer> = vec![lines(service, format)];
    #[cfg(feature = "otlp")]
    let (layers, export) = crate::otlp::extend(layers, service)?;
    tracing_subscriber::registry().with(layers.with_filter(filter()?)).try_init().map_err(|_| Error::Twice)?;
    warn_if_export_is_missing();
    Ok(Guard {
        #[cfg(feature = "otlp")]
        _export: export,
    })
}

fn filter() -> Result<EnvFilter, Error> {
    match std::env::var("RUST_LOG") {
        Ok(directives) if !directives.trim().is_empty() => {
            EnvFilter::try_new(&directives).map_err(|error| Error::Filter(error.to_string()))
        }
        _ => Ok(EnvFilter::new("info")),
    }
}

fn lines(service: &str, format: Format) -> BoxedLayer {
    let terminal = std::io::stderr().is_terminal();
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let human = match format {
        Format::Auto => terminal,
        Format::Human => true,
        Format::Json => false,
    };
    if human {
        let colour = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        layer.with_ansi(colour).with_target(false).boxed()
    } else {
        let fields = tracing_subscriber::fmt::format::JsonFields::new();
        layer.with_ansi(false).event_format(JsonLines::new(service)).fmt_fields(fields).boxed()
    }
}

fn warn_if_export_is_missing() {
    if cfg!(not(feature = "otlp")) && std::env::var_os("OTEL_EXPORTER_OTLP_ENDPOINT").is_some() {
        tracing::warn!("OTEL_EXPORTER_OTLP_ENDPOINT is set, but this binary was built without the `otlp` feature");
    }
}
