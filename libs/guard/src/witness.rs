//! Step 6: proof, as values, of who calls and of what was permitted.
//!
//! Only the guard makes them: a function that takes one cannot be reached by a
//! call that was not checked.

use std::{fmt, str::FromStr, sync::Arc};

use countersign_tokens::{AuthMethods, Claims};
use countersign_types::{Fault, SessionId, Tenant, Timestamp, UserId};

use crate::principal::Principal;

/// Who calls, by a token that holds.
#[derive(Clone)]
pub struct Caller(Arc<Principal>);

/// What one call was permitted to do.
#[derive(Clone)]
pub struct Permit {
    rpc: &'static str,
    caller: Caller,
    resource_type: &'static str,
    resource_id: String,
    policies: Arc<[String]>,
}

impl Caller {
    pub(crate) const fn new(principal: Arc<Principal>) -> Self {
        Self(principal)
    }

    pub(crate) const fn principal(&self) -> &Arc<Principal> {
        &self.0
    }

    /// The person.
    #[must_use]
    pub fn user_id(&self) -> UserId {
        self.0.claims.subject
    }

    /// The session that the token belongs to.
    #[must_use]
    pub fn session_id(&self) -> SessionId {
        self.0.claims.session
    }

    /// The roles of the account when the token was issued.
    #[must_use]
    pub fn roles(&self) -> &[String] {
        &self.0.claims.roles
    }

    /// The tenant that the account belongs to.
    #[must_use]
    pub fn tenant(&self) -> &Tenant {
        self.0.tenant()
    }

    /// When the person last proved who they are.
    #[must_use]
    pub fn auth_time(&self) -> Timestamp {
        self.0.claims.auth_time
    }

    /// How they did.
    #[must_use]
    pub fn auth_methods(&self) -> &AuthMethods {
        &self.0.claims.methods
    }

    /// Everything that the token says.
    #[must_use]
    pub fn claims(&self) -> &Claims {
        &self.0.claims
    }
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Caller({})", self.user_id())
    }
}

impl Permit {
    pub(crate) const fn new(
        rpc: &'static str,
        caller: Caller,
        resource_type: &'static str,
        resource_id: String,
        policies: Arc<[String]>,
    ) -> Self {
        Self { rpc, caller, resource_type, resource_id, policies }
    }

    /// The RPC, such as `countersign.user.v1.ProfileService/GetProfile`.
    #[must_use]
    pub const fn rpc(&self) -> &'static str {
        self.rpc
    }

    /// Who was permitted.
    #[must_use]
    pub fn user_id(&self) -> UserId {
        self.caller.user_id()
    }

    /// The same with all that is known of them.
    #[must_use]
    pub const fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Type of the resource, such as `Profile`.
    #[must_use]
    pub const fn resource_type(&self) -> &'static str {
        self.resource_type
    }

    /// Id of the resource; where the client wrote `me`, the id of the caller.
    #[must_use]
    pub fn resource_id(&self) -> &str {
        &self.resource_id
    }

    /// The `@id`s of the policies that permitted.
    #[must_use]
    pub fn policies(&self) -> &[String] {
        &self.policies
    }

    /// The id of the resource as an id of its kind.
    ///
    /// # Errors
    /// An internal fault: the contract lets only such ids through for this
    /// type of resource, so it is the contract that needs a stricter pattern.
    pub fn resource_as<T: FromStr>(&self) -> Result<T, Fault> {
        self.resource_id.parse().map_err(|_| Fault::internal())
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit")
            .field("rpc", &self.rpc)
            .field("user", &self.caller.user_id())
            .field("resource_type", &self.resource_type)
            .field("resource_id", &self.resource_id)
            .field("policies", &self.policies)
            .finish()
    }
}
