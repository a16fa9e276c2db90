//! Marks that tell whether the secrets of the process fit this database.

use sea_orm::{Set, entity::prelude::*};

use crate::Error;

/// The name of the table.
pub(crate) const TABLE: &str = "vault";

/// One mark.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "vault")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub name: String,
    pub value: Vec<u8>,
}

/// Marks stand alone.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// The mark of this name.
pub(crate) async fn find(db: &impl ConnectionTrait, name: &str) -> Result<Option<Vec<u8>>, Error> {
    Ok(Entity::find_by_id(name).one(db).await?.map(|row| row.value))
}

/// The mark of this name, which is `value` from now on if there was none.
pub(crate) async fn find_or_set(
    db: &impl ConnectionTrait,
    name: &str,
    value: Vec<u8>,
) -> Result<Vec<u8>, Error> {
    let row = ActiveModel { name: Set(name.to_owned()), value: Set(value) };
    let insert = Entity::insert(row).on_conflict_do_nothing_on([Column::Name]);
    insert.exec_without_returning(db).await?;
    find(db, name).await?.ok_or(Error::Damaged("mark in the vault"))
}
