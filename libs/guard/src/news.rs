//! Step 3, too: how old the news of what was revoked may be, for a guard that
//! hears of it from elsewhere.

use std::time::Duration;

use countersign_types::Fault;

use crate::token::not_ready;

/// How old the news are; `None` before the first.
pub(crate) type Age = Box<dyn Fn() -> Option<Duration> + Send + Sync>;

/// The news, and the limit of rules that name none of their own.
#[derive(Default)]
pub(crate) struct News {
    /// None where who revokes feeds the guard itself.
    age: Option<Age>,
    limit: Option<Duration>,
}

impl News {
    pub(crate) const fn new(age: Age, limit: Option<Duration>) -> Self {
        Self { age: Some(age), limit }
    }

    /// The refusal of a call for which they are too old; `own` is the limit of its rule.
    pub(crate) fn check(&self, own: Option<Duration>) -> Result<(), Fault> {
        let (Some(age), Some(limit)) = (&self.age, own.or(self.limit)) else { return Ok(()) };
        if age().is_some_and(|age| age <= limit) {
            return Ok(());
        }
        Err(not_ready("the service has not heard for too long what was revoked"))
    }
}
