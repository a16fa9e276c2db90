//! Accounts as administrators see and change them. Every function on one takes
//! the permit for that very account.

use countersign_guard::{Permit, Visible};
use countersign_mesh::database::{self, Page};
use countersign_types::{Fault, Timestamp, UserId};
use countersign_vault::{Vault, data_key};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect,
    Select, Set,
    prelude::Uuid,
    sea_query::{Expr, LikeExpr},
};

use super::{
    account::{self, Account, ActiveModel, Column, Entity, Status},
    credential, network, session,
};
use crate::{Error, filter::Term, people::People};

/// The role that changes roles and states.
pub(crate) const ADMIN: &str = "admin";

/// The account that the permit is for.
pub(crate) async fn find(
    db: &impl ConnectionTrait,
    people: &People,
    permit: &Permit,
) -> Result<Option<Account>, Error> {
    account::find(db, people, permit.resource_as()?).await
}

/// The same, which nobody else changes or logs in to before the transaction ends.
pub(crate) async fn lock(
    db: &impl ConnectionTrait,
    people: &People,
    permit: &Permit,
) -> Result<Option<Account>, Error> {
    let id: UserId = permit.resource_as()?;
    // SQLite knows no row locks and needs none: the transaction is the only writer.
    let Some(row) = Entity::find_by_id(id.as_uuid()).lock_exclusive().one(db).await? else {
        return Ok(None);
    };
    let key = people.open_key(data_key::Entity::find_by_id(id.as_uuid()).one(db).await?);
    account::read(row, key.as_ref()).map(Some)
}

/// Stores `after`, whose epoch is the next one, in the place of `before`. Of a
/// deleted one nothing is left but the row.
///
/// # Errors
/// [`Error::AccountChanged`]: the account is in another epoch than `before`.
pub(crate) async fn save(
    db: &impl ConnectionTrait,
    permit: &Permit,
    before: &Account,
    after: &Account,
) -> Result<(), Error> {
    let id: UserId = permit.resource_as()?;
    let epoch_time = Set(Some(after.update_time.as_micros()));
    let mut row = ActiveModel { epoch_time, ..account::columns(after)? };
    if after.status == Status::Deleted {
        row.email = Set(id.to_string());
        row.email_sealed = Set(None);
        row.email_index = Set(None);
        forget(db, id).await?;
    }
    let done = Entity::update_many()
        .set(row)
        .filter(Column::Id.eq(id.as_uuid()))
        .filter(Column::Epoch.eq(before.epoch))
        .exec(db)
        .await?;
    if done.rows_affected == 1 { Ok(()) } else { Err(Error::AccountChanged) }
}

/// A page of the accounts that may be seen and that fit the filter, in the order
/// of their ids, and one more.
pub(crate) async fn list(
    db: &impl ConnectionTrait,
    people: &People,
    visible: &Visible,
    filter: &[Term],
    page: Page,
) -> Result<Vec<Account>, Error> {
    let column = |attribute: &str| match attribute {
        "owner" => Some(Column::Id.into_expr()),
        "tenant" => Some(Column::Tenant.into_expr()),
        _ => None,
    };
    let visible = database::visible(visible.condition(), &Column::Id.into_expr(), &column);
    let mut query = Entity::find().filter(visible.ok_or_else(Fault::internal)?);
    if !filter.iter().any(|term| matches!(term, Term::Status(_) | Term::NotStatus(_))) {
        query = query.filter(Column::Status.ne(Status::Deleted));
    }
    for term in filter {
        query = match term {
            Term::Status(status) => query.filter(Column::Status.eq(*status)),
            Term::NotStatus(status) => query.filter(Column::Status.ne(*status)),
            Term::Role(role) => having_role(query, role),
            Term::Tenant(tenant) => query.filter(Column::Tenant.eq(tenant.as_str())),
            Term::Email(email) => query.filter(people.having(db, email).await?),
            Term::CreatedBefore(time) => query.filter(Column::CreateTime.lt(time.as_micros())),
            Term::CreatedFrom(time) => query.filter(Column::CreateTime.gte(time.as_micros())),
        };
    }
    if let Some(after) = page.after {
        query = query.filter(Column::Id.gt(after));
    }
    let query = query.order_by_asc(Column::Id).limit(page.size + 1);
    let rows = query.find_also_related(data_key::Entity).all(db).await?;
    let read = |(row, key)| account::read(row, people.open_key(key).as_ref());
    rows.into_iter().map(read).collect()
}

/// Whether somebody else is an administrator of the account's tenant who can
/// log in, and stays one until the transaction ends.
pub(crate) async fn has_other_administrator(
    db: &impl ConnectionTrait,
    account: &Account,
) -> Result<bool, Error> {
    let other = having_role(Entity::find(), ADMIN)
        .filter(Column::Tenant.eq(account.tenant.as_str()))
        .filter(Column::Status.eq(Status::Active))
        .filter(Column::Id.ne(account.id.as_uuid()))
        .lock_shared();
    Ok(other.one(db).await?.is_some())
}

/// Forgets what a deleted account was known by, besides its row, and destroys the
/// key of its person.
pub(super) async fn forget(db: &impl ConnectionTrait, id: UserId) -> Result<(), Error> {
    credential::Entity::delete_by_id(id.as_uuid()).exec(db).await?;
    Vault::destroy(db, id).await?;
    network::forget(db, id).await?;
    session::Entity::update_many()
        .col_expr(session::Column::DeviceLabel, Expr::value(""))
        .col_expr(session::Column::Address, Expr::value(""))
        .col_expr(session::Column::DeviceLabelSealed, Expr::value(None::<Vec<u8>>))
        .col_expr(session::Column::AddressSealed, Expr::value(None::<Vec<u8>>))
        .filter(session::Column::UserId.eq(id.as_uuid()))
        .exec(db)
        .await?;
    Ok(())
}

/// The epochs of the accounts that were changed after `since`, with the times.
pub(crate) async fn epochs_since(
    db: &impl ConnectionTrait,
    since: Timestamp,
) -> Result<Vec<(UserId, i64, Timestamp)>, Error> {
    let rows = Entity::find()
        .select_only()
        .columns([Column::Id, Column::Epoch, Column::EpochTime])
        .filter(Column::EpochTime.gt(since.as_micros()))
        .into_tuple::<(Uuid, i64, i64)>()
        .all(db)
        .await?;
    let read = |(id, epoch, time): (Uuid, _, _)| (id.into(), epoch, Timestamp::from_micros(time));
    Ok(rows.into_iter().map(read).collect())
}

/// Those of the accounts that have a role. People with roles are few, and have an index: its
/// condition has to stand here as it stands there.
fn having_role(accounts: Select<Entity>, role: &str) -> Select<Entity> {
    // As it stands in the row, and without the wildcards of LIKE.
    let written = serde_json::Value::from(role).to_string();
    let named: String = written
        .chars()
        .flat_map(|c| "%_\\".contains(c).then_some('\\').into_iter().chain([c]))
        .collect();
    let named = format!("%{named}%");
    accounts
        .filter(Expr::cust("roles <> '[]'"))
        .filter(Expr::col(Column::Roles).like(LikeExpr::new(named).escape('\\')))
}
