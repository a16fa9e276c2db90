//! A policy as a formula over call and resource, and what is left of it once the
//! call is known.

use countersign_types::Timestamp;

use super::condition::{Condition, Operator};
use crate::{PeerCertificate, Value, context, principal::Principal};

/// What a policy says, as far as a list can bear it.
pub(super) enum Formula {
    Constant(bool),
    All(Vec<Formula>),
    Any(Vec<Formula>),
    Not(Box<Formula>),
    /// The caller has the role.
    InRole(String),
    /// The caller has the attribute.
    Has(String),
    /// The peer has the attribute.
    PeerHas(String),
    /// The resource has the id.
    Id(String),
    Compare(Term, Operator, Term),
    /// The set, which is known once the caller is, holds the element.
    Contains(Term, Term),
}

/// What is compared.
pub(super) enum Term {
    Literal(Value),
    Caller,
    /// An attribute of the caller.
    OfCaller(String),
    /// An attribute of the peer.
    OfPeer(String),
    /// An attribute of the resource.
    OfResource(String),
}

/// What a call brings: all that is known before its resources are.
pub(crate) struct Asking<'a> {
    pub(crate) caller: &'a Principal,
    pub(crate) peer: Option<&'a PeerCertificate>,
    pub(crate) now: Timestamp,
}

/// A term once the caller is known.
enum Known {
    Value(Value),
    OfResource(String),
}

impl Formula {
    /// What is left to ask of the resource. `None` where the caller lacks an
    /// attribute that is read, which no valid policy does unasked.
    pub(super) fn resolve(&self, asking: &Asking<'_>) -> Option<Condition> {
        Some(match self {
            Self::Constant(truth) => Condition::of(*truth),
            // In order: what stands behind a `has` is read only where it holds.
            Self::All(parts) => {
                let mut all = Vec::new();
                for part in parts {
                    all.push(part.resolve(asking)?);
                    if all.last().is_some_and(Condition::is_never) {
                        break;
                    }
                }
                Condition::all(all)
            }
            Self::Any(parts) => {
                let mut any = Vec::new();
                for part in parts {
                    any.push(part.resolve(asking)?);
                    if any.last().is_some_and(Condition::is_always) {
                        break;
                    }
                }
                Condition::any(any)
            }
            Self::Not(inner) => inner.resolve(asking)?.negated(),
            Self::InRole(role) => Condition::of(asking.caller.claims.roles.contains(role)),
            Self::Has(name) => Condition::of(asking.of_caller(name).is_some()),
            Self::PeerHas(name) => Condition::of(asking.of_peer(name).is_some()),
            Self::Id(id) => Condition::Id(id.clone()),
            Self::Compare(left, operator, right) => {
                compare(left.known(asking)?, *operator, right.known(asking)?)?
            }
            Self::Contains(set, element) => {
                let Known::Value(Value::StringSet(texts)) = set.known(asking)? else {
                    return None;
                };
                let mut any = Vec::new();
                for text in texts {
                    let element = element.known(asking)?;
                    any.push(compare(element, Operator::Equal, Known::Value(Value::String(text)))?);
                }
                Condition::any(any)
            }
        })
    }
}

impl Term {
    fn known(&self, asking: &Asking<'_>) -> Option<Known> {
        Some(match self {
            Self::Literal(value) => Known::Value(value.clone()),
            Self::Caller => Known::Value(Value::User(asking.caller.claims.subject)),
            Self::OfCaller(name) => Known::Value(asking.of_caller(name)?),
            Self::OfPeer(name) => Known::Value(asking.of_peer(name)?),
            Self::OfResource(name) => Known::OfResource(name.clone()),
        })
    }
}

impl Asking<'_> {
    fn of_caller(&self, name: &str) -> Option<Value> {
        self.caller.attribute(name, self.now)
    }

    fn of_peer(&self, name: &str) -> Option<Value> {
        context::attribute(self.peer, name)
    }
}

fn compare(left: Known, operator: Operator, right: Known) -> Option<Condition> {
    Some(match (left, operator, right) {
        (Known::Value(left), _, Known::Value(right)) => {
            Condition::of(holds(&left, operator, &right)?)
        }
        (Known::OfResource(attribute), _, Known::Value(value)) => {
            Condition::Compare { attribute, operator, value }
        }
        (Known::Value(value), Operator::Equal, Known::OfResource(attribute)) => {
            Condition::Compare { attribute, operator, value }
        }
        // 5 < size is the same as not size <= 5.
        (Known::Value(value), _, Known::OfResource(attribute)) => {
            let operator = match operator {
                Operator::Less => Operator::LessOrEqual,
                _ => Operator::Less,
            };
            Condition::Compare { attribute, operator, value }.negated()
        }
        // Refused when it was loaded.
        (Known::OfResource(_), _, Known::OfResource(_)) => return None,
    })
}

fn holds(left: &Value, operator: Operator, right: &Value) -> Option<bool> {
    Some(match (operator, left, right) {
        (Operator::Equal, Value::StringSet(left), Value::StringSet(right)) => {
            left.iter().all(|text| right.contains(text))
                && right.iter().all(|text| left.contains(text))
        }
        (Operator::Equal, _, _) => left == right,
        (Operator::Less, Value::Long(left), Value::Long(right)) => left < right,
        (Operator::LessOrEqual, Value::Long(left), Value::Long(right)) => left <= right,
        _ => return None,
    })
}
