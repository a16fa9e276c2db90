//! A request that nobody has made: who, which RPC, about what.

use std::collections::{BTreeMap, HashMap};

use cedar_policy::{
    Entities, Entity, EntityId, EntityTypeName, EntityUid, Request, RestrictedExpression,
};
use countersign_types::Tenant;
use serde_json::{Map, Value, json};

use super::{
    Desk,
    shape::{Attribute, uid},
};
use crate::{Error, PeerCertificate, context};

/// Callers have one, and most resources.
const TENANT: &str = "tenant";
/// What the guard itself knows about a caller, and what it is where nothing is
/// said.
const CALLER: [(&str, Known); 4] = [
    ("authentication_time", Known::Zero),
    ("session_age", Known::Zero),
    ("factors", Known::Password),
    (TENANT, Known::Default),
];

#[derive(Clone, Copy)]
enum Known {
    Zero,
    /// How everybody logs in who is not said to do otherwise.
    Password,
    /// The tenant of accounts that are given none.
    Default,
}

/// Who calls which RPC about what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Question {
    /// The RPC; its end is enough where no other ends like it.
    pub rpc: String,
    /// Who calls.
    pub principal: Party,
    /// What the call is about. Its id may be left out where the resource is the
    /// service itself.
    pub resource: Party,
    /// The names in the certificate that the connection has, such as a SPIFFE id.
    pub peer: Vec<String>,
}

/// An entity, as a table or a command line describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Party {
    /// Its id.
    pub id: String,
    /// Its roles, where it is a caller.
    pub roles: Vec<String>,
    /// Its attributes: numbers, texts, truths and lists of them. An entity is
    /// named by its id.
    pub attributes: Map<String, Value>,
}

/// A question as Cedar takes it.
pub(super) struct Asked {
    pub(super) action: EntityUid,
    pub(super) request: Request,
    pub(super) entities: Entities,
}

impl Desk {
    /// The RPCs on which policies decide.
    #[must_use]
    pub fn rpcs(&self) -> Vec<String> {
        let mut rpcs: Vec<_> =
            self.actions().map(|action| action.id().unescaped().to_owned()).collect();
        rpcs.sort();
        rpcs
    }

    /// The actions that are RPCs: groups of actions apply to nothing.
    pub(super) fn actions(&self) -> impl Iterator<Item = &EntityUid> {
        self.schema.whole().actions().filter(|action| self.resource_type(action).is_some())
    }

    pub(super) fn resource_type(&self, action: &EntityUid) -> Option<EntityTypeName> {
        self.schema.whole().resources_for_action(action)?.next().cloned()
    }

    pub(super) fn principal_type(&self, action: &EntityUid) -> Option<EntityTypeName> {
        self.schema.whole().principals_for_action(action)?.next().cloned()
    }

    /// The action that a name means.
    pub(super) fn action(&self, rpc: &str) -> Result<&EntityUid, Error> {
        let ends_so = |action: &&EntityUid| {
            let rest = action.id().unescaped().strip_suffix(rpc);
            rest.is_some_and(|rest| rest.is_empty() || rest.ends_with(['.', '/']))
        };
        let found: Vec<_> = self.actions().filter(ends_so).collect();
        match found.as_slice() {
            [only] => Ok(only),
            [] => Err(Error::Question(format!(
                "policies decide on no RPC {rpc:?}: there are {}",
                self.rpcs().join(", ")
            ))),
            _ => found
                .iter()
                .find(|action| action.id().unescaped() == rpc)
                .copied()
                .ok_or_else(|| Error::Question(format!("more than one RPC ends with {rpc:?}"))),
        }
    }

    /// The question as Cedar takes it.
    pub(super) fn ask(&self, question: &Question) -> Result<Asked, Error> {
        let action = self.action(&question.rpc)?.clone();
        let types = self.principal_type(&action).zip(self.resource_type(&action));
        let (who, what) = types
            .ok_or_else(|| Error::Question(format!("{action} applies to nothing in the schema")))?;
        let mut principal = question.principal.clone();
        for (name, known) in CALLER {
            let value = match known {
                Known::Zero => Value::from(0),
                Known::Password => json!(["pwd"]),
                Known::Default => Value::from(Tenant::default().to_string()),
            };
            if self.shapes.attributes(&who).contains_key(name) {
                principal.attributes.entry(name).or_insert(value);
            }
        }
        let mut resource = question.resource.clone();
        if self.shapes.attributes(&what).contains_key(TENANT) {
            let tenant = Value::from(Tenant::default().to_string());
            resource.attributes.entry(TENANT).or_insert(tenant);
        }
        if resource.id.is_empty() && self.shapes.attributes(&what).is_empty() {
            let rpc = action.id().unescaped();
            rpc.split_once('/').map_or(rpc, |(service, _)| service).clone_into(&mut resource.id);
        }
        let said = |party: &str, reason: String| Error::Question(format!("the {party} {reason}"));
        let who = self.entity(&who, &principal).map_err(|reason| said("caller", reason))?;
        let what = self.entity(&what, &resource).map_err(|reason| said("resource", reason))?;
        let failed = |error: String| Error::Question(error);
        let peer = PeerCertificate { names: question.peer.as_slice().into() };
        let context = context::of(Some(&peer));
        let context = context.map_err(|_| failed("the names of the peer are none".to_owned()))?;
        let request = Request::new(who.uid(), action.clone(), what.uid(), context, None);
        let entities = self.schema.actions().clone().add_entities([who, what], None);
        Ok(Asked {
            action,
            request: request.map_err(|error| failed(error.to_string()))?,
            entities: entities.map_err(|error| failed(error.to_string()))?,
        })
    }

    fn entity(&self, kind: &EntityTypeName, party: &Party) -> Result<Entity, String> {
        if party.id.is_empty() {
            return Err("has no id".to_owned());
        }
        let declared = self.shapes.attributes(kind);
        let attributes = attributes(kind, &declared, &party.attributes)?;
        let parents: Result<_, _> = party.roles.iter().map(|role| uid("Role", role)).collect();
        let id = EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(&party.id));
        Entity::new(id, attributes, parents?).map_err(|error| error.to_string())
    }
}

fn attributes(
    kind: &EntityTypeName,
    declared: &BTreeMap<String, Attribute>,
    given: &Map<String, Value>,
) -> Result<HashMap<String, RestrictedExpression>, String> {
    let missing = declared
        .iter()
        .find(|(name, attribute)| attribute.required && !given.contains_key(name.as_str()));
    if let Some((name, _)) = missing {
        return Err(format!("needs the attribute `{name}`: every {kind} has it"));
    }
    let expression = |(name, value): (&String, &Value)| match declared.get(name) {
        Some(attribute) => match attribute.kind.expression(value) {
            Ok(expression) => Ok((name.clone(), expression)),
            Err(reason) => Err(format!("has a wrong value: its attribute `{name}` {reason}")),
        },
        None => Err(format!("has an attribute `{name}`, and no {kind} has that")),
    };
    given.iter().map(expression).collect()
}
