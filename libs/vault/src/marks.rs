//! Marks: small values by name, of which there is one each, whoever is first.

use sea_orm::{
    ConnectionTrait, DatabaseConnection, EntityTrait, QueryFilter, QuerySelect, Set,
    entity::prelude::*, sea_query::OnConflict,
};
use sea_orm_migration::SchemaManager;

use crate::{
    Error,
    entity::mark::{ActiveModel, Column, Entity},
};

/// Whether the database has the table of marks at all.
///
/// # Errors
/// [`Error::Database`].
pub async fn has_table(db: &DatabaseConnection) -> Result<bool, Error> {
    Ok(SchemaManager::new(db).has_table("vault").await?)
}

/// The mark of this name.
///
/// # Errors
/// [`Error::Database`].
pub async fn find(db: &impl ConnectionTrait, name: &str) -> Result<Option<Vec<u8>>, Error> {
    Ok(Entity::find_by_id(name).one(db).await?.map(|row| row.value))
}

/// The mark of this name, which is `value` from now on if there was none.
///
/// # Errors
/// [`Error::Database`].
pub async fn find_or_set(
    db: &impl ConnectionTrait,
    name: &str,
    value: Vec<u8>,
) -> Result<Vec<u8>, Error> {
    let row = ActiveModel { name: Set(name.to_owned()), value: Set(value) };
    let insert = Entity::insert(row).on_conflict_do_nothing_on([Column::Name]);
    insert.exec_without_returning(db).await?;
    find(db, name).await?.ok_or(Error::Damaged("mark in the vault"))
}

/// The same as [`find`]; it stays so until the transaction ends.
pub(crate) async fn hold(db: &impl ConnectionTrait, name: &str) -> Result<Option<Vec<u8>>, Error> {
    // SQLite knows no row locks and needs none: a transaction that writes is the only one.
    Ok(Entity::find_by_id(name).lock_shared().one(db).await?.map(|row| row.value))
}

/// The same as [`find`]; nobody else holds it or writes it until the transaction ends.
pub(crate) async fn lock(db: &impl ConnectionTrait, name: &str) -> Result<Option<Vec<u8>>, Error> {
    Ok(Entity::find_by_id(name).lock_exclusive().one(db).await?.map(|row| row.value))
}

pub(crate) async fn set(
    db: &impl ConnectionTrait,
    name: &str,
    value: Vec<u8>,
) -> Result<(), Error> {
    let row = ActiveModel { name: Set(name.to_owned()), value: Set(value) };
    let over = OnConflict::column(Column::Name).update_column(Column::Value).to_owned();
    Entity::insert(row).on_conflict(over).exec_without_returning(db).await?;
    Ok(())
}

pub(crate) async fn remove(db: &impl ConnectionTrait, name: &str) -> Result<(), Error> {
    Entity::delete_by_id(name).exec(db).await?;
    Ok(())
}

/// The names and values of those whose names begin so.
pub(crate) async fn beginning_with(
    db: &impl ConnectionTrait,
    prefix: &str,
) -> Result<Vec<(String, Vec<u8>)>, Error> {
    let rows = Entity::find().filter(Column::Name.starts_with(prefix)).all(db).await?;
    Ok(rows.into_iter().map(|row| (row.name, row.value)).collect())
}
