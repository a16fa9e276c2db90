//! The rules of repeated fields and maps.

use prost_reflect::{FieldDescriptor, Kind, Value};

use super::{
    constraints::Constraints,
    scope::{Scope, check, count},
    value::element,
};
use crate::compile::Compiled;

/// The checks of a repeated field; `value` is the vector.
pub(super) fn list(
    field: &FieldDescriptor,
    constraints: &Constraints,
    compiled: &Compiled,
    scope: &mut Scope<'_>,
) -> String {
    let mut code = String::new();
    let mut items = None;
    for (name, value) in rules(constraints, "repeated", scope) {
        match (name.as_str(), &value) {
            ("min_items" | "max_items", Value::U64(limit)) => {
                code.push_str(&size("repeated", &name, *limit, "item"));
            }
            ("unique", Value::Bool(false)) => {}
            ("unique", _) if matches!(field.kind(), Kind::Float | Kind::Double | Kind::Message(_)) => {
                scope.uncovered("repeated.unique for this type");
            }
            ("unique", _) => code.push_str(&check(
                "{ let mut seen = ::std::collections::HashSet::new(); !value.iter().all(|item| seen.insert(item)) }",
                "repeated.unique",
                "must not hold an item twice",
            )),
            ("items", Value::Message(rules)) => items = Some(rules.clone()),
            (rule, _) => scope.uncovered(&format!("repeated.{rule}")),
        }
    }
    let element = element(&field.kind(), items.as_ref(), compiled, scope);
    if !element.is_empty() {
        code.push_str(&format!(
            "for (index, value) in value.iter().enumerate() {{
                let path = &path.index(index);
                {element}
            }}\n"
        ));
    }
    code
}

/// The checks of a map field; `value` is the map.
pub(super) fn map(
    field: &FieldDescriptor,
    constraints: &Constraints,
    compiled: &Compiled,
    scope: &mut Scope<'_>,
) -> String {
    let Kind::Message(entry) = field.kind() else { return String::new() };
    let (key, value_field) = (entry.map_entry_key_field(), entry.map_entry_value_field());
    let mut code = String::new();
    let (mut key_rules, mut value_rules) = (None, None);
    for (name, value) in rules(constraints, "map", scope) {
        match (name.as_str(), &value) {
            ("min_pairs" | "max_pairs", Value::U64(limit)) => {
                code.push_str(&size("map", &name, *limit, "entry"));
            }
            ("keys", Value::Message(rules)) => key_rules = Some(rules.clone()),
            ("values", Value::Message(rules)) => value_rules = Some(rules.clone()),
            (rule, _) => scope.uncovered(&format!("map.{rule}")),
        }
    }
    let keys = element(&key.kind(), key_rules.as_ref(), compiled, scope);
    let values = element(&value_field.kind(), value_rules.as_ref(), compiled, scope);
    let entry = match (keys.is_empty(), values.is_empty()) {
        (true, true) => return code,
        (false, true) => "key in value.keys()",
        (_, false) => "(key, value) in value",
    };
    // A key comes from the caller: a long one does not go back whole.
    let shown = match key.kind() {
        Kind::String => {
            "let shown = match key.char_indices().nth(64) {
                Some((end, _)) => key.get(..end).unwrap_or_default(),
                None => key.as_str(),
            };"
        }
        _ => "let shown = &key.to_string();",
    };
    let keys = match keys.is_empty() {
        true => keys,
        false => format!("{{ let value = key; {keys} }}"),
    };
    code.push_str(&format!(
        "for {entry} {{
            {shown}
            let path = &path.key(shown);
            {keys}
            {values}
        }}\n"
    ));
    code
}

/// The rules of the set, which has to be the one of the field's type.
fn rules(constraints: &Constraints, expected: &str, scope: &mut Scope<'_>) -> Vec<(String, Value)> {
    match &constraints.set {
        None => Vec::new(),
        Some((name, set)) if name == expected => {
            set.fields().map(|(field, value)| (field.name().to_owned(), value.clone())).collect()
        }
        Some((name, _)) => {
            scope.wrong(format!("has rules for {name} and is a {expected} field"));
            Vec::new()
        }
    }
}

/// A limit on the number of elements.
fn size(set: &str, rule: &str, limit: u64, unit: &str) -> String {
    let id = format!("{set}.{rule}");
    let number = match (limit, unit) {
        (1, _) | (_, "item") => count(limit, unit),
        _ => format!("{limit} entries"),
    };
    if rule.starts_with("min") {
        let broken = format!("!({limit}_usize..).contains(&value.len())");
        check(&broken, &id, &format!("must have at least {number}"))
    } else {
        let broken = format!("!(..={limit}_usize).contains(&value.len())");
        check(&broken, &id, &format!("must have at most {number}"))
    }
}
