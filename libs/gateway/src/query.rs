//! Texts of the path and the query as values of fields.

use countersign_types::{Code, Fault, Violation};
use prost_reflect::{Kind, MessageDescriptor};
use serde_json::{Map, Number, Value};

use crate::{json::shown, path::decode, shape::is_ours};

/// The parameters of a query, in their order.
///
/// # Errors
/// An escape is broken.
pub(crate) fn parameters(query: &str) -> Result<Vec<(String, String)>, Fault> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let pairs = pairs.map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        Some((decode(name, true)?, decode(value, true)?))
    });
    let message = "the query has a broken escape";
    let malformed = || Fault::new(Code::InvalidArgument, "MALFORMED_QUERY", message);
    pairs.collect::<Option<_>>().ok_or_else(malformed)
}

/// Sets the field at `path` in the JSON of a message; a repeated field gets one
/// value more.
pub(crate) fn set(
    fields: &mut Map<String, Value>,
    message: &MessageDescriptor,
    path: &str,
    text: String,
    broken: &mut Vec<Violation>,
) {
    if let Err(rule) = place(fields, message, path, text) {
        broken.push(Violation::new(shown(path), "query.parameter", rule));
    }
}

fn place(
    fields: &mut Map<String, Value>,
    message: &MessageDescriptor,
    path: &str,
    text: String,
) -> Result<(), &'static str> {
    let (name, rest) = path.split_once('.').map_or((path, None), |(name, rest)| (name, Some(rest)));
    let field = message.get_field_by_name(name).or_else(|| message.get_field_by_json_name(name));
    let field = field.ok_or("there is no such field")?;
    let kind = field.kind();
    if let Some(rest) = rest {
        let inner = kind.as_message().filter(|inner| is_ours(inner) && !field.is_list());
        let inner = inner.filter(|_| !field.is_map()).ok_or("there is no such field")?;
        let entry = fields.entry(field.name()).or_insert_with(|| Value::Object(Map::new()));
        let entry = entry.as_object_mut().ok_or("the field is given twice")?;
        return place(entry, inner, rest, text);
    }
    if field.is_map() || kind.as_message().is_some_and(is_ours) {
        return Err("the field is no single value");
    }
    let value = single(&kind, text);
    if field.is_list() {
        let entry = fields.entry(field.name()).or_insert_with(|| Value::Array(Vec::new()));
        entry.as_array_mut().ok_or("the field is given twice")?.push(value);
    } else if fields.insert(field.name().to_owned(), value).is_some() {
        return Err("the field is given twice");
    }
    Ok(())
}

/// Numbers may be texts in protobuf's JSON; truth and the numbers of an enum may not.
fn single(kind: &Kind, text: String) -> Value {
    match (kind, text.as_str()) {
        (Kind::Bool, "true") => Value::Bool(true),
        (Kind::Bool, "false") => Value::Bool(false),
        (Kind::Enum(_), _) => match text.parse::<i32>() {
            Ok(number) => Value::Number(Number::from(number)),
            Err(_) => Value::String(text),
        },
        _ => Value::String(text),
    }
}
