//! What a policy asks for, found out once when it is loaded: attributes that
//! no policy reads are neither looked up nor computed.
//!
//! It reads the JSON form of a policy (Cedar's documented exchange format) and
//! errs on the side of reading too much.

use cedar_policy::Policy;
use serde_json::Value;

use crate::principal::SESSION_AGE;

/// What a policy asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Reads {
    /// Attributes of the resource.
    pub(super) resource: bool,
    /// The age of the caller's session.
    pub(super) session_age: bool,
    /// What is known of the call itself.
    pub(super) context: bool,
}

/// Operators that look at which entity the resource is, not at what it has.
const IDENTITY_OPERATORS: [&str; 4] = ["==", "!=", "is", "in"];

pub(super) fn of(policy: &Policy) -> Result<Reads, String> {
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
            for (key, value) in object {
                if key == "Var" && value == "resource" && !compared {
                    reads.resource = true;
                }
                if key == "Var" && value == "context" {
                    reads.context = true;
                }
                if key == "attr" && value == SESSION_AGE {
                    reads.session_age = true;
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
