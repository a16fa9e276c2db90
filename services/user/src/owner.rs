//! Whose a profile is, and of which tenant: what policies may know of one.

use std::sync::Arc;

use countersign_guard::{Attributes, Resolver, Value};
use countersign_types::{Fault, UserId};
use futures::future::BoxFuture;
use moka::sync::Cache;
use sea_orm::DatabaseConnection;

use crate::store::profiles;

/// Tenants that are kept in mind, each of about 150 octets.
const REMEMBERED: u64 = 10_000;

/// Tells the policies which tenant a profile belongs to; its person owns it.
///
/// Both stay as they are for the whole life of a row, also when it is blanked,
/// and no row goes away: what was read once need not be read for each call. That
/// a profile is not there is read anew each time.
pub struct ProfileOwner {
    db: DatabaseConnection,
    tenants: Cache<UserId, Arc<str>>,
}

impl ProfileOwner {
    pub fn new(db: DatabaseConnection) -> Self {
        Self { db, tenants: Cache::new(REMEMBERED) }
    }

    async fn tenant(&self, user: UserId) -> Result<Option<Arc<str>>, Fault> {
        if let Some(known) = self.tenants.get(&user) {
            return Ok(Some(known));
        }
        let read = profiles::tenant(&self.db, user).await?.map(Arc::<str>::from);
        if let Some(tenant) = &read {
            self.tenants.insert(user, Arc::clone(tenant));
        }
        Ok(read)
    }
}

impl Resolver for ProfileOwner {
    fn resolve<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Option<Attributes>, Fault>> {
        Box::pin(async move {
            let Ok(id) = id.parse::<UserId>() else { return Ok(None) };
            let tenant = self.tenant(id).await?;
            let with = |tenant: Arc<str>| Value::String(tenant.to_string());
            Ok(tenant.map(|tenant| Attributes::owner(id).set("tenant", with(tenant))))
        })
    }
}

#[cfg(test)]
mod tests {
    use countersign_mesh::{config::DatabaseConfig, database};
    use countersign_types::{Tenant, Timestamp};

    use super::*;
    use crate::store::Migrator;

    #[tokio::test]
    async fn a_tenant_is_read_once_and_an_absent_profile_each_time() {
        let db = database::connect(&DatabaseConfig::default(), "sqlite::memory:").await.unwrap();
        database::migrate::<Migrator>(&db).await.unwrap();
        let (owner, user, now) =
            (ProfileOwner::new(db.clone()), UserId::generate(), Timestamp::from_seconds(1));
        let id = user.to_string();
        assert_eq!(owner.resolve(&id).await.unwrap(), None);
        profiles::create(&db, user, &Tenant::default(), now).await.unwrap();
        let there = owner.resolve(&id).await.unwrap();
        assert!(there.is_some());
        profiles::erase(&db, user, now).await.unwrap();
        // Nothing can be read from here on.
        db.close().await.unwrap();
        assert_eq!(owner.resolve(&id).await.unwrap(), there);
        assert!(owner.resolve(&UserId::generate().to_string()).await.is_err());
    }
}
