//! The rules of numbers and enums.

use prost_reflect::{DynamicMessage, Kind, Value};

use super::scope::{Scope, check};

/// One end of a range.
struct Bound<'a> {
    /// `lt`, `lte`, `gt` or `gte`.
    rule: &'a str,
    value: Value,
}

impl Bound<'_> {
    fn included(&self) -> bool {
        self.rule.ends_with('e')
    }

    fn phrase(&self) -> String {
        let words = match self.rule {
            "lt" => "less than",
            "lte" => "at most",
            "gt" => "greater than",
            _ => "at least",
        };
        format!("{words} {}", shown(&self.value))
    }
}

/// The checks of a number; `set_name` is such as `int32`.
pub(super) fn number(set_name: &str, set: &DynamicMessage, scope: &mut Scope<'_>) -> String {
    let mut code = String::new();
    let (mut lower, mut upper) = (None, None);
    for (field, value) in set.fields() {
        let name = field.name().to_owned();
        match name.as_str() {
            "const" => {
                let broken = format!("*value != {}", literal(value));
                let description = format!("must be {}", shown(value));
                code.push_str(&check(&broken, &format!("{set_name}.const"), &description));
            }
            "lt" => upper = Some(Bound { rule: "lt", value: value.clone() }),
            "lte" => upper = Some(Bound { rule: "lte", value: value.clone() }),
            "gt" => lower = Some(Bound { rule: "gt", value: value.clone() }),
            "gte" => lower = Some(Bound { rule: "gte", value: value.clone() }),
            "in" | "not_in" => code.push_str(&membership(set_name, &name, value)),
            "finite" if value.as_bool() == Some(true) => {
                let id = format!("{set_name}.finite");
                code.push_str(&check("!value.is_finite()", &id, "must be finite"));
            }
            "finite" | "example" => {}
            rule => scope.uncovered(&format!("{set_name}.{rule}")),
        }
    }
    code.push_str(&range(set_name, lower, upper));
    code
}

/// The checks of an enum; `value` is its number.
pub(super) fn enumeration(kind: &Kind, set: &DynamicMessage, scope: &mut Scope<'_>) -> String {
    let mut code = String::new();
    for (field, value) in set.fields() {
        match (field.name(), kind) {
            ("const", _) => {
                let broken = format!("*value != {}", literal(value));
                let description = format!("must be {}", shown(value));
                code.push_str(&check(&broken, "enum.const", &description));
            }
            ("defined_only", Kind::Enum(defined)) if value.as_bool() == Some(true) => {
                let mut numbers: Vec<_> = defined.values().map(|value| value.number()).collect();
                numbers.sort_unstable();
                numbers.dedup();
                let numbers: Vec<_> = numbers.iter().map(ToString::to_string).collect();
                let broken = format!("![{}].contains(value)", numbers.join(", "));
                code.push_str(&check(&broken, "enum.defined_only", "must be a defined value"));
            }
            ("defined_only" | "example", _) => {}
            (rule @ ("in" | "not_in"), _) => code.push_str(&membership("enum", rule, value)),
            (rule, _) => scope.uncovered(&format!("enum.{rule}")),
        }
    }
    code
}

fn membership(set_name: &str, rule: &str, value: &Value) -> String {
    let values = value.as_list().unwrap_or_default();
    let literals: Vec<_> = values.iter().map(literal).collect();
    let shown: Vec<_> = values.iter().map(shown).collect();
    let (not, words) = if rule == "in" { ("!", "one of") } else { ("", "none of") };
    check(
        &format!("{not}[{}].contains(value)", literals.join(", ")),
        &format!("{set_name}.{rule}"),
        &format!("must be {words} {}", shown.join(", ")),
    )
}

/// One check for both ends, with protovalidate's id for the pair. An upper end
/// below the lower one means what lies outside of the two.
fn range(set_name: &str, lower: Option<Bound<'_>>, upper: Option<Bound<'_>>) -> String {
    let end = |bound: &Bound<'_>, included: bool| {
        let kind = if included { "Included" } else { "Excluded" };
        format!("::core::ops::Bound::{kind}({})", literal(&bound.value))
    };
    let open = || "::core::ops::Bound::Unbounded".to_owned();
    let contains = |from: String, to: String| {
        format!("::core::ops::RangeBounds::contains(&({from}, {to}), value)")
    };
    match (lower, upper) {
        (None, None) => String::new(),
        (Some(lower), None) => {
            let broken = format!("!{}", contains(end(&lower, lower.included()), open()));
            let id = format!("{set_name}.{}", lower.rule);
            check(&broken, &id, &format!("must be {}", lower.phrase()))
        }
        (None, Some(upper)) => {
            let broken = format!("!{}", contains(open(), end(&upper, upper.included())));
            let id = format!("{set_name}.{}", upper.rule);
            check(&broken, &id, &format!("must be {}", upper.phrase()))
        }
        (Some(lower), Some(upper)) if less(&upper.value, &lower.value) => {
            // NaN lies in no range, and breaks the rule all the same.
            let nan = if matches!(lower.value, Value::F32(_) | Value::F64(_)) {
                "value.is_nan() || "
            } else {
                ""
            };
            let (from, to) = (end(&upper, !upper.included()), end(&lower, !lower.included()));
            let broken = format!("{nan}{}", contains(from, to));
            let id = format!("{set_name}.{}_{}_exclusive", lower.rule, upper.rule);
            check(&broken, &id, &format!("must be {} or {}", lower.phrase(), upper.phrase()))
        }
        (Some(lower), Some(upper)) => {
            let (from, to) = (end(&lower, lower.included()), end(&upper, upper.included()));
            let broken = format!("!{}", contains(from, to));
            let id = format!("{set_name}.{}_{}", lower.rule, upper.rule);
            check(&broken, &id, &format!("must be {} and {}", lower.phrase(), upper.phrase()))
        }
    }
}

fn less(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::I32(one), Value::I32(other)) => one < other,
        (Value::I64(one), Value::I64(other)) => one < other,
        (Value::U32(one), Value::U32(other)) => one < other,
        (Value::U64(one), Value::U64(other)) => one < other,
        (Value::F32(one), Value::F32(other)) => one < other,
        (Value::F64(one), Value::F64(other)) => one < other,
        _ => false,
    }
}

/// The value as a Rust literal.
fn literal(value: &Value) -> String {
    match value {
        Value::I32(number) | Value::EnumNumber(number) => format!("{number}_i32"),
        Value::I64(number) => format!("{number}_i64"),
        Value::U32(number) => format!("{number}_u32"),
        Value::U64(number) => format!("{number}_u64"),
        Value::F32(number) if number.is_finite() => format!("{number:?}_f32"),
        Value::F64(number) if number.is_finite() => format!("{number:?}_f64"),
        // Infinities and NaN have no literals.
        Value::F32(number) => format!("f32::from_bits({})", number.to_bits()),
        Value::F64(number) => format!("f64::from_bits({})", number.to_bits()),
        _ => "0".to_owned(),
    }
}

/// The value for a person.
fn shown(value: &Value) -> String {
    match value {
        Value::I32(number) | Value::EnumNumber(number) => number.to_string(),
        Value::I64(number) => number.to_string(),
        Value::U32(number) => number.to_string(),
        Value::U64(number) => number.to_string(),
        Value::F32(number) => number.to_string(),
        Value::F64(number) => number.to_string(),
        _ => String::new(),
    }
}
