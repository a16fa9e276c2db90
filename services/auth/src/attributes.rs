//! Attributes between messages and what is stored, and which an account may have.

use countersign_contracts::auth::v1::{
    AttributeValue as Message, SetAccountAttributesRequest, StringSet, attribute_value::Kind,
};
use countersign_guard::AttributeKinds;
use countersign_tokens::{AccountAttributes, AttributeValue};
use countersign_types::{Broken, TextRules, Violation};

use crate::{Error, change::Change};

/// Texts of attributes. How long they may be says the contract.
const TEXT: TextRules = TextRules { max_graphemes: 256, max_bytes: 256, lines: false };

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
        if let Some(Err(broken)) = value {
            let field = format!("attributes[\"{name}\"]");
            violations.extend(broken.into_iter().map(|rule| rule.at(field.as_str())));
            continue;
        }
        let value = value.and_then(Result::ok);
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

/// `None` where there is none; texts in their normal form, or the rules that they break.
fn value(message: Message) -> Option<Result<AttributeValue, Vec<Broken>>> {
    Some(match message.kind? {
        Kind::StringValue(text) => TEXT.check(&text).map(AttributeValue::String),
        Kind::LongValue(number) => Ok(AttributeValue::Long(number)),
        Kind::BoolValue(truth) => Ok(AttributeValue::Bool(truth)),
        Kind::StringSet(set) => {
            let texts = set.values.iter().map(|text| TEXT.check(text));
            texts.collect::<Result<_, _>>().map(AttributeValue::StringSet)
        }
    })
}
