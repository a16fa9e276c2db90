//! The services whose databases are here, with their keys, as operators use them.

use countersign_seal::MasterKeys;
use countersign_types::Clock;

use super::data::{self, Data};
use crate::{Config, Error, Role};

/// One service.
pub(super) struct Keeper {
    pub data: Data,
    pub masters: MasterKeys,
    pub of: Service,
}

/// What an operator can have it do.
pub(super) enum Service {
    Auth(countersign_auth::admin::Keeper),
    User(countersign_user::admin::Keeper),
}

/// Those whose databases are here.
///
/// # Errors
/// Those of opening the databases and their keys.
pub(super) async fn each(config: &Config) -> Result<Vec<Keeper>, Error> {
    let mut all = Vec::new();
    for (role, data) in data::each_role(config).await? {
        let masters = data::masters(role, config, &data.db).await?;
        let (db, clock, keys) = (&data.db, Clock::system(), masters.clone());
        let of = match role {
            Role::Auth => {
                Service::Auth(countersign_auth::admin::Keeper::open(db, &clock, keys).await?)
            }
            Role::User => {
                Service::User(countersign_user::admin::Keeper::open(db, &clock, keys).await?)
            }
        };
        all.push(Keeper { data, masters, of });
    }
    Ok(all)
}
