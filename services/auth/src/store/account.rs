//! Accounts.

use std::fmt;

use countersign_tokens::AccountAttributes;
use countersign_types::{Email, Tenant, Timestamp, UserId};
use sea_orm::{QuerySelect, Set, TryInsertResult, entity::prelude::*, sea_query::Expr};

use super::credential;
use crate::Error;

/// A person's account.
#[derive(Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "accounts")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Normalised; once the account is deleted, its id, which is nobody's address.
    #[sea_orm(unique)]
    pub email: String,
    pub status: Status,
    /// Access tokens of an earlier epoch are revoked.
    pub epoch: i64,
    /// A JSON array of texts.
    pub roles: String,
    pub create_time: i64,
    pub update_time: i64,
    /// When the epoch last grew; none while it is that of the beginning.
    pub epoch_time: Option<i64>,
    pub delete_time: Option<i64>,
    pub tenant: String,
    /// A JSON object.
    pub attributes: String,
}

/// Whether an account can log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text")]
pub enum Status {
    /// The profile is being made.
    #[sea_orm(string_value = "pending")]
    Pending,
    /// It can.
    #[sea_orm(string_value = "active")]
    Active,
    /// An administrator does not let it.
    #[sea_orm(string_value = "disabled")]
    Disabled,
    /// What is left of a deleted account.
    #[sea_orm(string_value = "deleted")]
    Deleted,
}

/// What is joined to an account.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {
    /// Its credential. Said from this side, so that a credential need not know of accounts.
    #[sea_orm(
        belongs_to = "credential::Entity",
        from = "Column::Id",
        to = "credential::Column::AccountId"
    )]
    Credential,
}

impl Related<credential::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::Credential.def()
    }
}

impl ActiveModelBehavior for ActiveModel {}

/// An account as the flows know it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) id: UserId,
    /// None once it is deleted.
    pub(crate) email: Option<Email>,
    pub(crate) status: Status,
    pub(crate) epoch: i64,
    pub(crate) roles: Vec<String>,
    pub(crate) tenant: Tenant,
    pub(crate) attributes: AccountAttributes,
    pub(crate) create_time: Timestamp,
    pub(crate) update_time: Timestamp,
    pub(crate) delete_time: Option<Timestamp>,
}

/// Makes an account and its credential. False: the address is taken, and
/// nothing was changed.
pub(crate) async fn create(
    db: &impl ConnectionTrait,
    account: &Account,
    hash: String,
) -> Result<bool, Error> {
    let row = ActiveModel {
        id: Set(account.id.as_uuid()),
        create_time: Set(account.create_time.as_micros()),
        tenant: Set(account.tenant.to_string()),
        ..columns(account)?
    };
    let insert = Entity::insert(row).on_conflict_do_nothing_on([Column::Email]);
    let inserted = insert.exec_without_returning(db).await?;
    if !matches!(inserted, TryInsertResult::Inserted(rows) if rows > 0) {
        return Ok(false);
    }
    credential::create(db, account.id, hash, account.create_time).await?;
    Ok(true)
}

/// The account with this address and the hash of its password, in one read.
pub(crate) async fn find_with_hash(
    db: &impl ConnectionTrait,
    email: &Email,
) -> Result<Option<(Account, Option<String>)>, Error> {
    let found = Entity::find()
        .filter(Column::Email.eq(email.as_str()))
        .find_also_related(credential::Entity)
        .one(db)
        .await?;
    let Some((account, credential)) = found else { return Ok(None) };
    Ok(Some((account.try_into()?, credential.map(|row| row.hash))))
}

/// The account with this id.
pub(crate) async fn find(db: &impl ConnectionTrait, id: UserId) -> Result<Option<Account>, Error> {
    Entity::find_by_id(id.as_uuid()).one(db).await?.map(TryInto::try_into).transpose()
}

/// The same, which nobody changes before the transaction ends.
pub(crate) async fn hold(db: &impl ConnectionTrait, id: UserId) -> Result<Option<Account>, Error> {
    // SQLite knows no row locks and needs none: the transaction is the only writer.
    let found = Entity::find_by_id(id.as_uuid()).lock_shared().one(db).await?;
    found.map(TryInto::try_into).transpose()
}

/// Lets a pending account log in. Does nothing to any other.
pub(crate) async fn activate(
    db: &impl ConnectionTrait,
    id: UserId,
    now: Timestamp,
) -> Result<(), Error> {
    Entity::update_many()
        .col_expr(Column::Status, Expr::value(Status::Active))
        .col_expr(Column::UpdateTime, Expr::value(now.as_micros()))
        .filter(Column::Id.eq(id.as_uuid()))
        .filter(Column::Status.eq(Status::Pending))
        .exec(db)
        .await?;
    Ok(())
}

/// Reads the roles of a row.
pub(crate) fn read_roles(json: &str) -> Result<Vec<String>, Error> {
    serde_json::from_str(json).map_err(|_| Error::Damaged("list of roles"))
}

/// Reads the tenant of a row.
pub(crate) fn read_tenant(name: &str) -> Result<Tenant, Error> {
    name.parse().map_err(|_| Error::Damaged("tenant"))
}

/// Reads the attributes of a row.
pub(crate) fn read_attributes(json: &str) -> Result<AccountAttributes, Error> {
    serde_json::from_str(json).map_err(|_| Error::Damaged("set of attributes"))
}

/// The tenant of an account; for the policies, which decide on it.
pub(crate) async fn tenant(db: &impl ConnectionTrait, id: UserId) -> Result<Option<Tenant>, Error> {
    let tenant = Entity::find_by_id(id.as_uuid()).select_only().column(Column::Tenant);
    let tenant: Option<String> = tenant.into_tuple().one(db).await?;
    tenant.map(|name| read_tenant(&name)).transpose()
}

/// What can change of an account.
pub(super) fn columns(account: &Account) -> Result<ActiveModel, Error> {
    let email = account.email.as_ref().map(|email| email.as_str().to_owned());
    let attributes = serde_json::to_string(&account.attributes);
    Ok(ActiveModel {
        attributes: Set(attributes.map_err(|_| Error::Damaged("set of attributes"))?),
        email: Set(email.unwrap_or_else(|| account.id.to_string())),
        status: Set(account.status),
        epoch: Set(account.epoch),
        roles: Set(serde_json::Value::from(account.roles.as_slice()).to_string()),
        update_time: Set(account.update_time.as_micros()),
        delete_time: Set(account.delete_time.map(|time| time.as_micros())),
        ..Default::default()
    })
}

impl TryFrom<Model> for Account {
    type Error = Error;

    fn try_from(row: Model) -> Result<Self, Error> {
        let email = match row.status {
            Status::Deleted => None,
            _ => Some(Email::parse(&row.email).map_err(|_| Error::Damaged("address"))?),
        };
        Ok(Self {
            id: row.id.into(),
            email,
            status: row.status,
            epoch: row.epoch,
            roles: read_roles(&row.roles)?,
            tenant: read_tenant(&row.tenant)?,
            attributes: read_attributes(&row.attributes)?,
            create_time: Timestamp::from_micros(row.create_time),
            update_time: Timestamp::from_micros(row.update_time),
            delete_time: row.delete_time.map(Timestamp::from_micros),
        })
    }
}

// An address is personal data: only the id may show.
impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Model").field("id", &self.id).finish_non_exhaustive()
    }
}
