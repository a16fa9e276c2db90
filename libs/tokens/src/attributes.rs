//! What a token, and an account, say beside roles: named values of a few types.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use countersign_types::Tenant;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error as _, MapAccess, Visitor},
};

/// The attribute that names the tenant; absent for the default one.
const TENANT: &str = "tenant";

/// Attributes by name. In JSON, an object whose names are all different.
#[derive(Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct AccountAttributes(BTreeMap<String, AttributeValue>);

/// The value of an attribute.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum AttributeValue {
    /// True or false.
    Bool(bool),
    /// A whole number.
    Long(i64),
    /// A text.
    String(String),
    /// A set of texts.
    StringSet(BTreeSet<String>),
}

impl AccountAttributes {
    /// The value of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&AttributeValue> {
        self.0.get(name)
    }

    /// Sets the value of a name.
    pub fn set(&mut self, name: impl Into<String>, value: AttributeValue) {
        self.0.insert(name.into(), value);
    }

    /// Forgets the value of a name.
    pub fn remove(&mut self, name: &str) {
        self.0.remove(name);
    }

    /// All names with their values, in the order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &AttributeValue)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Those whose names are wanted.
    #[must_use]
    pub fn filtered(&self, wanted: impl Fn(&str) -> bool) -> Self {
        let kept = self.iter().filter(|(name, _)| wanted(name));
        Self(kept.map(|(name, value)| (name.to_owned(), value.clone())).collect())
    }

    /// The tenant; the default one where none is named, and `None` where what
    /// is named cannot be one.
    #[must_use]
    pub fn tenant(&self) -> Option<Tenant> {
        match self.get(TENANT) {
            None => Some(Tenant::default()),
            Some(AttributeValue::String(name)) => name.parse().ok(),
            Some(_) => None,
        }
    }

    /// Names the tenant. The default one is not written down, so that a token
    /// of it reads as one from before there were tenants.
    pub fn set_tenant(&mut self, tenant: &Tenant) {
        if tenant.is_default() {
            self.remove(TENANT);
        } else {
            self.set(TENANT, AttributeValue::String(tenant.to_string()));
        }
    }
}

// A name that stands twice could mean one thing to one reader and another to the next.
impl<'de> Deserialize<'de> for AccountAttributes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Names;

        impl<'de> Visitor<'de> for Names {
            type Value = AccountAttributes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("attributes by name")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut attributes = AccountAttributes::default();
                while let Some((name, value)) = map.next_entry::<String, AttributeValue>()? {
                    if attributes.0.insert(name, value).is_some() {
                        return Err(A::Error::custom("an attribute stands twice"));
                    }
                }
                Ok(attributes)
            }
        }

        deserializer.deserialize_map(Names)
    }
}

// Values can be personal: only names may show.
impl fmt::Debug for AccountAttributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl fmt::Debug for AttributeValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AttributeValue(hidden)")
    }
}
