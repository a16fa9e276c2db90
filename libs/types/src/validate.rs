//! Input that can say which of the contract's rules it breaks.

use std::fmt;

use crate::Violation;

/// A message whose rules of input are annotated in the contract. The
/// implementations are generated.
pub trait Validate {
    /// Adds every broken rule to `violations`; `path` is where this message stands.
    fn validate_at(&self, path: &FieldPath<'_>, violations: &mut Vec<Violation>);

    /// Every broken rule of this message.
    fn validate(&self) -> Vec<Violation> {
        let mut violations = Vec::new();
        self.validate_at(&FieldPath::Root, &mut violations);
        violations
    }
}

/// Where a message stands in a request. Costs nothing until a rule is broken.
#[derive(Clone, Copy, Debug)]
pub enum FieldPath<'a> {
    /// The request itself.
    Root,
    /// A field of a message.
    Field(&'a FieldPath<'a>, &'static str),
    /// An element of a repeated field.
    Index(&'a FieldPath<'a>, usize),
    /// A value of a map, by its key.
    Key(&'a FieldPath<'a>, &'a str),
}

impl FieldPath<'_> {
    /// The path of a field below this one.
    #[must_use]
    pub const fn field<'a>(&'a self, name: &'static str) -> FieldPath<'a> {
        FieldPath::Field(self, name)
    }

    /// The path of an element of this repeated field.
    #[must_use]
    pub const fn index(&self, index: usize) -> FieldPath<'_> {
        FieldPath::Index(self, index)
    }

    /// The path of a value of this map.
    #[must_use]
    pub const fn key<'a>(&'a self, key: &'a str) -> FieldPath<'a> {
        FieldPath::Key(self, key)
    }
}

impl fmt::Display for FieldPath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Field(FieldPath::Root, name) => f.write_str(name),
            Self::Field(parent, name) => write!(f, "{parent}.{name}"),
            Self::Index(parent, index) => write!(f, "{parent}[{index}]"),
            Self::Key(parent, key) => write!(f, "{parent}[{key:?}]"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_reads_like_the_contract() {
        let profile = FieldPath::Root.field("profile");
        let metadata = profile.field("metadata");
        assert_eq!(profile.field("bio").to_string(), "profile.bio");
        assert_eq!(metadata.key("a b").to_string(), "profile.metadata[\"a b\"]");
        assert_eq!(FieldPath::Root.field("roles").index(2).to_string(), "roles[2]");
    }
}
