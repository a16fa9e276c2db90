//! Between rows and messages.

use countersign_contracts::audit::v1::{AuditEvent, AuditOutcome};
use countersign_types::Timestamp;
use prost_types::{ListValue, Struct, Value as ProtoValue, value::Kind};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::{Outcome, entity::log, scope::SCOPE};

/// An entry as who may see it sees it.
pub(crate) fn message(row: &log::Model) -> AuditEvent {
    let mut facts: Map<String, Value> = serde_json::from_str(&row.detail).unwrap_or_default();
    facts.remove(SCOPE);
    let mut word = |name: &str| match facts.remove(name) {
        Some(Value::String(word)) => word,
        _ => String::new(),
    };
    let (rpc, trace_id) = (word("rpc"), word("trace"));
    let policies = match facts.remove("policies") {
        Some(Value::Array(names)) => {
            names.iter().filter_map(Value::as_str).map(str::to_owned).collect()
        }
        _ => Vec::new(),
    };
    let id = |id: Uuid| if id.is_nil() { String::new() } else { id.to_string() };
    AuditEvent {
        id: row.id.to_string(),
        time: Some(time(Timestamp::from_micros(row.record_time))),
        r#type: row.action.clone(),
        outcome: outcome(&row.outcome).into(),
        actor_id: row.actor.map(id).unwrap_or_default(),
        subject_id: row.subject.map(id).unwrap_or_default(),
        account_id: id(row.account),
        session_id: id(row.session),
        address: row.address.clone().unwrap_or_default(),
        rpc,
        policies,
        trace_id,
        facts: Some(structure(facts)),
        place: row.seq.unwrap_or(0),
    }
}

fn outcome(word: &str) -> AuditOutcome {
    if word == Outcome::Success.as_str() {
        AuditOutcome::Success
    } else if word == Outcome::Failure.as_str() {
        AuditOutcome::Failure
    } else {
        AuditOutcome::Unspecified
    }
}

fn structure(facts: Map<String, Value>) -> Struct {
    Struct { fields: facts.into_iter().map(|(name, value)| (name, fact(value))).collect() }
}

fn fact(value: Value) -> ProtoValue {
    let kind = match value {
        Value::Null => Kind::NullValue(0),
        Value::Bool(flag) => Kind::BoolValue(flag),
        // Counts and generations: far below 2^53.
        Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or_default()),
        Value::String(text) => Kind::StringValue(text),
        Value::Array(items) => {
            Kind::ListValue(ListValue { values: items.into_iter().map(fact).collect() })
        }
        Value::Object(facts) => Kind::StructValue(structure(facts)),
    };
    ProtoValue { kind: Some(kind) }
}

/// A point in time as messages hold it.
pub(crate) fn time(time: Timestamp) -> prost_types::Timestamp {
    let micros = time.as_micros().rem_euclid(1_000_000);
    // Less than a million, times a thousand: fits.
    let nanos = i32::try_from(micros * 1_000).unwrap_or(0);
    prost_types::Timestamp { seconds: time.as_seconds(), nanos }
}
