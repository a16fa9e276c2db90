//! Signing keys, their secrets sealed. Where a key stands in its life follows
//! from the times in its row and from nothing else.

use std::fmt;

use countersign_types::Timestamp;
use sea_orm::{QueryOrder, Set, TryInsertResult, entity::prelude::*, sea_query::Expr};

use crate::Error;

/// One key.
#[derive(Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "signing_keys")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The name in the footers of its tokens (PASERK `k4.pid`).
    #[sea_orm(unique)]
    pub key_id: String,
    /// The `key_id` of the key before it; empty for the first.
    #[sea_orm(unique)]
    pub predecessor: String,
    /// The public part (PASERK `k4.public`).
    pub paserk: String,
    /// The secret part, sealed with the master key for this `key_id`.
    pub secret: Vec<u8>,
    pub announce_time: i64,
    pub sign_time: i64,
    /// When its successor signs; unset as long as there is none.
    pub retire_time: Option<i64>,
    /// When the last of its tokens has expired.
    pub remove_time: Option<i64>,
}

/// Keys stand alone.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// All keys, in the order in which they sign.
pub(crate) async fn all(db: &impl ConnectionTrait) -> Result<Vec<Model>, Error> {
    Ok(Entity::find().order_by_asc(Column::SignTime).all(db).await?)
}

/// Stores a new key. False: its predecessor has a successor already.
pub(crate) async fn create(db: &impl ConnectionTrait, key: Model) -> Result<bool, Error> {
    let row = ActiveModel {
        id: Set(key.id),
        key_id: Set(key.key_id),
        predecessor: Set(key.predecessor),
        paserk: Set(key.paserk),
        secret: Set(key.secret),
        announce_time: Set(key.announce_time),
        sign_time: Set(key.sign_time),
        retire_time: Set(key.retire_time),
        remove_time: Set(key.remove_time),
    };
    let insert = Entity::insert(row).on_conflict_do_nothing_on([Column::Predecessor]);
    let inserted = insert.exec_without_returning(db).await?;
    Ok(matches!(inserted, TryInsertResult::Inserted(rows) if rows > 0))
}

/// Sets when a key retires and when it is removed.
pub(crate) async fn retire(
    db: &impl ConnectionTrait,
    key_id: &str,
    retire_time: Timestamp,
    remove_time: Timestamp,
) -> Result<(), Error> {
    Entity::update_many()
        .col_expr(Column::RetireTime, Expr::value(retire_time.as_micros()))
        .col_expr(Column::RemoveTime, Expr::value(remove_time.as_micros()))
        .filter(Column::KeyId.eq(key_id))
        .exec(db)
        .await?;
    Ok(())
}

/// Puts the secret, sealed anew, in the place of the one before.
pub(crate) async fn reseal(
    db: &impl ConnectionTrait,
    id: Uuid,
    secret: Vec<u8>,
) -> Result<(), Error> {
    let update = Entity::update_many().col_expr(Column::Secret, Expr::value(secret));
    update.filter(Column::Id.eq(id)).exec(db).await?;
    Ok(())
}

/// Deletes a key. False: somebody else did.
pub(crate) async fn remove(db: &impl ConnectionTrait, id: Uuid) -> Result<bool, Error> {
    Ok(Entity::delete_by_id(id).exec(db).await?.rows_affected == 1)
}

impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Model").field("key_id", &self.key_id).finish_non_exhaustive()
    }
}
