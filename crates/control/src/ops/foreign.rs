//! Dead letters of any topic, whoever wrote them.

use super::{
    page::{Page, cursor},
    typed,
};
use crate::{
    app::{App, Session},
    error::{Error, Result},
    foreign,
    letters::{Body, headers, mask, time},
};
use events::Record;
use kafka::TopicPartition;
use serde::Deserialize;
use serde_json::{Value, json};
use std::ops::ControlFlow;

#[derive(Deserialize)]
struct List {
    topic: String,
    #[serde(flatten)]
    page: Page,
}

#[derive(Deserialize)]
struct One {
    topic: String,
    partition: i32,
    offset: i64,
}

pub(super) async fn list(session: &Session<'_>, input: Value) -> Result<Value> {
    let List { topic, page } = typed(input)?;
    let (mut partition, mut from) = match page.after()? {
        None => (0, 0),
        Some(mark) => place(&mark).ok_or_else(|| Error::invalid("`cursor` is none of ours"))?,
    };
    let partitions = partitions(session.app, &topic).await?;
    let mut rows = Vec::new();
    let mut next = None;
    while partition < partitions && next.is_none() {
        let room = page.limit() - rows.len();
        let records = read(session.app, &topic, partition, from, room + 1).await?;
        if records.len() > room {
            next = Some(cursor(&format!("{partition} {}", records[room].offset)));
        }
        rows.extend(records.iter().take(room).map(row));
        (partition, from) = (partition + 1, 0);
    }
    Ok(json!({ "letters": rows, "next": next }))
}

pub(super) async fn show(session: &Session<'_>, input: Value) -> Result<Value> {
    let One { topic, partition, offset } = typed(input)?;
    if partition >= partitions(session.app, &topic).await? {
        return Err(Error::not_found(format!("{topic} has no partition {partition}")));
    }
    let records = read(session.app, &topic, partition, offset, 1).await?;
    let Some(record) = records.into_iter().find(|record| record.offset == offset) else {
        return Err(Error::not_found(format!("{topic}/{partition} holds no record at offset {offset}")));
    };
    let mut shown = row(&record);
    shown["headers"] = headers(&record.headers);
    shown["body"] = body(session.app, &record, shown["origin"]["topic"].as_str()).await;
    Ok(json!({ "letter": shown }))
}

/// The value as an event of the topic that the letter claims to come from: decoding proves the claim or refuses it.
async fn body(app: &App, record: &Record, claimed: Option<&str>) -> Value {
    let Some(topic) = claimed.filter(|topic| events::topics::find(topic).is_some()) else {
        return json!({ "unreadable": "it does not come from a topic of ours: no schema says what is personal in it" });
    };
    let as_source = Record { topic: topic.into(), ..record.clone() };
    match app.decoder().body(&as_source).await {
        Body::Read(body) => json!({ "decoded": mask::masked(topic, &body), "masked": true }),
        Body::Unreadable(failure) => json!({ "unreadable": failure.to_string(), "code": failure.code }),
    }
}

fn row(record: &Record) -> Value {
    let origin = foreign::origin(&record.topic, &record.headers, record.value.is_some());
    json!({
        "topic": &*record.topic, "partition": record.partition, "offset": record.offset, "at": time(record.timestamp_ms),
        "key": record.key.as_ref().map(|key| String::from_utf8_lossy(key)),
        "value_bytes": record.value.as_ref().map(bytes::Bytes::len),
        "tool": foreign::word(origin.family), "origin": origin,
    })
}

fn place(mark: &str) -> Option<(i32, i64)> {
    let (partition, offset) = mark.split_once(' ')?;
    Some((partition.parse().ok()?, offset.parse().ok()?))
}

async fn partitions(app: &App, topic: &str) -> Result<i32> {
    let admin = kafka::Admin::connect(&app.kafka)?;
    let partitions = admin.partitions(topic).await?;
    // Closing a client waits for its threads.
    tokio::task::spawn_blocking(move || drop(admin));
    Ok(partitions)
}

async fn read(app: &App, topic: &str, partition: i32, from: i64, most: usize) -> Result<Vec<Record>> {
    let place = TopicPartition { topic: topic.into(), partition };
    let drain = app.drain();
    let records = drain.scan(&place, from, Vec::new(), move |records, mut record| {
        record.detach();
        records.push(record);
        if records.len() >= most { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    Ok(records.await?)
}
