//! A verified token as the policies see it, made once per token and kept with it.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use cedar_policy::{Entities, Entity, EntityId, EntityTypeName, EntityUid, RestrictedExpression};
use countersign_tokens::{AccountAttributes, AttributeValue, Claims, KeyId, KeyRing, Verified};
use countersign_types::{Tenant, Timestamp};
use parking_lot::Mutex;

use crate::{AttributeKinds, Value, remembered::Remembered};

/// Names of Cedar types that every schema has.
pub(crate) struct Types {
    user: EntityTypeName,
    role: EntityTypeName,
    pub(crate) action: EntityTypeName,
    /// The attributes of accounts that are declared.
    pub(crate) attributes: AttributeKinds,
}

/// The attribute that changes with time, so that it is not kept with the token.
pub(crate) const SESSION_AGE: &str = "session_age";

/// Who calls: the claims of the token and their Cedar form.
pub(crate) struct Principal {
    pub(crate) claims: Claims,
    pub(crate) uid: EntityUid,
    tenant: Tenant,
    /// The declared attributes of the account, as far as the token carries them.
    declared: AccountAttributes,
    /// The principal alone, with its roles as parents.
    entities: Entities,
    /// The same with the age of the session, as it was last asked for.
    aged: Mutex<Option<Aged>>,
    parents: HashSet<EntityUid>,
    /// What the holder was permitted before.
    pub(crate) remembered: Remembered,
    key_id: KeyId,
    /// State of the key ring in which the key was last seen.
    key_epoch: AtomicU64,
}

/// The principal at an age of its session in seconds, and for that long.
struct Aged {
    age: i64,
    entities: Arc<Entities>,
}

/// Cedar does not take the claims. Does not happen with claims that verified.
#[derive(Debug)]
pub(crate) struct Unusable;

impl Types {
    pub(crate) fn new(attributes: AttributeKinds) -> Option<Self> {
        Some(Self {
            attributes,
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
        // A token that names a tenant which cannot be one is not of the default one.
        let tenant = claims.attributes.tenant().ok_or(Unusable)?;
        let fits =
            |name: &str, value| types.attributes.get(name).is_some_and(|kind| kind.fits(value));
        let declared = claims
            .attributes
            .filtered(|name| claims.attributes.get(name).is_some_and(|value| fits(name, value)));
        let attributes = attributes(&claims, &tenant, &declared);
        let entity = Entity::new(uid.clone(), attributes, parents.clone());
        let entities = Entities::from_entities([entity.map_err(|_| Unusable)?], None);
        Ok(Self {
            entities: entities.map_err(|_| Unusable)?,
            aged: Mutex::default(),
            remembered: Remembered::default(),
            key_epoch: AtomicU64::new(key_epoch),
            claims,
            tenant,
            declared,
            uid,
            parents,
            key_id,
        })
    }

    /// An attribute of the caller at a point in time, as policies know it.
    pub(crate) fn attribute(&self, name: &str, now: Timestamp) -> Option<Value> {
        match name {
            "tenant" => Some(Value::String(self.tenant.to_string())),
            "authentication_time" => Some(Value::Long(self.claims.auth_time.as_seconds())),
            "factors" => {
                Some(Value::StringSet(self.claims.methods.iter().map(str::to_owned).collect()))
            }
            SESSION_AGE => self.session_age(now).ok().map(Value::Long),
            _ => Some(match self.declared.get(name)? {
                AttributeValue::Bool(truth) => Value::Bool(*truth),
                AttributeValue::Long(number) => Value::Long(*number),
                AttributeValue::String(text) => Value::String(text.clone()),
                AttributeValue::StringSet(texts) => {
                    Value::StringSet(texts.iter().cloned().collect())
                }
            }),
        }
    }

    pub(crate) const fn tenant(&self) -> &Tenant {
        &self.tenant
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

    /// The age of the session, in whole seconds.
    pub(crate) fn session_age(&self, now: Timestamp) -> Result<i64, Unusable> {
        i64::try_from(now.since(self.claims.auth_time).as_secs()).map_err(|_| Unusable)
    }

    /// The principal at a point in time, with the age of its session. Policies
    /// see whole seconds: it is made once for each.
    pub(crate) fn entities_at(&self, now: Timestamp) -> Result<Arc<Entities>, Unusable> {
        let age = self.session_age(now)?;
        let mut aged = self.aged.lock();
        if let Some(aged) = aged.as_ref().filter(|aged| aged.age == age) {
            return Ok(Arc::clone(&aged.entities));
        }
        let entities = Arc::new(self.at_age(age)?);
        *aged = Some(Aged { age, entities: Arc::clone(&entities) });
        Ok(entities)
    }

    fn at_age(&self, age: i64) -> Result<Entities, Unusable> {
        let mut attributes = attributes(&self.claims, &self.tenant, &self.declared);
        attributes.insert(SESSION_AGE.to_owned(), RestrictedExpression::new_long(age));
        let entity = Entity::new(self.uid.clone(), attributes, self.parents.clone());
        Entities::from_entities([entity.map_err(|_| Unusable)?], None).map_err(|_| Unusable)
    }
}

/// No declared attribute has the name of one that the guard gives.
fn attributes(
    claims: &Claims,
    tenant: &Tenant,
    declared: &AccountAttributes,
) -> HashMap<String, RestrictedExpression> {
    let auth_time = RestrictedExpression::new_long(claims.auth_time.as_seconds());
    let factors =
        claims.methods.iter().map(|name| RestrictedExpression::new_string(name.to_owned()));
    let factors = RestrictedExpression::new_set(factors);
    let tenant = RestrictedExpression::new_string(tenant.to_string());
    let mut attributes: HashMap<_, _> =
        declared.iter().map(|(name, value)| (name.to_owned(), cedar(value))).collect();
    attributes.insert("authentication_time".to_owned(), auth_time);
    attributes.insert("factors".to_owned(), factors);
    attributes.insert("tenant".to_owned(), tenant);
    attributes
}

fn cedar(value: &AttributeValue) -> RestrictedExpression {
    match value {
        AttributeValue::Bool(truth) => RestrictedExpression::new_bool(*truth),
        AttributeValue::Long(number) => RestrictedExpression::new_long(*number),
        AttributeValue::String(text) => RestrictedExpression::new_string(text.clone()),
        AttributeValue::StringSet(texts) => {
            let texts = texts.iter().cloned().map(RestrictedExpression::new_string);
            RestrictedExpression::new_set(texts)
        }
    }
}
