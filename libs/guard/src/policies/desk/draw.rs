//! Requests made up from the schema, at the edges that policies speak of: each
//! role and id that one names, each number with its neighbours, owner or not.

use std::collections::{BTreeMap, BTreeSet};

use cedar_policy::EntityUid;
use serde_json::{Map, Value, json};

use super::{
    Desk, Party, Question,
    shape::{Attribute, Kind},
};
use crate::context;

/// Ids of nobody and nothing in particular.
const CALLER: &str = "caller";
const SOMEBODY: &str = "somebody-else";
const THING: &str = "thing";

/// What policies speak of, by type.
#[derive(Default)]
pub(super) struct Words {
    numbers: BTreeSet<i64>,
    texts: BTreeSet<String>,
    /// Types and ids of entities.
    entities: BTreeSet<(String, String)>,
    attributes: BTreeSet<String>,
}

/// All requests of one RPC that can be made up from these choices.
pub(super) struct Draw {
    rpc: String,
    principal: Choices,
    resource: Choices,
    /// The names in the certificate of the connection.
    peers: Vec<Vec<String>>,
}

/// What can be chosen for one entity.
struct Choices {
    ids: Vec<String>,
    roles: Vec<Vec<String>>,
    /// Each attribute with its values; `None` where it is left out.
    attributes: Vec<(String, Vec<Option<Value>>)>,
}

impl Words {
    /// Reads the policies of an RPC.
    pub(super) fn of(desk: &Desk, action: &EntityUid) -> Self {
        let mut words = Self::default();
        for policy in desk.index.of(action) {
            if let Ok(written) = policy.to_json() {
                words.read(&written);
            }
        }
        words
    }

    pub(super) fn and(mut self, other: Self) -> Self {
        self.numbers.extend(other.numbers);
        self.texts.extend(other.texts);
        self.entities.extend(other.entities);
        self.attributes.extend(other.attributes);
        self
    }

    fn read(&mut self, written: &Value) {
        match written {
            Value::Array(items) => items.iter().for_each(|item| self.read(item)),
            Value::Object(object) => {
                let text = |key: &str| object.get(key).and_then(Value::as_str);
                if let (Some(kind), Some(id)) = (text("type"), text("id")) {
                    self.entities.insert((kind.to_owned(), id.to_owned()));
                }
                if let Some(name) = text("attr") {
                    self.attributes.insert(name.to_owned());
                }
                for (key, value) in object {
                    match (key.as_str(), value) {
                        ("Value", Value::Number(number)) => self.numbers.extend(number.as_i64()),
                        ("Value", Value::String(text)) => drop(self.texts.insert(text.clone())),
                        ("pattern", Value::Array(parts)) => drop(self.texts.insert(like(parts))),
                        ("annotations", _) => {}
                        (_, value) => self.read(value),
                    }
                }
            }
            _ => {}
        }
    }

    fn ids(&self, kind: &str) -> Vec<String> {
        let named = self.entities.iter().filter(|(named, _)| named == kind);
        named.map(|(_, id)| id.clone()).collect()
    }

    /// Names of peers: none, and each text that a policy may mean one by.
    fn peers(&self) -> Vec<Vec<String>> {
        let mut peers = vec![Vec::new()];
        if self.attributes.contains(context::PEER) {
            peers.extend(self.texts.iter().map(|text| vec![text.clone()]));
        }
        peers
    }

    /// Values of an attribute that tell policies apart.
    fn values(&self, kind: &Kind) -> Vec<Value> {
        match kind {
            Kind::Long => {
                // A sign is an operator, and stands beside the number.
                let signed = |n: &i64| [Some(*n), n.checked_neg()];
                let beside = |n: i64| [n.checked_sub(1), Some(n), n.checked_add(1)];
                let numbers = self.numbers.iter().flat_map(signed).flatten();
                let numbers = numbers.flat_map(beside).flatten().chain([0]);
                numbers.collect::<BTreeSet<_>>().into_iter().map(Value::from).collect()
            }
            Kind::Text => {
                let texts = self.texts.iter().map(String::as_str).chain(["one", "another"]);
                texts.map(Value::from).collect()
            }
            Kind::Bool => vec![json!(false), json!(true)],
            Kind::Entity(kind) => {
                let ids = self.ids(kind).into_iter();
                let some = [CALLER, SOMEBODY].map(str::to_owned);
                some.into_iter().chain(ids).map(Value::from).collect()
            }
            Kind::Set(element) => {
                let each = self.values(element);
                let alone = each.iter().map(|value| json!([value]));
                [json!([])].into_iter().chain(alone).chain([json!(each)]).collect()
            }
            Kind::Other => Vec::new(),
        }
    }
}

impl Draw {
    pub(super) fn new(desk: &Desk, action: &EntityUid, words: &Words) -> Option<Self> {
        let (who, what) = (desk.principal_type(action)?, desk.resource_type(action)?);
        let named = words.ids("Role");
        let mut roles = vec![Vec::new()];
        roles.extend(named.iter().map(|role| vec![role.clone()]));
        if named.len() > 1 {
            roles.push(named);
        }
        let ids = |first: &str, kind: &str| [vec![first.to_owned()], words.ids(kind)].concat();
        let attributes = |shape| choices(words, shape);
        Some(Self {
            rpc: action.id().unescaped().to_owned(),
            principal: Choices {
                ids: ids(CALLER, &who.to_string()),
                roles,
                attributes: attributes(desk.shapes.attributes(&who)),
            },
            resource: Choices {
                ids: ids(THING, &what.to_string()),
                roles: vec![Vec::new()],
                attributes: attributes(desk.shapes.attributes(&what)),
            },
            peers: words.peers(),
        })
    }

    /// How many requests there are.
    pub(super) fn total(&self) -> u64 {
        let parties = self.principal.total().saturating_mul(self.resource.total());
        parties.saturating_mul(self.peers.len() as u64)
    }

    /// One of them.
    pub(super) fn question(&self, number: u64) -> Question {
        let mut rest = number;
        let principal = self.principal.party(&mut rest);
        let resource = self.resource.party(&mut rest);
        let peer = pick(&self.peers, &mut rest).cloned().unwrap_or_default();
        Question { rpc: self.rpc.clone(), principal, resource, peer }
    }
}

impl Choices {
    fn total(&self) -> u64 {
        let sizes = self.attributes.iter().map(|(_, values)| values.len());
        let sizes = sizes.chain([self.ids.len(), self.roles.len()]);
        sizes.fold(1, |total: u64, size| total.saturating_mul(size as u64))
    }

    fn party(&self, rest: &mut u64) -> Party {
        let id = pick(&self.ids, rest).cloned().unwrap_or_default();
        let roles = pick(&self.roles, rest).cloned().unwrap_or_default();
        let mut attributes = Map::new();
        for (name, values) in &self.attributes {
            if let Some(Some(value)) = pick(values, rest) {
                attributes.insert(name.clone(), value.clone());
            }
        }
        Party { id, roles, attributes }
    }
}

/// Takes one digit off a number, and with it one of the choices.
fn pick<'a, T>(choices: &'a [T], rest: &mut u64) -> Option<&'a T> {
    let base = u64::try_from(choices.len()).ok().filter(|base| *base > 0)?;
    let digit = usize::try_from(*rest % base).ok()?;
    *rest /= base;
    choices.get(digit)
}

/// An attribute that no policy reads has one value: others would change nothing.
fn choices(words: &Words, shape: BTreeMap<String, Attribute>) -> Vec<(String, Vec<Option<Value>>)> {
    let choice = |(name, attribute): (String, Attribute)| {
        let is_read = words.attributes.contains(&name);
        let mut values: Vec<_> = words.values(&attribute.kind).into_iter().map(Some).collect();
        if !is_read {
            values.truncate(1);
        } else if !attribute.required {
            values.push(None);
        }
        (name, values)
    };
    shape.into_iter().map(choice).collect()
}

/// A text that fits a pattern.
fn like(parts: &[Value]) -> String {
    parts.iter().filter_map(|part| part.get("Literal").and_then(Value::as_str)).collect()
}
