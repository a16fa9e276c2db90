//! Messages as JSON Schema (draft 2020-12), by the JSON mapping of protobuf.

use std::collections::BTreeMap;

use prost_reflect::{DynamicMessage, EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor};
use serde_json::{Map, Value, json};

use super::comments;
use crate::shape::is_ours;

/// All schemas that somebody has referred to.
#[derive(Default)]
pub(super) struct Schemas(BTreeMap<String, Value>);

impl Schemas {
    /// The schemas by their names.
    pub(super) fn into_components(self) -> Value {
        Value::Object(self.0.into_iter().collect())
    }

    /// A reference to the schema of a message.
    pub(super) fn reference(&mut self, message: &MessageDescriptor) -> Value {
        let name = message.full_name();
        if !self.0.contains_key(name) {
            // There at once, for a message that lies within itself.
            self.0.insert(name.to_owned(), Value::Null);
            let schema = self.object(message, &[]);
            self.0.insert(name.to_owned(), schema);
        }
        refer(name)
    }

    /// The schema of a message without some of its fields.
    pub(super) fn without(&mut self, message: &MessageDescriptor, fields: &[&str]) -> Value {
        if fields.is_empty() { self.reference(message) } else { self.object(message, fields) }
    }

    fn object(&mut self, message: &MessageDescriptor, but: &[&str]) -> Value {
        let mut properties = Map::new();
        for field in message.fields().filter(|field| !but.contains(&field.name())) {
            let mut schema = self.of_value(&field);
            let comment = comments::of(&field.parent_file(), field.path());
            if let (Some(schema), Some(comment)) = (schema.as_object_mut(), comment) {
                schema.insert("description".to_owned(), json!(comment));
            }
            properties.insert(field.json_name().to_owned(), schema);
        }
        let mut schema = json!({"type": "object", "properties": properties});
        let comment = comments::of(&message.parent_file(), message.path());
        if let (Some(schema), Some(comment)) = (schema.as_object_mut(), comment) {
            schema.insert("description".to_owned(), json!(comment));
        }
        schema
    }

    /// The schema of a field's value, with the rules that the contract has for it.
    pub(super) fn of_value(&mut self, field: &FieldDescriptor) -> Value {
        if let Kind::Message(entry) = field.kind()
            && field.is_map()
        {
            let values = self.of_kind(&entry.map_entry_value_field().kind());
            return json!({"type": "object", "additionalProperties": values});
        }
        let one = self.of_kind(&field.kind());
        let mut schema = if field.is_list() { json!({"type": "array", "items": one}) } else { one };
        if let Some(schema) = schema.as_object_mut() {
            constrain(schema, field);
        }
        schema
    }

    fn of_kind(&mut self, kind: &Kind) -> Value {
        match kind {
            Kind::Bool => json!({"type": "boolean"}),
            Kind::String => json!({"type": "string"}),
            Kind::Bytes => json!({"type": "string", "contentEncoding": "base64"}),
            Kind::Double | Kind::Float => json!({"type": "number"}),
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => {
                json!({"type": "integer", "format": "int32"})
            }
            Kind::Uint32 | Kind::Fixed32 => json!({"type": "integer", "minimum": 0}),
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 | Kind::Uint64 | Kind::Fixed64 => {
                json!({"type": "string", "pattern": "^-?[0-9]+$"})
            }
            Kind::Enum(named) => self.enumeration(named),
            Kind::Message(message) if is_ours(message) => self.reference(message),
            Kind::Message(message) => well_known(message.full_name()),
        }
    }

    fn enumeration(&mut self, named: &EnumDescriptor) -> Value {
        let values: Vec<_> = named.values().map(|value| value.name().to_owned()).collect();
        let schema = json!({"type": "string", "enum": values});
        self.0.insert(named.full_name().to_owned(), schema);
        refer(named.full_name())
    }
}

fn refer(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

/// The forms that protobuf's JSON has for well-known types.
fn well_known(name: &str) -> Value {
    match name.strip_prefix("google.protobuf.").unwrap_or(name) {
        "Timestamp" => json!({"type": "string", "format": "date-time"}),
        "Duration" => json!({"type": "string", "pattern": "^-?[0-9]+(\\.[0-9]{1,9})?s$"}),
        "FieldMask" | "StringValue" => json!({"type": "string"}),
        "BytesValue" => json!({"type": "string", "contentEncoding": "base64"}),
        "Int64Value" | "UInt64Value" => json!({"type": "string", "pattern": "^-?[0-9]+$"}),
        "BoolValue" => json!({"type": "boolean"}),
        "Int32Value" | "UInt32Value" => json!({"type": "integer"}),
        "FloatValue" | "DoubleValue" => json!({"type": "number"}),
        "ListValue" => json!({"type": "array"}),
        "Value" => json!({}),
        _ => json!({"type": "object"}),
    }
}

/// Adds those rules of input (`buf.validate.field`) that JSON Schema knows.
fn constrain(schema: &mut Map<String, Value>, field: &FieldDescriptor) {
    let pool = field.parent_pool();
    let options = field.options();
    let Some(extension) = pool.get_extension_by_name("buf.validate.field") else { return };
    if !options.has_extension(&extension) {
        return;
    }
    let value = options.get_extension(&extension);
    let Some(rules) = value.as_message() else { return };
    for (kind, rule, keyword) in [
        ("string", "pattern", "pattern"),
        ("string", "min_len", "minLength"),
        ("string", "max_len", "maxLength"),
        ("repeated", "max_items", "maxItems"),
        ("repeated", "unique", "uniqueItems"),
        ("int32", "gte", "minimum"),
        ("int32", "lte", "maximum"),
    ] {
        if let Some(given) = given(rules, kind, rule) {
            schema.insert(keyword.to_owned(), given);
        }
    }
}

fn given(rules: &DynamicMessage, kind: &str, rule: &str) -> Option<Value> {
    if !rules.has_field_by_name(kind) {
        return None;
    }
    let rules = rules.get_field_by_name(kind)?;
    let rules = rules.as_message()?;
    if !rules.has_field_by_name(rule) {
        return None;
    }
    let value = rules.get_field_by_name(rule)?;
    match &*value {
        prost_reflect::Value::String(text) => Some(json!(text)),
        prost_reflect::Value::U64(number) => Some(json!(number)),
        prost_reflect::Value::I32(number) => Some(json!(number)),
        prost_reflect::Value::Bool(truth) => Some(json!(truth)),
        _ => None,
    }
}
