//! A condition over the attributes of a resource, for whoever asks the database.

use crate::Value;

/// What holds of a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// All of these hold; of none, always.
    All(Vec<Condition>),
    /// One of these holds; of none, never.
    Any(Vec<Condition>),
    /// This does not hold.
    Not(Box<Condition>),
    /// An attribute stands so to a value of its type.
    Compare {
        /// Name of the attribute, as the contract declares it.
        attribute: String,
        /// How it stands to the value.
        operator: Operator,
        /// The value.
        value: Value,
    },
    /// It is the resource with this id.
    Id(String),
}

/// How an attribute stands to a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// It is the same.
    Equal,
    /// It is less; of whole numbers only.
    Less,
    /// It is less or the same; of whole numbers only.
    LessOrEqual,
}

impl Condition {
    pub(super) const ALWAYS: Self = Self::All(Vec::new());
    pub(super) const NEVER: Self = Self::Any(Vec::new());

    pub(super) const fn of(truth: bool) -> Self {
        if truth { Self::ALWAYS } else { Self::NEVER }
    }

    pub(super) fn is_always(&self) -> bool {
        *self == Self::ALWAYS
    }

    pub(crate) fn is_never(&self) -> bool {
        *self == Self::NEVER
    }

    /// All of these, without what says nothing.
    pub(super) fn all(parts: Vec<Self>) -> Self {
        if parts.iter().any(Self::is_never) {
            return Self::NEVER;
        }
        let mut parts: Vec<_> = parts.into_iter().filter(|part| !part.is_always()).collect();
        match (parts.len(), parts.pop()) {
            (1, Some(only)) => only,
            (_, last) => {
                parts.extend(last);
                Self::All(parts)
            }
        }
    }

    /// One of these, without what never holds.
    pub(super) fn any(parts: Vec<Self>) -> Self {
        if parts.iter().any(Self::is_always) {
            return Self::ALWAYS;
        }
        let mut parts: Vec<_> = parts.into_iter().filter(|part| !part.is_never()).collect();
        match (parts.len(), parts.pop()) {
            (1, Some(only)) => only,
            (_, last) => {
                parts.extend(last);
                Self::Any(parts)
            }
        }
    }

    pub(super) fn negated(self) -> Self {
        match self {
            Self::Not(inner) => *inner,
            other if other.is_always() => Self::NEVER,
            other if other.is_never() => Self::ALWAYS,
            other => Self::Not(Box::new(other)),
        }
    }
}
