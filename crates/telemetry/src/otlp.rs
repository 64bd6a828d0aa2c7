//! Traces to an OpenTelemetry collector, over OTLP/HTTP. Configured by the standard `OTEL_EXPORTER_OTLP_*` and
//! `OTEL_TRACES_SAMPLER*` variables; does nothing unless an endpoint is set.

use crate::{Error, TraceContext, logging::BoxedLayer};
use opentelemetry::{
    Context,
    trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState, TracerProvider},
};
use opentelemetry_sdk::{Resource, trace::SdkTracerProvider};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::Layer;

/// Sends what is left when dropped. The exporter works in threads of its own, so this may happen anywhere.
#[derive(Debug)]
pub(crate) struct Export {
    provider: SdkTracerProvider,
}

impl Drop for Export {
    fn drop(&mut self) {
        if let Err(error) = self.provider.shutdown() {
            // Logging may be gone by now, and lost spans must not fail a clean stop.
            eprintln!("the last traces were not sent: {error}");
        }
    }
}

pub(crate) fn extend(mut layers: Vec<BoxedLayer>, service: &str) -> Result<(Vec<BoxedLayer>, Option<Export>), Error> {
    let wanted = ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"];
    if wanted.iter().all(|name| std::env::var_os(name).is_none()) {
        return Ok((layers, None));
    }
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_http()
        .build()
        .map_err(|error| Error::Export(error.to_string()))?;
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(Resource::builder().with_service_name(service.to_owned()).build())
        .build();
    let tracer = provider.tracer("throughline");
    layers.push(tracing_opentelemetry::layer().with_tracer(tracer).boxed());
    Ok((layers, Some(Export { provider })))
}

pub(crate) fn set_parent(span: &tracing::Span, parent: &TraceContext) {
    let remote = SpanContext::new(
        TraceId::from_bytes(parent.trace_id),
        SpanId::from_bytes(parent.span_id),
        TraceFlags::new(parent.flags),
        true,
        TraceState::default(),
    );
    // Fails only for a span that no exporter sees, which needs no parent.
    let _ = span.set_parent(Context::new().with_remote_span_context(remote));
}
