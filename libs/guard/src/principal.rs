//! A verified token as the policies see it, made once per token and kept with it.

use std::{
    collections::{HashMap, HashSet},
    sync::atomic::{AtomicU64, Ordering},
};

use cedar_policy::{Entities, Entity, EntityId, EntityTypeName, EntityUid, RestrictedExpression};
use countersign_tokens::{Claims, KeyId, KeyRing, Verified};
use countersign_types::Timestamp;

/// Names of Cedar types that every schema has.
pub(crate) struct Types {
    user: EntityTypeName,
    role: EntityTypeName,
    pub(crate) action: EntityTypeName,
}

/// The attribute that changes with time, so that it is not kept with the token.
pub(crate) const SESSION_AGE: &str = "session_age";

/// Who calls: the claims of the token and their Cedar form.
pub(crate) struct Principal {
    pub(crate) claims: Claims,
    pub(crate) uid: EntityUid,
    /// The principal alone, with its roles as parents.
    entities: Entities,
    parents: HashSet<EntityUid>,
    key_id: KeyId,
    /// State of the key ring in which the key was last seen.
    key_epoch: AtomicU64,
}

/// Cedar does not take the claims. Does not happen with claims that verified.
#[derive(Debug)]
pub(crate) struct Unusable;

impl Types {
    pub(crate) fn new() -> Option<Self> {
        Some(Self {
            user: "User".parse().ok()?,
            role: "Role".parse().ok()?,
            action: "Action".parse().ok()?,
        })
    }

    /// The Cedar name of a person.
    pub(crate) fn user(&self, id: impl ToString) -> EntityUid {
        EntityUid::from_type_name_and_id(self.user.clone(), EntityId::new(id.to_string()))
    }
}

impl Principal {
    /// `key_epoch` is the state of the key ring from before the verification.
    pub(crate) fn new(types: &Types, verified: Verified, key_epoch: u64) -> Result<Self, Unusable> {
        let Verified { claims, key_id } = verified;
        let uid = types.user(claims.subject);
        let parents: HashSet<_> = claims
            .roles
            .iter()
            .map(|role| EntityUid::from_type_name_and_id(types.role.clone(), EntityId::new(role)))
            .collect();
        let entity = Entity::new(uid.clone(), attributes(&claims), parents.clone());
        let entities = Entities::from_entities([entity.map_err(|_| Unusable)?], None);
        Ok(Self {
            entities: entities.map_err(|_| Unusable)?,
            key_epoch: AtomicU64::new(key_epoch),
            claims,
            uid,
            parents,
            key_id,
        })
    }

    /// Whether the key that signed the token is still in the ring.
    pub(crate) fn key_is_in(&self, keys: &KeyRing) -> bool {
        let epoch = keys.epoch();
        if self.key_epoch.load(Ordering::Relaxed) == epoch {
            return true;
        }
        let known = keys.contains(self.key_id.as_str());
        if known {
            self.key_epoch.store(epoch, Ordering::Relaxed);
        }
        known
    }

    /// The principal for policies that do not ask for the age of the session.
    pub(crate) const fn entities(&self) -> &Entities {
        &self.entities
    }

    /// The principal at a point in time, with the age of its session.
    pub(crate) fn entities_at(&self, now: Timestamp) -> Result<Entities, Unusable> {
        let age = now.since(self.claims.auth_time).as_secs();
        let age = i64::try_from(age).map_err(|_| Unusable)?;
        let mut attributes = attributes(&self.claims);
        attributes.insert(SESSION_AGE.to_owned(), RestrictedExpression::new_long(age));
        let entity = Entity::new(self.uid.clone(), attributes, self.parents.clone());
        Entities::from_entities([entity.map_err(|_| Unusable)?], None).map_err(|_| Unusable)
    }
}

fn attributes(claims: &Claims) -> HashMap<String, RestrictedExpression> {
    let auth_time = RestrictedExpression::new_long(claims.auth_time.as_seconds());
    // Tokens name no factors yet: a policy that asks for one does not permit.
    let factors = RestrictedExpression::new_set([]);
    HashMap::from([("authentication_time".to_owned(), auth_time), ("factors".to_owned(), factors)])
}
