//! The few calls of librdkafka that the client library does not wrap, or wraps with a panic on foreign input.
#![allow(
    unsafe_code,
    reason = "librdkafka's C functions; every pointer comes from a live client and is freed where it is made"
)]

use rdkafka::ClientContext;
use rdkafka::bindings as sys;
use rdkafka::client::Client;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::message::BorrowedMessage;
use std::ffi::{CStr, CString, c_char};
use std::time::Duration;

/// The start and end of a partition as the last fetch told them; asks nobody. `None` before the first fetch.
pub(crate) fn known_watermarks<C: ClientContext>(
    client: &Client<C>,
    topic: &str,
    partition: i32,
) -> Option<(i64, i64)> {
    let topic = CString::new(topic).ok()?;
    let (mut low, mut high) = (-1, -1);
    // SAFETY: the client outlives the call; both offsets are plain out-parameters.
    let code = unsafe {
        sys::rd_kafka_get_watermark_offsets(client.native_ptr(), topic.as_ptr(), partition, &mut low, &mut high)
    };
    (code == sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR && high >= 0).then_some((low.max(0), high))
}

/// Calls `visit` with name and value of each header, in order. The library's own iterator panics on a name that is not UTF-8.
pub(crate) fn visit_headers(message: &BorrowedMessage<'_>, mut visit: impl FnMut(&[u8], Option<&[u8]>)) {
    let mut headers = std::ptr::null_mut();
    // SAFETY: the message is alive; the headers belong to it.
    let code = unsafe { sys::rd_kafka_message_headers(message.ptr(), &mut headers) };
    if code != sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR || headers.is_null() {
        return;
    }
    for index in 0.. {
        let (mut name, mut value, mut size) = (std::ptr::null(), std::ptr::null(), 0);
        // SAFETY: as above; an index past the end is answered with an error.
        let code = unsafe { sys::rd_kafka_header_get_all(headers, index, &mut name, &mut value, &mut size) };
        if code != sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
            return;
        }
        // SAFETY: on success the name is NUL-terminated and the value has `size` bytes; both live as long as the message.
        let (name, value) = unsafe {
            let value = (!value.is_null()).then(|| std::slice::from_raw_parts(value.cast::<u8>(), size));
            (CStr::from_ptr(name).to_bytes(), value)
        };
        visit(name, value);
    }
}

/// Ends a consumer as a crash would: it neither leaves its group nor commits. Its small shell is leaked.
pub(crate) fn die<C: ConsumerContext>(consumer: BaseConsumer<C>) {
    let native = consumer.client().native_ptr();
    std::mem::forget(consumer);
    // SAFETY: the owner was forgotten above, so this is the only destruction, and nothing uses the pointer afterwards.
    unsafe { sys::rd_kafka_destroy_flags(native, sys::RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE) };
}

/// Times of the in-process broker's groups that the library offers no other way to set. `client` must be the one that
/// started the broker; another one changes nothing.
pub(crate) fn set_mock_group_times<C: ClientContext>(client: &Client<C>, session: Duration, heartbeat: Duration) {
    let millis = |time: Duration| i32::try_from(time.as_millis()).unwrap_or(i32::MAX);
    // SAFETY: the cluster belongs to the client and lives as long; a client without one gives null, which is not passed on.
    unsafe {
        let cluster = sys::rd_kafka_handle_mock_cluster(client.native_ptr());
        if cluster.is_null() {
            return;
        }
        sys::rd_kafka_mock_set_group_consumer_session_timeout_ms(cluster, millis(session));
        sys::rd_kafka_mock_set_group_consumer_heartbeat_interval_ms(cluster, millis(heartbeat));
        sys::rd_kafka_mock_group_initial_rebalance_delay_ms(cluster, 0);
    }
}

/// Kafka's ids of the topics, in order; `None` where the broker tells none. Blocks up to `timeout`.
pub(crate) fn topic_ids<C: ClientContext>(
    client: &Client<C>,
    topics: &[&str],
    timeout: Duration,
) -> Result<Vec<Option<String>>, String> {
    let names: Vec<CString> = topics.iter().filter_map(|topic| CString::new(*topic).ok()).collect();
    let mut pointers: Vec<*const c_char> = names.iter().map(|name| name.as_ptr()).collect();
    let millis = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
    // SAFETY: all four objects are made and freed here, in the reverse order; the library copies names and options.
    unsafe {
        let collection = sys::rd_kafka_TopicCollection_of_topic_names(pointers.as_mut_ptr(), pointers.len());
        let queue = sys::rd_kafka_queue_new(client.native_ptr());
        let options = sys::rd_kafka_AdminOptions_new(
            client.native_ptr(),
            sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS,
        );
        let mut reason = [0; 128];
        sys::rd_kafka_AdminOptions_set_request_timeout(options, millis, reason.as_mut_ptr(), reason.len());
        sys::rd_kafka_DescribeTopics(client.native_ptr(), collection, options, queue);
        let event = sys::rd_kafka_queue_poll(queue, millis.saturating_add(1_000));
        let ids = if event.is_null() { Err("no answer in time".to_owned()) } else { read_ids(event, topics) };
        if !event.is_null() {
            sys::rd_kafka_event_destroy(event);
        }
        sys::rd_kafka_AdminOptions_destroy(options);
        sys::rd_kafka_queue_destroy(queue);
        sys::rd_kafka_TopicCollection_destroy(collection);
        ids
    }
}

/// # Safety
/// `event` must be a live event of a DescribeTopics call.
unsafe fn read_ids(event: *mut sys::rd_kafka_event_t, topics: &[&str]) -> Result<Vec<Option<String>>, String> {
    // SAFETY: the caller keeps the event alive; everything read here belongs to it and is copied.
    unsafe {
        if sys::rd_kafka_event_error(event) != sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
            return Err(CStr::from_ptr(sys::rd_kafka_event_error_string(event)).to_string_lossy().into_owned());
        }
        let result = sys::rd_kafka_event_DescribeTopics_result(event);
        let mut count = 0;
        let found = sys::rd_kafka_DescribeTopics_result_topics(result, &mut count);
        let mut ids = vec![None; topics.len()];
        for index in 0..count {
            let description = *found.add(index);
            let name = CStr::from_ptr(sys::rd_kafka_TopicDescription_name(description)).to_string_lossy();
            let id = sys::rd_kafka_TopicDescription_topic_id(description);
            if let Some(place) = topics.iter().position(|topic| *topic == name)
                && !id.is_null()
                && (sys::rd_kafka_Uuid_most_significant_bits(id), sys::rd_kafka_Uuid_least_significant_bits(id))
                    != (0, 0)
            {
                ids[place] = Some(CStr::from_ptr(sys::rd_kafka_Uuid_base64str(id)).to_string_lossy().into_owned());
            }
        }
        Ok(ids)
    }
}
