//! Debug output that keeps fields with `debug_redact` to itself. prost derives
//! `Debug` for all messages but the ones named here.

use std::fmt::Write as _;

use prost_reflect::{EnumDescriptor, FieldDescriptor, MessageDescriptor};

use crate::{compile::Compiled, names, options};

/// What stands in the place of a field that is kept back.
const HIDDEN: &str = "&::core::format_args!(\"hidden\")";

/// The messages with fields to keep back.
pub(crate) fn redacted(compiled: &Compiled) -> Vec<MessageDescriptor> {
    let messages = compiled.files().flat_map(|file| Compiled::messages(&file));
    messages.filter(|message| message.fields().any(|field| options::redacted(&field))).collect()
}

/// The `Debug` implementations of the messages of one package.
///
/// prost leaves `Debug` out of everything inside such a message as well, so
/// its oneofs, enums and nested messages get theirs here too.
pub(crate) fn implementations(messages: &[MessageDescriptor], package: &str) -> String {
    let mut text = String::new();
    for message in messages {
        let inside_another = messages.iter().any(|other| encloses(other, message));
        if message.package_name() == package && !inside_another {
            append(message, &mut text);
        }
    }
    text
}

fn encloses(outer: &MessageDescriptor, inner: &MessageDescriptor) -> bool {
    inner.parent_message().is_some_and(|parent| parent == *outer || encloses(outer, &parent))
}

fn append(message: &MessageDescriptor, text: &mut String) {
    append_message(message, text);
    for oneof in message.oneofs().filter(|oneof| !oneof.is_synthetic()) {
        let fields: Vec<_> = oneof.fields().collect();
        append_oneof(&names::oneof(&oneof), &fields, text);
    }
    for inner in message.child_enums() {
        append_enum(message, &inner, text);
    }
    for inner in message.child_messages().filter(|inner| !inner.is_map_entry()) {
        append(&inner, text);
    }
}

fn append_message(message: &MessageDescriptor, text: &mut String) {
    let mut shown = String::new();
    let plain =
        |field: &FieldDescriptor| field.containing_oneof().is_none_or(|oneof| oneof.is_synthetic());
    for field in message.fields().filter(plain) {
        let rust = names::snake(field.name());
        let value = match options::redacted(&field) {
            true => HIDDEN.to_owned(),
            false => format!("&self.{rust}"),
        };
        let _ = write!(shown, ".field({:?}, {value})", field.name());
    }
    for oneof in message.oneofs().filter(|oneof| !oneof.is_synthetic()) {
        let _ = write!(shown, ".field({:?}, &self.{})", oneof.name(), names::snake(oneof.name()));
    }
    let body = format!("f.debug_struct({:?}){shown}.finish()", message.name());
    implement(&names::message(message), &body, text);
}

fn append_oneof(path: &str, fields: &[FieldDescriptor], text: &mut String) {
    let mut arms = String::new();
    for field in fields {
        let variant = names::camel(field.name());
        let (binding, value) = match options::redacted(field) {
            true => ("_", HIDDEN),
            false => ("value", "value"),
        };
        let _ = write!(
            arms,
            "Self::{variant}({binding}) => f.debug_tuple({variant:?}).field({value}).finish(),"
        );
    }
    implement(path, &format!("match self {{ {arms} }}"), text);
}

fn append_enum(parent: &MessageDescriptor, inner: &EnumDescriptor, text: &mut String) {
    let module = names::snake(parent.name());
    let path = format!("{}{module}::{}", names::parents(parent), names::camel(inner.name()));
    implement(&path, "f.write_str(self.as_str_name())", text);
}

fn implement(path: &str, body: &str, text: &mut String) {
    let _ = write!(
        text,
        "impl ::core::fmt::Debug for {path} {{
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {{
                {body}
            }}
        }}\n"
    );
}
