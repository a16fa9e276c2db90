//! Password hashes, one for each account.

use std::fmt;

use countersign_types::{Timestamp, UserId};
use sea_orm::{Set, entity::prelude::*, sea_query::Expr};

use crate::Error;

/// The hash of one account's password.
#[derive(Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "credentials")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub account_id: Uuid,
    /// In PHC form.
    pub hash: String,
    pub update_time: i64,
}

/// The account knows its credential; a credential knows no more than an id.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// Stores the hash of a new account.
pub(crate) async fn create(
    db: &impl ConnectionTrait,
    account: UserId,
    hash: String,
    now: Timestamp,
) -> Result<(), Error> {
    let row = ActiveModel {
        account_id: Set(account.as_uuid()),
        hash: Set(hash),
        update_time: Set(now.as_micros()),
    };
    Entity::insert(row).exec_without_returning(db).await?;
    Ok(())
}

/// Puts a stronger hash of the same password in the place of `before`; does
/// nothing where somebody else was first.
pub(crate) async fn renew(
    db: &impl ConnectionTrait,
    account: UserId,
    before: &str,
    hash: String,
    now: Timestamp,
) -> Result<(), Error> {
    Entity::update_many()
        .col_expr(Column::Hash, Expr::value(hash))
        .col_expr(Column::UpdateTime, Expr::value(now.as_micros()))
        .filter(Column::AccountId.eq(account.as_uuid()))
        .filter(Column::Hash.eq(before))
        .exec(db)
        .await?;
    Ok(())
}

impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Model").field("account_id", &self.account_id).finish_non_exhaustive()
    }
}
