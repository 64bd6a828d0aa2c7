//! Compatibility levels and modes.

use serde::Deserialize;
use serde_json::json;

use super::{
    Answer, Registry,
    wire::{Body, Flags, ok, read},
    with,
};
use crate::registry::{Error, Level, Mode};

pub(super) async fn level(registry: Registry, subject: Option<String>, flags: Flags) -> Answer {
    let level = with(registry, move |catalog| {
        let state = catalog.state();
        match (subject, flags.default_to_global) {
            (Some(subject), false) => state.own_level(Some(&subject)).ok_or(Error::NoSubjectCompatibility(subject)),
            (subject, _) => Ok(state.level(subject.as_deref())),
        }
    });
    Ok(ok(json!({"compatibilityLevel": level.await?.as_str()})))
}

pub(super) async fn set_level(registry: Registry, subject: Option<String>, body: Body) -> Answer {
    #[derive(Deserialize)]
    struct Setting {
        compatibility: String,
    }
    let level = Level::parse(&read::<Setting>(body)?.compatibility)?;
    with(registry, move |catalog| catalog.set_level(subject.as_deref(), Some(level))).await?;
    Ok(ok(json!({"compatibility": level.as_str()})))
}

pub(super) async fn drop_level(registry: Registry, subject: Option<String>) -> Answer {
    let old = with(registry, move |catalog| {
        let old = catalog.state().own_level(subject.as_deref());
        if let (None, Some(subject)) = (old, &subject) {
            return Err(Error::SubjectNotFound(subject.clone()));
        }
        catalog.set_level(subject.as_deref(), None)?;
        Ok(old.unwrap_or(Level::Backward))
    });
    Ok(ok(json!({"compatibilityLevel": old.await?.as_str()})))
}

pub(super) async fn mode(registry: Registry, subject: Option<String>, flags: Flags) -> Answer {
    let mode = with(registry, move |catalog| {
        let state = catalog.state();
        match (subject, flags.default_to_global) {
            (Some(subject), false) => state.own_mode(Some(&subject)).ok_or(Error::NoSubjectMode(subject)),
            (subject, _) => Ok(state.mode(subject.as_deref())),
        }
    });
    Ok(ok(json!({"mode": mode.await?.as_str()})))
}

pub(super) async fn set_mode(registry: Registry, subject: Option<String>, flags: Flags, body: Body) -> Answer {
    #[derive(Deserialize)]
    struct Setting {
        mode: String,
    }
    let mode = Mode::parse(&read::<Setting>(body)?.mode)?;
    with(registry, move |catalog| catalog.set_mode(subject.as_deref(), Some(mode), flags.force)).await?;
    Ok(ok(json!({"mode": mode.as_str()})))
}

pub(super) async fn drop_mode(registry: Registry, subject: String) -> Answer {
    let old = with(registry, move |catalog| {
        let old = catalog.state().own_mode(Some(&subject)).ok_or_else(|| Error::SubjectNotFound(subject.clone()))?;
        catalog.set_mode(Some(&subject), None, false)?;
        Ok(old)
    });
    Ok(ok(json!({"mode": old.await?.as_str()})))
}
