//! A single value, of a field or inside of a collection: which rules its type has.

use std::collections::BTreeSet;

use prost_reflect::{DynamicMessage, Kind};

use super::{
    constraints::{Constraints, Ignore, set_name},
    number, reaches_rules,
    scope::{Scope, check},
    text,
};
use crate::compile::Compiled;

/// The checks of an element, key or value of a field.
pub(super) fn element(
    kind: &Kind,
    rules: Option<&DynamicMessage>,
    compiled: &Compiled,
    scope: &mut Scope<'_>,
) -> String {
    let constraints = match rules {
        Some(rules) => Constraints::of_element(rules, scope),
        None => Constraints::default(),
    };
    let inner = match constraints.ignore {
        Ignore::Always => return String::new(),
        _ => of_type(kind, &constraints, compiled, scope),
    };
    match Zero::of(kind) {
        Some(zero) if constraints.ignore == Ignore::Zero && !inner.is_empty() => {
            format!("if {} {{ {inner} }}", zero.is_not)
        }
        _ => inner,
    }
}

/// The checks that the type of a single value has.
pub(super) fn of_type(
    kind: &Kind,
    constraints: &Constraints,
    compiled: &Compiled,
    scope: &mut Scope<'_>,
) -> String {
    let mut code = String::new();
    if let Some((name, set)) = &constraints.set {
        match (name.as_str(), kind) {
            (name, _) if name != set_name(kind) => {
                scope.wrong(format!("has rules for {name} and is of type {}", set_name(kind)));
            }
            ("string", _) => code.push_str(&text::string(set, scope)),
            ("bytes", _) => code.push_str(&text::bytes(set, scope)),
            ("bool", _) => code.push_str(&boolean(set, scope)),
            ("enum", Kind::Enum(_)) => code.push_str(&number::enumeration(kind, set, scope)),
            (name, Kind::Message(_)) => scope.uncovered(name),
            (name, _) => code.push_str(&number::number(name, set, scope)),
        }
    }
    if let Kind::Message(message) = kind
        && reaches_rules(message, compiled, &mut BTreeSet::new())
    {
        // A method call also reaches through the box of a recursive field.
        code.push_str("value.validate_at(path, violations);\n");
    }
    code
}

fn boolean(set: &DynamicMessage, scope: &mut Scope<'_>) -> String {
    let mut code = String::new();
    for (field, value) in set.fields() {
        match (field.name(), value.as_bool()) {
            ("const", Some(true)) => code.push_str(&check("!*value", "bool.const", "must be true")),
            ("const", _) => code.push_str(&check("*value", "bool.const", "must be false")),
            ("example", _) => {}
            (rule, _) => scope.uncovered(&format!("bool.{rule}")),
        }
    }
    code
}

/// Rust expressions that tell whether `value` has the zero value of its type.
#[derive(Clone, Copy)]
pub(super) struct Zero {
    pub(super) is: &'static str,
    pub(super) is_not: &'static str,
}

impl Zero {
    /// Of a string, bytes, a list or a map.
    pub(super) const EMPTY: Self = Self { is: "value.is_empty()", is_not: "!value.is_empty()" };

    /// None for a message, which is there or is not.
    pub(super) const fn of(kind: &Kind) -> Option<Self> {
        Some(match kind {
            Kind::String | Kind::Bytes => Self::EMPTY,
            Kind::Bool => Self { is: "!*value", is_not: "*value" },
            Kind::Double | Kind::Float => Self { is: "*value == 0.0", is_not: "*value != 0.0" },
            Kind::Message(_) => return None,
            _ => Self { is: "*value == 0", is_not: "*value != 0" },
        })
    }
}
