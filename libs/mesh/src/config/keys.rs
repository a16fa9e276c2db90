//! The settings that exist, as the types describe them: the one source for
//! refusing unknown names, for reading text values and for the reference.

use schemars::{JsonSchema, generate::SchemaSettings};
use serde::Serialize;
use serde_json::{Map, Value};

/// One setting.
#[derive(Debug)]
pub(super) struct Key {
    /// Its name, such as `server.listen`.
    pub path: String,
    /// What it holds.
    pub kind: Kind,
    /// Its default; `Null` when it is unset by default.
    pub default: Value,
    /// What it is, from the comment of the field.
    pub doc: String,
}

/// What a setting holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A text; the name of its form, such as `duration`.
    Text(String),
    /// One of these texts.
    Choice(Vec<String>),
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// `true` or `false`.
    Boolean,
    /// A list of such values.
    List(Box<Kind>),
    /// Names and values that nobody can know beforehand.
    Table,
}

/// Every setting of `C`, by name; `defaults` gives their defaults.
pub(super) fn keys<C: JsonSchema + Serialize>(defaults: &C) -> Vec<Key> {
    let settings = SchemaSettings::draft2020_12().with(|s| s.inline_subschemas = true);
    let schema = settings.into_generator().into_root_schema_for::<C>().to_value();
    let defaults = serde_json::to_value(defaults).unwrap_or_default();
    let mut keys = Vec::new();
    walk(&schema, "", &defaults, &mut keys);
    keys
}

fn walk(schema: &Value, path: &str, default: &Value, keys: &mut Vec<Key>) {
    let shape = without_null(schema);
    let Some(properties) = shape.get("properties").and_then(Value::as_object) else {
        let doc = text(schema, "description").or_else(|| text(shape, "description"));
        keys.push(Key {
            path: path.to_owned(),
            kind: kind(shape),
            default: default.clone(),
            doc: doc.unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" "),
        });
        return;
    };
    for (name, property) in properties {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        walk(property, &path, default.get(name).unwrap_or(&Value::Null), keys);
    }
}

/// What an optional setting holds when it is set.
fn without_null(schema: &Value) -> &Value {
    let variants = ["anyOf", "oneOf"].iter().find_map(|one| schema.get(one)?.as_array());
    match variants.map(Vec::as_slice) {
        Some([some, none] | [none, some]) if is_null(none) => some,
        _ => schema,
    }
}

fn is_null(schema: &Value) -> bool {
    text(schema, "type") == Some("null")
}

fn kind(schema: &Value) -> Kind {
    if let Some(choices) = choices(schema) {
        return Kind::Choice(choices);
    }
    let named = match schema.get("type") {
        Some(Value::Array(types)) => types.iter().filter_map(Value::as_str).find(|t| *t != "null"),
        other => other.and_then(Value::as_str),
    };
    match named {
        Some("string") => Kind::Text(text(schema, "format").unwrap_or("text").to_owned()),
        Some("integer") => Kind::Integer,
        Some("number") => Kind::Number,
        Some("boolean") => Kind::Boolean,
        Some("array") => Kind::List(Box::new(schema.get("items").map_or(Kind::Table, kind))),
        _ => Kind::Table,
    }
}

/// The texts that an enum allows, whether or not its variants are documented.
fn choices(schema: &Value) -> Option<Vec<String>> {
    let listed = |list: &Value| {
        let texts = list.as_array()?.iter().map(|one| one.as_str().map(str::to_owned));
        texts.collect::<Option<Vec<_>>>()
    };
    if let Some(list) = schema.get("enum") {
        return listed(list);
    }
    let variants = schema.get("oneOf")?.as_array()?.iter();
    let texts = variants.map(|variant| match variant.get("enum") {
        Some(list) => listed(list),
        None => text(variant, "const").map(|one| vec![one.to_owned()]),
    });
    texts.collect::<Option<Vec<_>>>().map(|lists| lists.concat())
}

fn text<'a>(schema: &'a Value, name: &str) -> Option<&'a str> {
    schema.get(name).and_then(Value::as_str)
}

/// `key = value` at the end of `path`, as a nested object.
pub(super) fn nest(path: &str, value: Value) -> Value {
    path.rsplit('.')
        .fold(value, |inner, name| Value::Object(Map::from_iter([(name.to_owned(), inner)])))
}
