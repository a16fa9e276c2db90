//! Step 4: what policies may know of the resource that a call is about.

use std::collections::HashMap;

use cedar_policy::RestrictedExpression;
use countersign_types::{Fault, UserId};
use futures::future::BoxFuture;

use crate::principal::Types;

/// Supplies the attributes of one type of resource; the service that owns the
/// resource registers it with [`crate::Guard::with_resolver`]. It is asked only
/// for calls whose policies read attributes.
pub trait Resolver: Send + Sync + 'static {
    /// The attributes of a resource; `None` when there is no such resource,
    /// which a caller cannot tell from one that they may not touch.
    ///
    /// # Errors
    /// A fault ends the call with it: what cannot be looked up is not permitted.
    fn resolve<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Option<Attributes>, Fault>>;
}

/// Attributes of a resource, as declared in the contract.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes(Vec<(&'static str, Value)>);

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A user, compared with `principal`.
    User(UserId),
    /// A text.
    String(String),
    /// A whole number.
    Long(i64),
    /// True or false.
    Bool(bool),
    /// A set of texts.
    StringSet(Vec<String>),
}

/// The resolver of resources that are named by the id of the user who owns
/// them, such as a profile: the attribute `owner` is the id itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct OwnedById;

impl Attributes {
    /// The attribute `owner`.
    #[must_use]
    pub fn owner(owner: UserId) -> Self {
        Self::default().set("owner", Value::User(owner))
    }

    /// The same attributes with one more, or with another value for it.
    #[must_use]
    pub fn set(mut self, name: &'static str, value: Value) -> Self {
        self.0.retain(|(held, _)| *held != name);
        self.0.push((name, value));
        self
    }

    /// Octets that they take, roughly.
    pub(crate) fn octets(&self) -> usize {
        self.0.iter().map(|(name, value)| name.len() + value.octets()).sum()
    }

    /// The attributes as Cedar takes them.
    pub(crate) fn into_cedar(self, types: &Types) -> HashMap<String, RestrictedExpression> {
        let cedar = |(name, value): (&str, Value)| (name.to_owned(), value.into_cedar(types));
        self.0.into_iter().map(cedar).collect()
    }
}

impl Value {
    fn octets(&self) -> usize {
        match self {
            Self::User(_) | Self::Long(_) | Self::Bool(_) => size_of::<Self>(),
            Self::String(text) => size_of::<Self>() + text.len(),
            Self::StringSet(texts) => {
                texts.iter().map(|text| size_of::<String>() + text.len()).sum()
            }
        }
    }

    fn into_cedar(self, types: &Types) -> RestrictedExpression {
        match self {
            Self::User(id) => RestrictedExpression::new_entity_uid(types.user(id)),
            Self::String(text) => RestrictedExpression::new_string(text),
            Self::Long(number) => RestrictedExpression::new_long(number),
            Self::Bool(truth) => RestrictedExpression::new_bool(truth),
            Self::StringSet(texts) => {
                let texts = texts.into_iter().map(RestrictedExpression::new_string);
                RestrictedExpression::new_set(texts)
            }
        }
    }
}

impl Resolver for OwnedById {
    fn resolve<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Option<Attributes>, Fault>> {
        Box::pin(async move { Ok(id.parse().ok().map(Attributes::owner)) })
    }
}
