//! Validation from protovalidate's annotations: an implementation of
//! `countersign_types::Validate` for every message.
//!
//! The meaning of the rules is protovalidate's (its `validate.proto`): a field
//! without presence obeys its rules even at its zero value, one with presence
//! only when it is set. A rule that is not covered here does not build.
//!
//! The written code speaks of three variables: `value`, a reference to what is
//! checked; `path`, where it stands; and `violations`.

mod collection;
mod constraints;
mod field;
mod number;
mod scope;
mod text;
mod value;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use prost_reflect::{FileDescriptor, Kind, MessageDescriptor};

use self::scope::{Patterns, Scope};
use crate::{compile::Compiled, error::Problems, names, options};

/// The implementations, by package.
pub(crate) struct Implementations(BTreeMap<String, String>);

impl Implementations {
    pub(crate) fn of_package(&self, package: &str) -> String {
        self.0.get(package).cloned().unwrap_or_default()
    }
}

/// Writes the implementations for all messages for which code is written.
pub(crate) fn implementations(compiled: &Compiled, problems: &mut Problems) -> Implementations {
    let mut texts = BTreeMap::new();
    let mut patterns = BTreeMap::<String, Patterns>::new();
    for file in compiled.files() {
        let package = file.package_name().to_owned();
        let patterns = patterns.entry(package.clone()).or_default();
        let text: &mut String = texts.entry(package).or_default();
        for message in Compiled::messages(&file) {
            let body = body(compiled, &file, &message, patterns, problems);
            append(&names::message(&message), &body, text);
        }
    }
    for (package, patterns) in patterns {
        if let Some(text) = texts.get_mut(&package) {
            text.push_str(&patterns.statics());
            if text.contains("refuse(") {
                text.push_str(scope::REFUSE);
            }
        }
    }
    Implementations(texts)
}

fn body(
    compiled: &Compiled,
    file: &FileDescriptor,
    message: &MessageDescriptor,
    patterns: &mut Patterns,
    problems: &mut Problems,
) -> String {
    let mut scope = Scope { file: file.name(), place: message_place(message), problems, patterns };
    if has_message_rules(message) {
        scope.wrong("the generator does not cover rules on messages (buf.validate.message)");
    }
    let mut body = String::new();
    for field in message.fields() {
        scope.place = format!("{}.{}", message_place(message), field.name());
        body.push_str(&field::checks(&field, compiled, &mut scope));
    }
    for oneof in message.oneofs().filter(|oneof| !oneof.is_synthetic()) {
        if field::oneof_required(&oneof) {
            let (field, name) = (names::snake(oneof.name()), oneof.name());
            let broken = format!("self.{field}.is_none()");
            let check = scope::check(&broken, "required", "must have one of its fields set");
            let _ = writeln!(body, "{{ let path = &path.field({name:?}); {check} }}");
        }
    }
    body
}

fn append(name: &str, body: &str, text: &mut String) {
    // A message without rules names no parameters, so that none is unused.
    let (path, violations) = if body.is_empty() { ("_", "_") } else { ("path", "violations") };
    let _ = write!(
        text,
        "impl ::countersign_types::Validate for {name} {{
            fn validate_at(
                &self,
                {path}: &::countersign_types::FieldPath<'_>,
                {violations}: &mut Vec<::countersign_types::Violation>,
            ) {{
                {body}
            }}
        }}\n"
    );
}

/// Whether the message or one that it holds has rules to obey.
fn reaches_rules(
    message: &MessageDescriptor,
    compiled: &Compiled,
    seen: &mut BTreeSet<String>,
) -> bool {
    if !compiled.owns(message) || !seen.insert(message.full_name().to_owned()) {
        return false;
    }
    message.oneofs().any(|oneof| field::oneof_required(&oneof))
        || message.fields().any(|field| {
            field::has_rules(&field)
                || match field.kind() {
                    Kind::Message(entry) if field.is_map() => {
                        match entry.map_entry_value_field().kind() {
                            Kind::Message(inner) => reaches_rules(&inner, compiled, seen),
                            _ => false,
                        }
                    }
                    Kind::Message(inner) => reaches_rules(&inner, compiled, seen),
                    _ => false,
                }
        })
}

fn has_message_rules(message: &MessageDescriptor) -> bool {
    let rules = message.parent_pool().get_extension_by_name("buf.validate.message");
    options::extension(&message.options(), rules)
        .is_some_and(|rules| rules.fields().next().is_some())
}

/// `Outer.Inner`, without the package.
fn message_place(message: &MessageDescriptor) -> String {
    match message.parent_message() {
        Some(parent) => format!("{}.{}", message_place(&parent), message.name()),
        None => message.name().to_owned(),
    }
}
