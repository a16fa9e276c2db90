//! The data that a command works on: no more than it needs, so that it runs
//! where one service runs alone.

use countersign_auth::admin::Keeper;
use countersign_seal::MasterKeys;
use countersign_types::Clock;
use sea_orm::DatabaseConnection;

use crate::{
    Config, DataFolder, Error, Role,
    databases::{self, AUTH_FILE, USER_FILE, prepare},
    master,
};

/// The database of one service, with its tables.
pub(super) struct Data {
    pub service: &'static str,
    pub db: DatabaseConnection,
    /// Whether nobody serves on it; not known where it is not in the data folder.
    pub is_alone: Option<bool>,
}

/// Opens the database of the auth service.
///
/// # Errors
/// [`Error::NoDatabase`], and those of opening and preparing it.
pub(super) async fn auth(config: &Config) -> Result<Data, Error> {
    if is_here(Role::Auth, config) {
        open(Role::Auth, config).await
    } else {
        Err(Error::NoDatabase { service: "auth" })
    }
}

/// The same with its keys.
///
/// # Errors
/// As [`auth`], and those of the keys.
pub(super) async fn auth_with_keys(config: &Config) -> Result<(Data, Keeper), Error> {
    let data = auth(config).await?;
    let masters = masters(Role::Auth, config, &data.db).await?;
    let keeper = Keeper::open(&data.db, &Clock::system(), masters).await?;
    Ok((data, keeper))
}

/// The master keys of a service.
///
/// # Errors
/// Those of the file and the database.
pub(super) async fn masters(
    role: Role,
    config: &Config,
    db: &DatabaseConnection,
) -> Result<MasterKeys, Error> {
    let folder = match master::file(role, config) {
        None => Some(DataFolder::join(&config.data_dir)?),
        Some(_) => None,
    };
    master::open(role, config, folder.as_ref(), db).await
}

/// Opens the databases that are here: of one service, or of both.
///
/// # Errors
/// Those of opening and preparing them.
pub(super) async fn each(config: &Config) -> Result<Vec<Data>, Error> {
    Ok(each_role(config).await?.into_iter().map(|(_, data)| data).collect())
}

/// The same, each with the role of its service.
///
/// # Errors
/// As [`each`].
pub(super) async fn each_role(config: &Config) -> Result<Vec<(Role, Data)>, Error> {
    let mut all = Vec::new();
    for role in [Role::Auth, Role::User] {
        if is_here(role, config) {
            all.push((role, open(role, config).await?));
        }
    }
    Ok(all)
}

/// Whether the settings name the database or the data folder has it; also where
/// that holds for neither service, as before the first start of everything.
fn is_here(role: Role, config: &Config) -> bool {
    let known = |role| {
        let (_, place, file) = of(role, config);
        databases::has_place(place) || config.data_dir.join(file).exists()
    };
    known(role) || !(known(Role::Auth) || known(Role::User))
}

/// The tables are made as a server would make them; beside a server on the same
/// folder they are as that server made them.
async fn open(role: Role, config: &Config) -> Result<Data, Error> {
    let (service, place, file) = of(role, config);
    let mut folder = match databases::has_place(place) {
        true => None,
        false => Some(DataFolder::join(&config.data_dir)?),
    };
    let db = databases::open(place, folder.as_ref(), file).await?;
    let is_alone = folder.as_ref().map(DataFolder::is_alone);
    if is_alone != Some(false) {
        match role {
            Role::Auth => prepare::<countersign_auth::Migrator>(service, &db, config).await?,
            Role::User => prepare::<countersign_user::Migrator>(service, &db, config).await?,
        }
    }
    // From here on a server may start: it would find all that it makes itself.
    if let Some(folder) = &mut folder {
        folder.release();
    }
    Ok(Data { service, db, is_alone })
}

const fn of(
    role: Role,
    config: &Config,
) -> (&'static str, &countersign_mesh::config::DatabaseConfig, &'static str) {
    match role {
        Role::Auth => ("auth", &config.database.auth, AUTH_FILE),
        Role::User => ("user", &config.database.user, USER_FILE),
    }
}
