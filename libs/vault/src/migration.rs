//! The tables, for each service's migrator to chain.

use sea_orm_migration::{
    MigrationName, MigrationTrait, SchemaManager, async_trait, schema,
    sea_orm::DbErr,
    sea_query::{ColumnDef, Query, Table},
};

use crate::{
    entity::{data_key, mark},
    personal::{CLEAR, PERSONAL_DATA, SEALED},
};

/// The migrations of this crate, in order. Their names start with `vault_`.
#[must_use]
pub fn migrations() -> Vec<Box<dyn MigrationTrait>> {
    vec![Box::new(Keys)]
}

/// Notes, in a migration of the service, whether its people are sealed from the
/// first on: where there is nobody yet. Else it goes on in the clear, as the
/// former release beside it does, until [`crate::seal_data`].
///
/// # Errors
/// Those of the database.
pub async fn begins_sealed(manager: &SchemaManager<'_>, is_empty: bool) -> Result<(), DbErr> {
    let state = if is_empty { SEALED } else { CLEAR };
    let note = Query::insert()
        .into_table(mark::Entity)
        .columns([mark::Column::Name, mark::Column::Value])
        .values_panic([PERSONAL_DATA.into(), state.to_vec().into()])
        .take();
    manager.execute(note).await
}

struct Keys;

impl MigrationName for Keys {
    fn name(&self) -> &'static str {
        "vault_000001_keys"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Keys {
    // On SQLite, too: a start that is killed in the middle can be repeated.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // The auth service has had it from its first release on.
        if !manager.has_table("vault").await? {
            let marks = Table::create()
                .table(mark::Entity)
                .col(schema::text(mark::Column::Name).primary_key())
                .col(ColumnDef::new(mark::Column::Value).blob().not_null())
                .take();
            manager.create_table(marks).await?;
        }
        let keys = Table::create()
            .table(data_key::Entity)
            .col(schema::uuid(data_key::Column::UserId).primary_key())
            .col(schema::big_integer(data_key::Column::Version))
            .col(ColumnDef::new(data_key::Column::Sealed).blob().not_null())
            .col(schema::big_integer(data_key::Column::CreateTime))
            .take();
        manager.create_table(keys).await
    }
}
