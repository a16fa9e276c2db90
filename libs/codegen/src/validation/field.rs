//! One field: whether its rules apply (presence, `required`, `ignore`).

use prost_reflect::{Cardinality, FieldDescriptor, OneofDescriptor};

use super::{
    collection,
    constraints::{self, Constraints, Ignore},
    scope::{Scope, check},
    value::{Zero, of_type},
};
use crate::{compile::Compiled, names, options};

/// The code that checks a field of `self`.
pub(super) fn checks(
    field: &FieldDescriptor,
    compiled: &Compiled,
    scope: &mut Scope<'_>,
) -> String {
    let constraints = Constraints::of(field, scope);
    if constraints.ignore == Ignore::Always {
        return String::new();
    }
    if field.cardinality() == Cardinality::Required && has_rules(field) {
        scope.wrong("has rules and is a required field of proto2: use proto3");
        return String::new();
    }
    let (inner, zero) = if field.is_map() {
        (collection::map(field, &constraints, compiled, scope), Some(Zero::EMPTY))
    } else if field.is_list() {
        (collection::list(field, &constraints, compiled, scope), Some(Zero::EMPTY))
    } else {
        (of_type(&field.kind(), &constraints, compiled, scope), Zero::of(&field.kind()))
    };
    if inner.is_empty() && !constraints.required {
        return String::new();
    }
    let ignored = zero.filter(|_| constraints.ignore == Ignore::Zero);
    let code = match (pattern(field), zero) {
        (Some(pattern), _) => with_presence(&pattern, &inner, constraints.required, ignored),
        (None, Some(zero)) => {
            let place = names::snake(field.name());
            without_presence(&place, &inner, constraints.required, zero, ignored)
        }
        // In proto3 every message has presence.
        (None, None) => return String::new(),
    };
    format!("{{ let path = &path.field({:?}); {code} }}\n", field.name())
}

/// The field of `self` that holds a field with presence, and the pattern that
/// it matches when it is set.
struct Pattern {
    place: String,
    some: String,
}

fn pattern(field: &FieldDescriptor) -> Option<Pattern> {
    match field.containing_oneof() {
        Some(oneof) if !oneof.is_synthetic() => {
            let variant = format!("{}::{}", names::oneof(&oneof), names::camel(field.name()));
            let place = names::snake(oneof.name());
            Some(Pattern { place, some: format!("Some({variant}(value))") })
        }
        _ if field.supports_presence() => {
            Some(Pattern { place: names::snake(field.name()), some: "Some(value)".to_owned() })
        }
        _ => None,
    }
}

fn with_presence(pattern: &Pattern, inner: &str, required: bool, ignored: Option<Zero>) -> String {
    let Pattern { place, some } = pattern;
    let missing = if required { check("true", "required", "must be set") } else { String::new() };
    match ignored {
        _ if inner.is_empty() && some == "Some(value)" => {
            check(&format!("self.{place}.is_none()"), "required", "must be set")
        }
        _ if inner.is_empty() => {
            let set = some.replace("(value)", "(_)");
            let broken = format!("!matches!(&self.{place}, {set})");
            check(&broken, "required", "must be set")
        }
        Some(zero) => format!(
            "match &self.{place} {{ {some} if {} => {{}} {some} => {{ {inner} }} _ => {{ {missing} }} }}",
            zero.is
        ),
        None if required => {
            format!("if let {some} = &self.{place} {{ {inner} }} else {{ {missing} }}")
        }
        None => format!("if let {some} = &self.{place} {{ {inner} }}"),
    }
}

fn without_presence(
    place: &str,
    inner: &str,
    required: bool,
    zero: Zero,
    ignored: Option<Zero>,
) -> String {
    let value = format!("let value = &self.{place};");
    match ignored {
        _ if required && inner.is_empty() => {
            format!("{value} {}", check(zero.is, "required", "must be set"))
        }
        _ if required => {
            let missing = check("true", "required", "must be set");
            format!("{value} if {} {{ {missing} }} else {{ {inner} }}", zero.is)
        }
        Some(zero) => format!("{value} if {} {{ {inner} }}", zero.is_not),
        None => format!("{value} {inner}"),
    }
}

/// Whether anything is annotated at the field.
pub(super) fn has_rules(field: &FieldDescriptor) -> bool {
    constraints::annotation(field).is_some_and(|rules| rules.fields().next().is_some())
}

/// Whether one field of the oneof has to be set.
pub(super) fn oneof_required(oneof: &OneofDescriptor) -> bool {
    let extension = oneof.parent_pool().get_extension_by_name("buf.validate.oneof");
    let rules = options::extension(&oneof.options(), extension);
    let required = rules.as_ref().and_then(|rules| rules.get_field_by_name("required"));
    required.and_then(|value| value.as_bool()).unwrap_or(false)
}
