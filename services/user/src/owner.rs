//! Whose a profile is, and of which tenant: what policies may know of one.

use countersign_guard::{Attributes, Resolver, Value};
use countersign_types::{Fault, UserId};
use futures::future::BoxFuture;
use sea_orm::DatabaseConnection;

use crate::store::profiles;

/// Tells the policies which tenant a profile belongs to; its person owns it.
pub struct ProfileOwner(pub DatabaseConnection);

impl Resolver for ProfileOwner {
    fn resolve<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Option<Attributes>, Fault>> {
        Box::pin(async move {
            let Ok(id) = id.parse::<UserId>() else { return Ok(None) };
            let tenant = profiles::tenant(&self.0, id).await?;
            Ok(tenant.map(|tenant| Attributes::owner(id).set("tenant", Value::String(tenant))))
        })
    }
}
