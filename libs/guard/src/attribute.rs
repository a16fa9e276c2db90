//! Attributes of accounts: which there are, and of what type.
//!
//! They are declared in the settings, so that an operator adds one without a
//! build, and become optional attributes of `User` in the Cedar schema: a policy
//! has to ask `principal has department` before it reads one.

use std::{collections::BTreeMap, str::FromStr};

use cedar_policy::SchemaFragment;
use countersign_tokens::AttributeValue;
use serde_json::{Value, json};

use crate::Error;

/// Attributes that may be declared.
const DECLARED_MAX: usize = 32;
/// Bytes of the name of one.
const NAME_MAX: usize = 32;
/// What the guard itself says of a caller.
const RESERVED: [&str; 4] = ["authentication_time", "session_age", "factors", "tenant"];

/// The type of an attribute of accounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttributeKind {
    /// A text.
    String,
    /// A whole number, 64 bits, signed.
    Long,
    /// True or false.
    Bool,
    /// A set of texts.
    StringSet,
}

/// The attributes that accounts can have, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AttributeKinds(BTreeMap<String, AttributeKind>);

impl AttributeKinds {
    /// Reads declarations such as `department:string`; the types are `string`,
    /// `long`, `bool` and `strings`.
    ///
    /// # Errors
    /// A sentence on the first one that does not hold.
    pub fn parse<'a>(declared: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let mut kinds = BTreeMap::new();
        for text in declared {
            let (name, kind) = text
                .split_once(':')
                .ok_or_else(|| format!("`{text}` is not of the form name:type"))?;
            let (name, kind) = (name.trim(), kind.trim().parse()?);
            if !is_name(name) || RESERVED.contains(&name) {
                return Err(format!("`{name}` can not be the name of an attribute"));
            }
            if kinds.insert(name.to_owned(), kind).is_some() {
                return Err(format!("`{name}` is declared twice"));
            }
        }
        if kinds.len() > DECLARED_MAX {
            return Err(format!("more than {DECLARED_MAX} attributes are declared"));
        }
        Ok(Self(kinds))
    }

    /// The type of an attribute, if it is declared.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<AttributeKind> {
        self.0.get(name).copied()
    }

    /// The schema (Cedar syntax) with these attributes of `User` in it.
    ///
    /// # Errors
    /// [`Error::Schema`]: it does not hold, has no `User`, or declares one of
    /// them already.
    pub fn extend(&self, schema: &str) -> Result<String, Error> {
        if self.0.is_empty() {
            return Ok(schema.to_owned());
        }
        let refuse = |reason: String| Error::Schema(reason);
        let (fragment, _) = SchemaFragment::from_cedarschema_str(schema)
            .map_err(|error| refuse(error.to_string()))?;
        let mut json = fragment.to_json_value().map_err(|error| refuse(error.to_string()))?;
        let attributes = json
            .pointer_mut("//entityTypes/User/shape/attributes")
            .and_then(Value::as_object_mut)
            .ok_or_else(|| refuse("it has no `User` with attributes".to_owned()))?;
        for (name, kind) in &self.0 {
            if attributes.insert(name.clone(), kind.schema()).is_some() {
                return Err(refuse(format!("`User` has an attribute `{name}` already")));
            }
        }
        let extended = SchemaFragment::from_json_value(json);
        let extended = extended.map_err(|error| refuse(error.to_string()))?;
        extended.to_cedarschema().map_err(|error| refuse(error.to_string()))
    }
}

impl AttributeKind {
    /// Whether a value is of this type.
    #[must_use]
    pub const fn fits(self, value: &AttributeValue) -> bool {
        matches!(
            (self, value),
            (Self::String, AttributeValue::String(_))
                | (Self::Long, AttributeValue::Long(_))
                | (Self::Bool, AttributeValue::Bool(_))
                | (Self::StringSet, AttributeValue::StringSet(_))
        )
    }

    /// As Cedar's JSON schemas have it.
    fn schema(self) -> Value {
        match self {
            Self::String => json!({"type": "String", "required": false}),
            Self::Long => json!({"type": "Long", "required": false}),
            Self::Bool => json!({"type": "Boolean", "required": false}),
            Self::StringSet => {
                json!({"type": "Set", "element": {"type": "String"}, "required": false})
            }
        }
    }
}

impl FromStr for AttributeKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "string" => Ok(Self::String),
            "long" => Ok(Self::Long),
            "bool" => Ok(Self::Bool),
            "strings" => Ok(Self::StringSet),
            _ => Err(format!("`{text}` is no type: use string, long, bool or strings")),
        }
    }
}

fn is_name(name: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    let first = |name: &str| name.starts_with(|first: char| first.is_ascii_lowercase());
    name.len() <= NAME_MAX && first(name) && name.bytes().all(allowed)
}
