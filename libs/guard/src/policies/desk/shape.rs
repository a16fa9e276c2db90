//! What the schema says of entities: their attributes and the types of these.

use std::collections::BTreeMap;

use cedar_policy::{EntityId, EntityTypeName, EntityUid, RestrictedExpression};
use serde_json::Value;

use crate::Error;

/// Types of entities with their attributes.
pub(super) struct Shapes(BTreeMap<String, BTreeMap<String, Attribute>>);

/// An attribute, as the schema declares it.
#[derive(Clone, Debug)]
pub(super) struct Attribute {
    pub(super) kind: Kind,
    pub(super) required: bool,
}

/// The type of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Long,
    Text,
    Bool,
    Entity(String),
    Set(Box<Kind>),
    /// A record or an extension type, of which contracts declare none.
    Other,
}

impl Shapes {
    /// Reads a schema in Cedar's syntax.
    pub(super) fn of(schema: &str) -> Result<Self, Error> {
        let (json, _) = cedar_policy::schema_str_to_json_with_resolved_types(schema)
            .map_err(|error| Error::Schema(error.to_string()))?;
        let mut shapes = BTreeMap::new();
        for (namespace, content) in json.as_object().into_iter().flatten() {
            let types = content.get("entityTypes").and_then(Value::as_object);
            for (name, declared) in types.into_iter().flatten() {
                let full = if namespace.is_empty() {
                    name.clone()
                } else {
                    format!("{namespace}::{name}")
                };
                let attributes = declared.pointer("/shape/attributes").and_then(Value::as_object);
                let attributes = attributes.into_iter().flatten();
                shapes.insert(full, attributes.map(|(k, v)| (k.clone(), attribute(v))).collect());
            }
        }
        Ok(Self(shapes))
    }

    /// The attributes of a type.
    pub(super) fn attributes(&self, kind: &EntityTypeName) -> BTreeMap<String, Attribute> {
        self.0.get(&kind.to_string()).cloned().unwrap_or_default()
    }
}

fn attribute(declared: &Value) -> Attribute {
    let required = declared.get("required").and_then(Value::as_bool).unwrap_or(true);
    Attribute { kind: kind(declared), required }
}

fn kind(declared: &Value) -> Kind {
    let text = |key| declared.get(key).and_then(Value::as_str).unwrap_or_default();
    let named = match text("type") {
        "EntityOrCommon" | "Entity" => text("name"),
        other => other,
    };
    match named.strip_prefix("__cedar::").unwrap_or(named) {
        "Long" => Kind::Long,
        "String" => Kind::Text,
        "Boolean" | "Bool" => Kind::Bool,
        "Set" => Kind::Set(Box::new(declared.get("element").map_or(Kind::Other, kind))),
        "Record" | "Extension" | "" => Kind::Other,
        entity => Kind::Entity(entity.to_owned()),
    }
}

impl Kind {
    /// A value as it stands in a table, as Cedar takes it. An entity is named by
    /// its id.
    pub(super) fn expression(&self, value: &Value) -> Result<RestrictedExpression, String> {
        match (self, value) {
            (Self::Long, Value::Number(number)) => {
                let number = number.as_i64().ok_or("is no whole number of 64 bits")?;
                Ok(RestrictedExpression::new_long(number))
            }
            (Self::Text, Value::String(text)) => Ok(RestrictedExpression::new_string(text.clone())),
            (Self::Bool, Value::Bool(truth)) => Ok(RestrictedExpression::new_bool(*truth)),
            (Self::Entity(kind), Value::String(id)) => {
                Ok(RestrictedExpression::new_entity_uid(uid(kind, id)?))
            }
            (Self::Set(element), Value::Array(items)) => {
                let items: Result<Vec<_>, _> =
                    items.iter().map(|item| element.expression(item)).collect();
                Ok(RestrictedExpression::new_set(items?))
            }
            _ => Err(format!("is to be {}", self.described())),
        }
    }

    fn described(&self) -> String {
        match self {
            Self::Long => "a whole number".to_owned(),
            Self::Text => "a text".to_owned(),
            Self::Bool => "true or false".to_owned(),
            Self::Entity(kind) => format!("the id of a {kind}, a text"),
            Self::Set(element) => format!("a list; each item is {}", element.described()),
            Self::Other => "of a type that a table cannot express".to_owned(),
        }
    }
}

/// An entity by the names of its type and itself.
pub(super) fn uid(kind: &str, id: &str) -> Result<EntityUid, String> {
    let kind: EntityTypeName =
        kind.parse().map_err(|_| format!("`{kind}` is no name of a type of entity"))?;
    Ok(EntityUid::from_type_name_and_id(kind, EntityId::new(id)))
}
