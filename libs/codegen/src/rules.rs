//! The table of rules: every RPC has one, and what it names exists. Knows
//! nothing of Rust beyond the expression that reads a resource's id.

use std::{collections::BTreeMap, ops::RangeInclusive, time::Duration};

use prost_reflect::{Kind as FieldKind, MessageDescriptor, MethodDescriptor};

use crate::{
    compile::Compiled,
    error::Problems,
    names,
    options::{self, Attribute, Kind, Policy},
};

/// Types that the generated Cedar schema has anyway.
const RESERVED: [&str; 4] = ["User", "Role", "Service", "CallContext"];
/// What `max_staleness` can be: while all is well, news are under 3 s old.
const STALENESS: RangeInclusive<Duration> = Duration::from_secs(5)..=Duration::from_secs(3600);

/// What the protos say about access.
#[derive(Default)]
pub(crate) struct Contract {
    /// By full name, such as `countersign.user.v1.ProfileService/GetProfile`.
    pub(crate) rpcs: BTreeMap<String, Rpc>,
    /// By Cedar entity type.
    pub(crate) resources: BTreeMap<String, Vec<Attribute>>,
}

/// The rule of an RPC.
pub(crate) struct Rpc {
    pub(crate) access: Access,
    /// How old the news of revocations may be, where the rule says so.
    pub(crate) max_staleness: Option<Duration>,
    /// Whether its client streams requests.
    pub(crate) streams_requests: bool,
}

/// Who may call an RPC.
pub(crate) enum Access {
    /// Anybody.
    Public,
    /// The policies decide over the service as the resource.
    Service,
    /// The policies decide over a resource.
    Resource {
        /// Its Cedar entity type.
        kind: String,
        /// A Rust expression for its id, from a reference `message` to the request.
        id: String,
    },
    /// The policies decide which resources of this Cedar entity type are listed.
    List { kind: String },
}

/// Reads the rules of all services.
pub(crate) fn read(compiled: &Compiled, problems: &mut Problems) -> Contract {
    let mut contract = Contract::default();
    for file in compiled.files() {
        for service in file.services() {
            for resource in options::resources(&service) {
                let mut wrong = |reason| problems.add(file.name(), service.name(), reason);
                let kind = &resource.kind;
                check_resource(&resource, &mut wrong);
                if contract.resources.insert(kind.clone(), resource.attributes).is_some() {
                    wrong(format!("the resource {kind:?} is declared twice"));
                }
            }
        }
    }
    for file in compiled.files() {
        for service in file.services() {
            for rpc in service.methods() {
                match read_rule(&rpc, compiled, &contract) {
                    Ok(rule) => {
                        let name = format!("{}/{}", service.full_name(), rpc.name());
                        contract.rpcs.insert(name, rule);
                    }
                    Err(reason) => {
                        let place = format!("{}.{}", service.name(), rpc.name());
                        problems.add(file.name(), place, reason);
                    }
                }
            }
        }
    }
    contract
}

fn check_resource(resource: &options::Resource, wrong: &mut impl FnMut(String)) {
    let kind = &resource.kind;
    if !is_identifier(kind) || !kind.starts_with(|first: char| first.is_ascii_uppercase()) {
        wrong(format!("the resource type {kind:?} is not a name such as \"Profile\""));
    }
    if RESERVED.contains(&kind.as_str()) {
        wrong(format!("the resource type {kind:?} is built in and can not be declared"));
    }
    for (index, attribute) in resource.attributes.iter().enumerate() {
        let name = &attribute.name;
        if !is_identifier(name) {
            wrong(format!("the attribute {name:?} of {kind:?} is not a name such as \"owner\""));
        }
        if resource.attributes.iter().skip(index + 1).any(|other| other.name == *name) {
            wrong(format!("the attribute {name:?} of {kind:?} is declared twice"));
        }
        if attribute.cedar_type().is_none() {
            wrong(format!("the attribute {name:?} of {kind:?} has no type"));
        }
    }
}

fn read_rule(
    rpc: &MethodDescriptor,
    compiled: &Compiled,
    contract: &Contract,
) -> Result<Rpc, String> {
    if !compiled.owns(&rpc.input()) {
        let request = rpc.input().full_name().to_owned();
        return Err(format!("takes {request}, which is not a message of these contracts"));
    }
    let Some(rule) = options::rule(rpc) else {
        return Err("has no rule: add option (countersign.policy.v1.rule)".to_owned());
    };
    let max_staleness = rule.max_staleness.map(staleness).transpose()?;
    let access = access(rpc, rule.kind, contract)?;
    if matches!(access, Access::Public) && max_staleness.is_some() {
        return Err("its rule has a max_staleness, and a public RPC reads no token".to_owned());
    }
    Ok(Rpc { access, max_staleness, streams_requests: rpc.is_client_streaming() })
}

fn staleness(named: prost_types::Duration) -> Result<Duration, String> {
    let limit = Duration::try_from(named).ok().filter(|limit| STALENESS.contains(limit));
    limit.ok_or_else(|| "its rule has a max_staleness that is not 5 seconds to 1 hour".to_owned())
}

fn access(
    rpc: &MethodDescriptor,
    kind: Option<Kind>,
    contract: &Contract,
) -> Result<Access, String> {
    let Policy { resource, id_field } = match kind {
        Some(Kind::Public(())) => return Ok(Access::Public),
        Some(Kind::List(list)) => return listed(list.resource, contract),
        Some(Kind::Policy(policy)) => policy,
        None => return Err("its rule is none of public, policy and list".to_owned()),
    };
    match (resource.as_str(), id_field.as_str()) {
        ("", "") => Ok(Access::Service),
        ("", _) => Err("its rule names an id_field and no resource".to_owned()),
        (_, "") => Err("its rule names a resource and no id_field".to_owned()),
        _ if !contract.resources.contains_key(&resource) => {
            Err(format!("rule names the resource {resource:?}, which no service declares"))
        }
        (_, path) => Ok(Access::Resource { id: id_expression(rpc.input(), path)?, kind: resource }),
    }
}

fn listed(kind: String, contract: &Contract) -> Result<Access, String> {
    match contract.resources.contains_key(&kind) {
        true => Ok(Access::List { kind }),
        false => Err(format!("rule lists the resource {kind:?}, which no service declares")),
    }
}

/// Follows a dotted path through singular messages to a string field.
fn id_expression(request: MessageDescriptor, path: &str) -> Result<String, String> {
    let parts: Vec<&str> = path.split('.').collect();
    let Some((last, parents)) = parts.split_last() else {
        return Err("rule names an empty id_field".to_owned());
    };
    let mut message = request;
    let mut expression = "Some(message)".to_owned();
    for part in parents {
        let field = field(&message, part)?;
        let FieldKind::Message(inner) = field.kind() else {
            return Err(format!("rule follows the field {part:?}, which is not a message"));
        };
        let name = names::snake(part);
        expression = format!("{expression}.and_then(|message| message.{name}.as_ref())");
        message = inner;
    }
    let id = field(&message, last)?;
    if id.kind() != FieldKind::String {
        return Err(format!("rule names the field {path:?}, which is not a string"));
    }
    let name = names::snake(last);
    Ok(match (parents.is_empty(), id.supports_presence()) {
        (true, false) => format!("message.{name}.as_str()"),
        (true, true) => format!("message.{name}.as_deref().unwrap_or_default()"),
        (false, false) => format!("{expression}.map_or(\"\", |message| message.{name}.as_str())"),
        (false, true) => {
            format!(
                "{expression}.and_then(|message| message.{name}.as_deref()).unwrap_or_default()"
            )
        }
    })
}

fn field(
    message: &MessageDescriptor,
    name: &str,
) -> Result<prost_reflect::FieldDescriptor, String> {
    let Some(field) = message.get_field_by_name(name) else {
        return Err(format!(
            "rule names the field {name:?}, which {} does not have",
            message.name()
        ));
    };
    let in_oneof = field.containing_oneof().is_some_and(|oneof| !oneof.is_synthetic());
    if field.is_list() || field.is_map() || in_oneof {
        return Err(format!("rule names the field {name:?}, which is repeated or part of a oneof"));
    }
    Ok(field)
}

fn is_identifier(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}
