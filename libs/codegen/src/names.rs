//! The Rust names that prost gives to the things of a proto. They have to agree
//! with prost-build, which does not export its own functions for them.

use heck::ToUpperCamelCase;
use prost_build::Module;
use prost_reflect::{MessageDescriptor, OneofDescriptor};

/// A field, method or module name.
pub(crate) fn snake(name: &str) -> String {
    // A package of one part: prost's own snake case, keywords escaped.
    Module::from_protobuf_package_name(name).parts().collect()
}

/// A type or variant name.
pub(crate) fn camel(name: &str) -> String {
    match name.to_upper_camel_case() {
        name if name == "Self" => "Self_".to_owned(),
        name if name.starts_with(|first: char| first.is_numeric()) => format!("_{name}"),
        name => name,
    }
}

/// The path of a message's type, seen from the module of its package.
pub(crate) fn message(message: &MessageDescriptor) -> String {
    format!("{}{}", parents(message), camel(message.name()))
}

/// The path of a oneof's enum, seen from the module of its package.
pub(crate) fn oneof(oneof: &OneofDescriptor) -> String {
    let message = oneof.parent_message();
    let name = camel(oneof.name());
    let taken = message.child_messages().any(|child| camel(child.name()) == name)
        || message.child_enums().any(|child| camel(child.name()) == name);
    let suffix = if taken { "OneOf" } else { "" };
    format!("{}{}::{name}{suffix}", parents(message), snake(message.name()))
}

/// The modules around a nested message, outermost first.
pub(crate) fn parents(message: &MessageDescriptor) -> String {
    match message.parent_message() {
        Some(parent) => format!("{}{}::", parents(&parent), snake(parent.name())),
        None => String::new(),
    }
}
