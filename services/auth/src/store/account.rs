//! Accounts.

use std::fmt;

use countersign_seal::DataKey;
use countersign_tokens::AccountAttributes;
use countersign_types::{Email, Tenant, Timestamp, UserId};
use countersign_vault::{Damage, data_key};
use sea_orm::{Condition, QuerySelect, Set, TryInsertResult, entity::prelude::*, sea_query::Expr};

use super::credential;
use crate::{
    Error,
    people::{self, People},
};

/// A person's account.
#[derive(Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "accounts")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Normalised, where it is in the clear; else the id, which is nobody's address.
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
    /// The address; none where it is in the clear or the account is deleted.
    pub email_sealed: Option<Vec<u8>>,
    /// The keyed hash of it.
    #[sea_orm(unique)]
    pub email_index: Option<Vec<u8>>,
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
    /// It is to be deleted at its `delete_time`, and can not log in meanwhile.
    #[sea_orm(string_value = "deleting")]
    Deleting,
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
    /// The data key of the person.
    #[sea_orm(
        belongs_to = "data_key::Entity",
        from = "Column::Id",
        to = "data_key::Column::UserId"
    )]
    DataKey,
}

impl Related<data_key::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::DataKey.def()
    }
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
    /// None once it is deleted, and where it does not open.
    pub(crate) email: Option<Email>,
    /// Why there is no address.
    pub(crate) damage: Option<Damage>,
    pub(crate) status: Status,
    pub(crate) epoch: i64,
    pub(crate) roles: Vec<String>,
    pub(crate) tenant: Tenant,
    pub(crate) attributes: AccountAttributes,
    pub(crate) create_time: Timestamp,
    pub(crate) update_time: Timestamp,
    pub(crate) delete_time: Option<Timestamp>,
}

/// What a login reads of an account before the password is verified.
pub(crate) struct Claimed {
    pub(crate) id: UserId,
    pub(crate) tenant: Tenant,
    pub(crate) hash: Option<String>,
}

/// Makes an account and its credential. False: the address is taken, and
/// nothing was changed.
pub(crate) async fn create(
    db: &impl ConnectionTrait,
    people: &People,
    account: &Account,
    hash: String,
) -> Result<bool, Error> {
    let email = account.email.as_ref().ok_or(Error::Damaged("address"))?;
    let vault = people.vault();
    let key = match vault.seals(db).await? {
        true => Some(DataKey::generate(account.id, 1)?),
        false => None,
    };
    // One of the former release may have the address in the clear.
    if !vault.is_all_sealed() && is_taken(db, people, email).await? {
        return Ok(false);
    }
    let email = match &key {
        None => ActiveModel { email: Set(email.as_str().to_owned()), ..Default::default() },
        Some(key) => ActiveModel {
            email: Set(account.id.to_string()),
            email_sealed: Set(Some(people::seal_email(key, email)?)),
            email_index: Set(Some(people.index(email))),
            ..Default::default()
        },
    };
    let row = ActiveModel {
        id: Set(account.id.as_uuid()),
        create_time: Set(account.create_time.as_micros()),
        tenant: Set(account.tenant.to_string()),
        email: email.email,
        email_sealed: email.email_sealed,
        email_index: email.email_index,
        ..columns(account)?
    };
    let unique = if key.is_some() { Column::EmailIndex } else { Column::Email };
    let insert = Entity::insert(row).on_conflict_do_nothing_on([unique]);
    let inserted = insert.exec_without_returning(db).await?;
    if !matches!(inserted, TryInsertResult::Inserted(rows) if rows > 0) {
        return Ok(false);
    }
    if let Some(key) = &key {
        vault.store(db, key, account.create_time).await?;
    }
    credential::create(db, account.id, hash, account.create_time).await?;
    Ok(true)
}

/// The account with this address and the hash of its password, in one read.
pub(crate) async fn find_with_hash(
    db: &impl ConnectionTrait,
    people: &People,
    email: &Email,
) -> Result<Option<Claimed>, Error> {
    let found = Entity::find()
        .select_only()
        .column(Column::Id)
        .column(Column::Tenant)
        .column(credential::Column::Hash)
        .left_join(credential::Entity)
        .filter(people.having(db, email).await?);
    let found: Option<(Uuid, String, Option<String>)> = found.into_tuple().one(db).await?;
    let claimed = |(id, tenant, hash): (Uuid, String, _)| {
        Ok(Claimed { id: id.into(), tenant: read_tenant(&tenant)?, hash })
    };
    found.map(claimed).transpose()
}

/// The account with this id.
pub(crate) async fn find(
    db: &impl ConnectionTrait,
    people: &People,
    id: UserId,
) -> Result<Option<Account>, Error> {
    let found =
        Entity::find_by_id(id.as_uuid()).find_also_related(data_key::Entity).one(db).await?;
    found.map(|(row, key)| read(row, people.open_key(key).as_ref())).transpose()
}

/// The same, which nobody changes before the transaction ends, with the key of
/// the person, which nobody exchanges until then.
pub(crate) async fn hold(
    db: &impl ConnectionTrait,
    people: &People,
    id: UserId,
) -> Result<Option<(Account, Option<DataKey>)>, Error> {
    // SQLite knows no row locks and needs none: the transaction is the only writer.
    let Some(row) = Entity::find_by_id(id.as_uuid()).lock_shared().one(db).await? else {
        return Ok(None);
    };
    let key = people.open_key(data_key::Entity::find_by_id(id.as_uuid()).one(db).await?);
    Ok(Some((read(row, key.as_ref())?, key)))
}

/// Whether an account has an address by which it is found.
pub(crate) fn by_index(index: Vec<u8>) -> Condition {
    Condition::any().add(Column::EmailIndex.eq(index))
}

/// The same, for an address in the clear.
pub(crate) fn by_email(email: &Email) -> Condition {
    Condition::any().add(Column::Email.eq(email.as_str()))
}

async fn is_taken(
    db: &impl ConnectionTrait,
    people: &People,
    email: &Email,
) -> Result<bool, Error> {
    let found = Entity::find().select_only().column(Column::Id);
    let found = found.filter(people.having(db, email).await?).into_tuple::<Uuid>().one(db).await?;
    Ok(found.is_some())
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

/// What can change of an account but for its address.
pub(super) fn columns(account: &Account) -> Result<ActiveModel, Error> {
    let attributes = serde_json::to_string(&account.attributes);
    Ok(ActiveModel {
        attributes: Set(attributes.map_err(|_| Error::Damaged("set of attributes"))?),
        status: Set(account.status),
        epoch: Set(account.epoch),
        roles: Set(serde_json::Value::from(account.roles.as_slice()).to_string()),
        update_time: Set(account.update_time.as_micros()),
        delete_time: Set(account.delete_time.map(|time| time.as_micros())),
        ..Default::default()
    })
}

/// The account of a row, whether its address opens or not.
pub(super) fn read(row: Model, key: Option<&DataKey>) -> Result<Account, Error> {
    let id = UserId::from(row.id);
    let email = match (row.status, &row.email_sealed, key) {
        (Status::Deleted, ..) => Ok(None),
        (_, Some(sealed), Some(key)) => people::open_email(key, sealed).map(Some),
        (_, Some(_), None) => Err(Damage { user: id, column: "data_keys.sealed" }.logged()),
        (_, None, _) => Ok(Some(Email::parse(&row.email).map_err(|_| Error::Damaged("address"))?)),
    };
    Ok(Account {
        id,
        damage: email.as_ref().err().copied(),
        email: email.ok().flatten(),
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

// An address is personal data: only the id may show.
impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Model").field("id", &self.id).finish_non_exhaustive()
    }
}
