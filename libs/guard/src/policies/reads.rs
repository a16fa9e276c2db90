//! What a policy asks for, found out once when it is loaded: attributes that
//! no policy reads are neither looked up nor computed, nor put into tokens.
//!
//! It reads the JSON form of a policy (Cedar's documented exchange format) and
//! errs on the side of reading too much.

use std::collections::BTreeSet;

use cedar_policy::Policy;
use serde_json::{Map, Value};

use crate::principal::SESSION_AGE;

/// What a policy asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Reads {
    /// Attributes of the resource.
    pub(super) resource: bool,
    /// The age of the caller's session.
    pub(super) session_age: bool,
    /// What is known of the call itself.
    pub(super) context: bool,
    /// Attributes that callers may have, by name.
    pub(super) of_callers: BTreeSet<String>,
}

/// Operators that look at which entity the resource is, not at what it has.
const IDENTITY_OPERATORS: [&str; 4] = ["==", "!=", "is", "in"];
/// What has no attributes of a caller.
const OTHERS: [&str; 3] = ["resource", "action", "context"];

pub(super) fn of(policy: &Policy) -> Result<Reads, String> {
    // Cedar reads the text of the policy again for this: once is enough.
    let json = policy.to_json().map_err(|error| error.to_string())?;
    let mut reads = Reads::default();
    // The scope compares entities and types; only conditions read attributes.
    if let Some(conditions) = json.get("conditions") {
        walk(conditions, false, &mut reads);
    }
    Ok(reads)
}

/// `compared`: whether the expression stands right below an operator that
/// compares identities.
fn walk(expression: &Value, compared: bool, reads: &mut Reads) {
    match expression {
        Value::Array(items) => {
            for item in items {
                walk(item, false, reads);
            }
        }
        Value::Object(object) => {
            attribute(object, reads);
            for (key, value) in object {
                if key == "Var" && value == "resource" && !compared {
                    reads.resource = true;
                }
                if key == "Var" && value == "context" {
                    reads.context = true;
                }
                if IDENTITY_OPERATORS.contains(&key.as_str()) {
                    operands(value, reads);
                } else {
                    walk(value, false, reads);
                }
            }
        }
        _ => {}
    }
}

/// The attribute that `has` or `.` looks at.
fn attribute(object: &Map<String, Value>, reads: &mut Reads) {
    let Some(name) = object.get("attr").and_then(Value::as_str) else { return };
    reads.session_age |= name == SESSION_AGE;
    let of = object.get("left").and_then(|left| left.get("Var")).and_then(Value::as_str);
    if !of.is_some_and(|of| OTHERS.contains(&of)) {
        reads.of_callers.insert(name.to_owned());
    }
}

fn operands(operator: &Value, reads: &mut Reads) {
    match operator {
        Value::Object(operands) => {
            for operand in operands.values() {
                walk(operand, true, reads);
            }
        }
        other => walk(other, false, reads),
    }
}
