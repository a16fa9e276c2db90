//! What a verifier expects of the claims beyond a signature that holds.

use std::time::Duration;

use countersign_types::Timestamp;

use crate::{Claims, Error};

/// What a verifier expects of the claims of a token. Cheap enough to be asked
/// again at each use of a token that was verified before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expect {
    /// The issuer whose tokens are taken.
    pub issuer: String,
    /// The audience that this verifier belongs to.
    pub audience: String,
    /// How far the clocks of issuer and verifier may lie apart.
    pub leeway: Duration,
}

impl Expect {
    /// Whether the claims hold here and now.
    ///
    /// # Errors
    /// [`Error::WrongIssuer`], [`Error::WrongAudience`], [`Error::NotYetValid`]
    /// or [`Error::Expired`], looked at in this order.
    pub fn check(&self, claims: &Claims, now: Timestamp) -> Result<(), Error> {
        if claims.issuer != self.issuer {
            return Err(Error::WrongIssuer);
        }
        if claims.audience != self.audience {
            return Err(Error::WrongAudience);
        }
        if now.plus(self.leeway) < claims.not_before {
            return Err(Error::NotYetValid);
        }
        if now.minus(self.leeway) >= claims.expires_at {
            return Err(Error::Expired);
        }
        Ok(())
    }
}
