//! Holds a JSON value against the message that it is to become: every key is a
//! field, by the name that JSON gives it (`displayName`) or that the contract
//! gives it (`display_name`), and no field comes twice.

use countersign_types::Violation;
use prost_reflect::{DeserializeOptions, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor};
use serde_json::{Map, Value};

use crate::json::shown;

/// The same value, with each field under the name that the contract gives it.
/// What does not fit is told in `broken`, and left out.
pub(crate) fn named(
    value: Map<String, Value>,
    message: &MessageDescriptor,
    path: &str,
    broken: &mut Vec<Violation>,
) -> Map<String, Value> {
    let mut fields = Map::new();
    for (key, value) in value {
        let field = message
            .get_field_by_name(&key)
            .or_else(|| message.get_field_by_json_name(&key))
            .filter(|_| !key.starts_with('['));
        let Some(field) = field else {
            let at = within(path, shown(&key));
            broken.push(Violation::new(at, "json.unknown_field", "there is no such field"));
            continue;
        };
        let at = within(path, field.name());
        let choice = field.containing_oneof().filter(|_| !value.is_null());
        let chosen = choice.is_some_and(|oneof| {
            let mut others = oneof.fields().filter(|other| other != &field);
            others.any(|other| fields.get(other.name()).is_some_and(|given| !Value::is_null(given)))
        });
        if chosen {
            let rule = "only one of the fields that exclude each other may be given";
            broken.push(Violation::new(at.clone(), "json.oneof", rule));
        }
        let value = field_value(value, &field, &at, broken);
        if fields.insert(field.name().to_owned(), value).is_some() {
            broken.push(Violation::new(at, "json.twice", "the field is given twice"));
        }
    }
    fields
}

fn field_value(
    value: Value,
    field: &FieldDescriptor,
    at: &str,
    broken: &mut Vec<Violation>,
) -> Value {
    let kind = field.kind();
    match (kind.as_message(), value) {
        (Some(entry), Value::Object(entries)) if field.is_map() => {
            let of = entry.map_entry_value_field();
            let entry = |(key, value): (String, Value)| {
                let at = format!("{at}[{:?}]", shown(&key));
                let value = field_value(value, &of, &at, broken);
                (key, value)
            };
            Value::Object(entries.into_iter().map(entry).collect())
        }
        (Some(message), Value::Array(items)) if field.is_list() && is_ours(message) => {
            let item = |(index, item)| match item {
                Value::Object(item) => {
                    Value::Object(named(item, message, &format!("{at}[{index}]"), broken))
                }
                item => item,
            };
            Value::Array(items.into_iter().enumerate().map(item).collect())
        }
        (Some(message), Value::Object(inner)) if !field.is_list() && is_ours(message) => {
            Value::Object(named(inner, message, at, broken))
        }
        (_, value) => value,
    }
}

/// The fields whose values are none of their kinds.
pub(crate) fn mistyped(
    fields: &Map<String, Value>,
    message: &MessageDescriptor,
    path: &str,
    broken: &mut Vec<Violation>,
) {
    for (name, value) in fields {
        let Some(field) = message.get_field_by_name(name) else { continue };
        let at = within(path, name);
        let kind = field.kind();
        if let (Some(inner), Value::Object(fields)) = (kind.as_message(), value)
            && is_ours(inner)
            && !field.is_map()
            && !field.is_list()
        {
            mistyped(fields, inner, &at, broken);
        } else if read(Map::from_iter([(name.clone(), value.clone())]), message).is_err() {
            let rule = format!("must be a JSON value for {}", wanted(&field));
            broken.push(Violation::new(at, "json.type", rule));
        }
    }
}

/// The message of these fields, by the JSON mapping of protobuf.
pub(crate) fn read(
    fields: Map<String, Value>,
    message: &MessageDescriptor,
) -> Result<DynamicMessage, serde_json::Error> {
    let options = DeserializeOptions::new().deny_unknown_fields(true);
    DynamicMessage::deserialize_with_options(message.clone(), Value::Object(fields), &options)
}

/// Whether its fields are those of its JSON: well-known types have a form of their own.
pub(crate) fn is_ours(message: &MessageDescriptor) -> bool {
    !message.full_name().starts_with("google.protobuf.")
}

fn wanted(field: &FieldDescriptor) -> String {
    let kind = match field.kind() {
        Kind::Message(entry) if field.is_map() => {
            let (key, value) = (entry.map_entry_key_field(), entry.map_entry_value_field());
            return format!("map<{:?}, {:?}>", key.kind(), value.kind());
        }
        kind => format!("{kind:?}"),
    };
    if field.is_list() { format!("repeated {kind}") } else { kind }
}

fn within(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}
