//! Policies on a desk, away from any guard: to be checked, asked and compared.

use cedar_policy::Schema;

use super::{PolicyFile, index::Index, load};
use crate::Error;

/// A schema and a set of policies over it that holds.
pub struct Desk {
    schema: Schema,
    index: Index,
}

impl Desk {
    /// Reads and checks as a guard does: strictly, to level 1 (principal and
    /// resource with their attributes), warnings as errors, each policy with an
    /// `@id` of its own.
    ///
    /// # Errors
    /// [`Error::Schema`]; or [`Error::Policies`] with everything that is wrong.
    pub fn open(schema: &str, files: &[PolicyFile]) -> Result<Self, Error> {
        let schema = load::schema(schema)?;
        let index = Index::load(&schema, files)?;
        Ok(Self { schema, index })
    }

    /// How many policies there are.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.index.count()
    }

    /// The RPCs that no policy can apply to: nobody may call them.
    #[must_use]
    pub fn closed(&self) -> Vec<String> {
        let open = |action: &&cedar_policy::EntityUid| !self.index.of(action).is_empty();
        let leaves = self.schema.actions().filter(|action| {
            self.schema.resources_for_action(action).is_some_and(|mut types| types.next().is_some())
        });
        leaves
            .filter(|action| !open(action))
            .map(|action| action.id().unescaped().to_owned())
            .collect()
    }
}
