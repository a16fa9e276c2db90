//! Reads the options of our own: rules on RPCs, resources on services, and
//! protobuf's `debug_redact` on fields. Says what is written there, not
//! whether it makes sense.

use prost::Message as _;
use prost_reflect::{
    DynamicMessage, ExtensionDescriptor, FieldDescriptor, MethodDescriptor, ServiceDescriptor,
    Value,
};

/// `countersign.policy.v1.Rule`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Rule {
    #[prost(oneof = "Kind", tags = "1, 2, 3")]
    pub(crate) kind: Option<Kind>,
    #[prost(message, optional, tag = "4")]
    pub(crate) max_staleness: Option<prost_types::Duration>,
}

/// The kinds of rule.
#[derive(Clone, PartialEq, prost::Oneof)]
pub(crate) enum Kind {
    #[prost(message, tag = "1")]
    Public(()),
    #[prost(message, tag = "2")]
    Policy(Policy),
    #[prost(message, tag = "3")]
    List(List),
}

/// `countersign.policy.v1.List`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct List {
    #[prost(string, tag = "1")]
    pub(crate) resource: String,
}

/// `countersign.policy.v1.Policy`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Policy {
    #[prost(string, tag = "1")]
    pub(crate) resource: String,
    #[prost(string, tag = "2")]
    pub(crate) id_field: String,
}

/// `countersign.policy.v1.Resource`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Resource {
    #[prost(string, tag = "1")]
    pub(crate) kind: String,
    #[prost(message, repeated, tag = "2")]
    pub(crate) attributes: Vec<Attribute>,
}

/// `countersign.policy.v1.Attribute`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Attribute {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(int32, tag = "2")]
    pub(crate) kind: i32,
}

impl Attribute {
    /// The Cedar type of the attribute, from `countersign.policy.v1.AttributeType`.
    pub(crate) fn cedar_type(&self) -> Option<&'static str> {
        match self.kind {
            1 => Some("User"),
            2 => Some("String"),
            3 => Some("Long"),
            4 => Some("Bool"),
            5 => Some("Set<String>"),
            _ => None,
        }
    }
}

/// The rule of an RPC, if it has one.
pub(crate) fn rule(rpc: &MethodDescriptor) -> Option<Rule> {
    let extension = rpc.parent_pool().get_extension_by_name("countersign.policy.v1.rule")?;
    let options = rpc.options();
    if !options.has_extension(&extension) {
        return None;
    }
    decode(&options.get_extension(&extension))
}

/// The resource types that a service declares.
pub(crate) fn resources(service: &ServiceDescriptor) -> Vec<Resource> {
    let pool = service.parent_pool();
    let Some(extension) = pool.get_extension_by_name("countersign.policy.v1.resource") else {
        return Vec::new();
    };
    let options = service.options();
    let value = options.get_extension(&extension);
    value.as_list().into_iter().flatten().filter_map(decode).collect()
}

/// Whether the field is annotated to be kept out of debug output
/// (`google.protobuf.FieldOptions.debug_redact`).
pub(crate) fn redacted(field: &FieldDescriptor) -> bool {
    let options = field.options();
    let value = options.get_field_by_name("debug_redact");
    value.and_then(|value| value.as_bool()).unwrap_or(false)
}

/// The message that an extension holds in these options, if it is set.
pub(crate) fn extension(
    options: &DynamicMessage,
    extension: Option<ExtensionDescriptor>,
) -> Option<DynamicMessage> {
    let extension = extension?;
    if !options.has_extension(&extension) {
        return None;
    }
    options.get_extension(&extension).as_message().cloned()
}

fn decode<M: prost::Message + Default>(value: &Value) -> Option<M> {
    M::decode(value.as_message()?.encode_to_vec().as_slice()).ok()
}
