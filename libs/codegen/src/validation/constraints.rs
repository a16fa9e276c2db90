//! Reads `buf.validate.FieldRules`.

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind};

use super::scope::Scope;
use crate::options;

/// When the rules of a field are not looked at.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Ignore {
    /// When the field has presence and is not set.
    #[default]
    Unset,
    /// When the field has its zero value.
    Zero,
    /// Never looked at.
    Always,
}

/// The rules of one field, element, key or value.
#[derive(Default)]
pub(super) struct Constraints {
    pub(super) ignore: Ignore,
    pub(super) required: bool,
    /// The name of the set, such as `string`, and its rules.
    pub(super) set: Option<(String, DynamicMessage)>,
}

impl Constraints {
    /// The rules written at a field.
    pub(super) fn of(field: &FieldDescriptor, scope: &mut Scope<'_>) -> Self {
        match annotation(field) {
            Some(rules) => Self::read(&rules, scope),
            None => Self::default(),
        }
    }

    /// The rules written for the elements, keys or values of a field.
    pub(super) fn of_element(rules: &DynamicMessage, scope: &mut Scope<'_>) -> Self {
        let constraints = Self::read(rules, scope);
        if constraints.required {
            scope.wrong("required has no meaning for elements, keys and values");
        }
        constraints
    }

    fn read(rules: &DynamicMessage, scope: &mut Scope<'_>) -> Self {
        let mut read = Self::default();
        for (field, value) in rules.fields() {
            match (field.name(), value.as_message()) {
                ("required", _) => read.required = value.as_bool().unwrap_or(false),
                ("ignore", _) => match value.as_enum_number() {
                    Some(0) => {}
                    Some(1) => read.ignore = Ignore::Zero,
                    Some(3) => read.ignore = Ignore::Always,
                    _ => scope.uncovered("ignore with this value"),
                },
                (name, Some(set)) => {
                    for (extension, _) in set.extensions() {
                        scope.uncovered(extension.full_name());
                    }
                    read.set = Some((name.to_owned(), set.clone()));
                }
                (name, None) => scope.uncovered(name),
            }
        }
        read
    }
}

/// What is written at the field, if anything.
pub(super) fn annotation(field: &FieldDescriptor) -> Option<DynamicMessage> {
    let rules = field.parent_pool().get_extension_by_name("buf.validate.field");
    options::extension(&field.options(), rules)
}

/// The name of the set of rules for a type, as `FieldRules` has it.
pub(super) fn set_name(kind: &Kind) -> &'static str {
    match kind {
        Kind::Double => "double",
        Kind::Float => "float",
        Kind::Int32 => "int32",
        Kind::Int64 => "int64",
        Kind::Uint32 => "uint32",
        Kind::Uint64 => "uint64",
        Kind::Sint32 => "sint32",
        Kind::Sint64 => "sint64",
        Kind::Fixed32 => "fixed32",
        Kind::Fixed64 => "fixed64",
        Kind::Sfixed32 => "sfixed32",
        Kind::Sfixed64 => "sfixed64",
        Kind::Bool => "bool",
        Kind::String => "string",
        Kind::Bytes => "bytes",
        Kind::Enum(_) => "enum",
        Kind::Message(message) => match message.full_name() {
            "google.protobuf.Any" => "any",
            "google.protobuf.Duration" => "duration",
            "google.protobuf.FieldMask" => "field_mask",
            "google.protobuf.Timestamp" => "timestamp",
            _ => "message",
        },
    }
}
