//! Attributes between messages and what is stored, and which an account may have.

use countersign_contracts::auth::v1::{
    AttributeValue as Message, SetAccountAttributesRequest, StringSet, attribute_value::Kind,
};
use countersign_guard::AttributeKinds;
use countersign_tokens::{AccountAttributes, AttributeValue};
use countersign_types::Violation;

use crate::{Error, change::Change};

/// The change that is asked for.
///
/// # Errors
/// [`Error::Invalid`] with all that is not declared, or of another type, or to
/// be set and removed at once.
pub(crate) fn change(
    request: SetAccountAttributesRequest,
    declared: &AttributeKinds,
) -> Result<Change, Error> {
    let SetAccountAttributesRequest { attributes, remove_attributes: remove, .. } = request;
    let (mut set, mut violations) = (AccountAttributes::default(), Vec::new());
    for (name, message) in attributes {
        let value = value(message);
        let rule = match (declared.get(&name), &value) {
            (None, _) => Some("is not declared in token.attributes"),
            (Some(kind), Some(value)) if kind.fits(value) => None,
            _ => Some("is declared with another type"),
        };
        let rule = rule.or_else(|| remove.contains(&name).then_some("is to be removed as well"));
        match (rule, value) {
            (None, Some(value)) => set.set(name, value),
            (rule, _) => {
                let field = format!("attributes[\"{name}\"]");
                violations.push(Violation::new(field, "attributes", rule.unwrap_or_default()));
            }
        }
    }
    if violations.is_empty() {
        Ok(Change::Attributes { set, remove })
    } else {
        Err(Error::Invalid(violations))
    }
}

/// An attribute as a client sees it.
pub(crate) fn message(value: &AttributeValue) -> Message {
    let kind = match value {
        AttributeValue::Bool(truth) => Kind::BoolValue(*truth),
        AttributeValue::Long(number) => Kind::LongValue(*number),
        AttributeValue::String(text) => Kind::StringValue(text.clone()),
        AttributeValue::StringSet(texts) => {
            Kind::StringSet(StringSet { values: texts.iter().cloned().collect() })
        }
    };
    Message { kind: Some(kind) }
}

fn value(message: Message) -> Option<AttributeValue> {
    Some(match message.kind? {
        Kind::StringValue(text) => AttributeValue::String(text),
        Kind::LongValue(number) => AttributeValue::Long(number),
        Kind::BoolValue(truth) => AttributeValue::Bool(truth),
        Kind::StringSet(set) => AttributeValue::StringSet(set.values.into_iter().collect()),
    })
}
