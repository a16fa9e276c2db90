//! An event as a message of the broker: CloudEvents 1.0, NATS binding, binary
//! mode. The envelope is in headers, the payload is the protobuf message.

use std::{fmt::Display, str::FromStr};

use async_nats::{
    HeaderMap,
    header::{NATS_EXPECTED_STREAM, NATS_MESSAGE_ID},
};
use countersign_types::{EventId, Timestamp, TraceParent};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use uuid::Uuid;

use crate::{DATA_MAX, Event};

pub(super) const ID: &str = "ce-id";
const KIND: &str = "ce-type";
const SOURCE: &str = "ce-source";
const SUBJECT: &str = "ce-subject";
const TIME: &str = "ce-time";
const SPEC_VERSION: &str = "ce-specversion";
/// Our extension: the place among the events of the aggregate.
const SEQUENCE: &str = "ce-sequence";
/// CloudEvents' extension for distributed tracing: where the event comes from.
const TRACE: &str = "ce-traceparent";
/// The same for tracing that knows NATS and not CloudEvents. Who stands on the
/// way may change this one, and not the other.
const TRANSPORT_TRACE: &str = "traceparent";
const CONTENT_TYPE: &str = "content-type";

/// The most that the headers of one event take, in bytes.
pub(super) const HEADERS_MAX: usize = 4 * 1024;

/// A message that is no event, and what could be told of it all the same.
#[derive(Debug)]
pub(super) struct Malformed {
    pub event: Event,
    pub reason: String,
}

/// The headers of an event on its way to `stream`, where it had the place
/// `before`, if it is published again: the broker shall take it as another
/// message, and its consumers as the same event.
pub(super) fn headers(event: &Event, stream: &str, before: Option<i64>) -> HeaderMap {
    let id = event.id.to_string();
    let mut headers = HeaderMap::new();
    let message = before.map_or_else(|| id.clone(), |before| format!("{id}.{before}"));
    headers.insert(NATS_MESSAGE_ID, message);
    headers.insert(NATS_EXPECTED_STREAM, stream);
    headers.insert(ID, id);
    headers.insert(KIND, event.kind.as_str());
    headers.insert(SOURCE, event.source.as_str());
    headers.insert(SUBJECT, event.aggregate.to_string());
    headers.insert(TIME, rfc3339(event.time));
    headers.insert(SPEC_VERSION, "1.0");
    headers.insert(SEQUENCE, event.sequence.to_string());
    headers.insert(CONTENT_TYPE, "application/protobuf");
    if let Some(trace) = event.trace {
        headers.insert(TRACE, trace.to_string());
        headers.insert(TRANSPORT_TRACE, trace.to_string());
    }
    headers
}

/// The event in a message.
///
/// # Errors
/// [`Malformed`] with what could be read; `fallback` stands for an id that
/// could not.
pub(super) fn event(
    headers: Option<&HeaderMap>,
    data: &[u8],
    fallback: Uuid,
) -> Result<Event, Box<Malformed>> {
    let empty = HeaderMap::new();
    let headers = headers.unwrap_or(&empty);
    let mut faults = Vec::new();
    let event = Event {
        id: parse(headers, ID, &mut faults).unwrap_or_else(|| EventId::from(fallback)),
        kind: text(headers, KIND, &mut faults).unwrap_or_default(),
        source: text(headers, SOURCE, &mut faults).unwrap_or_default(),
        aggregate: parse(headers, SUBJECT, &mut faults).unwrap_or_default(),
        time: timestamp(headers, &mut faults).unwrap_or(Timestamp::EPOCH),
        sequence: parse(headers, SEQUENCE, &mut faults).unwrap_or_default(),
        data: data.get(..data.len().min(DATA_MAX)).unwrap_or_default().to_vec(),
        trace: trace(headers),
    };
    if text(headers, SPEC_VERSION, &mut faults).is_some_and(|version| version != "1.0") {
        faults.push("ce-specversion is not 1.0".to_owned());
    }
    if data.len() > DATA_MAX {
        faults.push(format!("{} bytes are more than an event may have", data.len()));
    }
    if faults.is_empty() {
        return Ok(event);
    }
    Err(Box::new(Malformed { event, reason: format!("MALFORMED: {}", faults.join(", ")) }))
}

fn text(headers: &HeaderMap, name: &str, faults: &mut Vec<String>) -> Option<String> {
    let value = headers.get(name).map(|value| value.as_str().to_owned());
    let value = value.filter(|value| !value.is_empty() && value.len() <= 256);
    if value.is_none() {
        faults.push(format!("{name} is missing"));
    }
    value
}

fn parse<T: FromStr<Err: Display>>(
    headers: &HeaderMap,
    name: &str,
    faults: &mut Vec<String>,
) -> Option<T> {
    match text(headers, name, faults)?.parse() {
        Ok(value) => Some(value),
        Err(error) => {
            faults.push(format!("{name}: {error}"));
            None
        }
    }
}

/// What is no trace is none. Where both are there, what stood on the way has
/// written the plain one.
fn trace(headers: &HeaderMap) -> Option<TraceParent> {
    let read = |name| headers.get(name).and_then(|text| text.as_str().parse().ok());
    [TRANSPORT_TRACE, TRACE].into_iter().find_map(read)
}

fn timestamp(headers: &HeaderMap, faults: &mut Vec<String>) -> Option<Timestamp> {
    let time = OffsetDateTime::parse(&text(headers, TIME, faults)?, &Rfc3339);
    let micros = time.map(|time| i64::try_from(time.unix_timestamp_nanos() / 1000));
    if let Ok(Ok(micros)) = micros {
        return Some(Timestamp::from_micros(micros));
    }
    faults.push(format!("{TIME} is no time"));
    None
}

/// The time as the broker's client takes it; the ends of its range stand for
/// what lies beyond.
pub(super) fn date_time(time: Timestamp) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(time.as_micros()) * 1000)
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

fn rfc3339(time: Timestamp) -> String {
    date_time(time).format(&Rfc3339).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Event {
        Event {
            id: EventId::generate(),
            kind: "test.v1.Happened".to_owned(),
            source: "auth".to_owned(),
            aggregate: Uuid::now_v7(),
            sequence: 7,
            time: Timestamp::from_micros(1_700_000_000_123_456),
            data: vec![8, 1],
            trace: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".parse().ok(),
        }
    }

    #[test]
    fn an_event_reads_back_as_what_it_was() {
        let sample = sample();
        let again = headers(&sample, "S", Some(7));
        let message = format!("{}.7", sample.id);
        assert_eq!(again.get("Nats-Msg-Id").unwrap().as_str(), message);
        let headers = headers(&sample, "S", None);
        assert_eq!(headers.get(TIME).unwrap().as_str(), "2023-11-14T22:13:20.123456Z");
        assert_eq!(headers.get("Nats-Msg-Id").unwrap().as_str(), sample.id.to_string());
        assert_eq!(event(Some(&headers), &sample.data, Uuid::nil()).unwrap(), sample);
    }

    #[test]
    fn a_damaged_trace_is_none_and_the_one_that_stood_on_the_way_counts() {
        let sample = sample();
        let mut headers = headers(&sample, "S", None);
        let read = |headers: &HeaderMap| event(Some(headers), &[], Uuid::nil()).unwrap().trace;
        let other = sample.trace.map(|trace| TraceParent { span: 1, ..trace });
        headers.insert(TRANSPORT_TRACE, other.unwrap().to_string());
        assert_eq!(read(&headers), other);
        headers.insert(TRANSPORT_TRACE, "00-what");
        assert_eq!(read(&headers), sample.trace);
        headers.insert(TRACE, "");
        assert_eq!(read(&headers), None);
    }

    #[test]
    fn what_is_no_event_says_why_and_keeps_what_can_be_read() {
        let fallback = Uuid::now_v7();
        let nothing = event(None, b"x", fallback).unwrap_err();
        assert_eq!(Uuid::from(nothing.event.id), fallback);
        assert!(nothing.reason.starts_with("MALFORMED: ce-id is missing"), "{}", nothing.reason);
        let sample = sample();
        for (name, value) in
            [(ID, "x"), (TIME, "now"), (SEQUENCE, "-x"), (SUBJECT, "me"), (SPEC_VERSION, "2")]
        {
            let mut headers = headers(&sample, "S", None);
            headers.insert(name, value);
            let wrong = event(Some(&headers), &sample.data, fallback).unwrap_err();
            assert!(wrong.reason.contains(name), "{}", wrong.reason);
            assert_eq!(wrong.event.kind, sample.kind);
        }
        assert!(
            event(Some(&headers(&sample, "S", None)), &vec![0; DATA_MAX + 1], fallback).is_err()
        );
    }
}
