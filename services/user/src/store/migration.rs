//! How the tables come to be, step by step. A step that was released is never changed.

use sea_orm_migration::{
    MigrationName, MigrationTrait, MigratorTrait, SchemaManager, async_trait,
    sea_orm::{ConnectionTrait, DbErr, Statement},
    sea_query::{Alias, ColumnDef, Table},
};

/// All steps: the profiles, and the tables of events, of the audit trail and of the probe.
pub struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        let mut steps = countersign_events::migrations();
        steps.extend(countersign_audit::migrations());
        steps.push(Box::new(Profiles));
        steps.push(Box::new(Tenants));
        steps.extend(countersign_vault::migrations());
        steps.push(Box::new(Sealed));
        steps.extend(countersign_mesh::database::migrations());
        steps
    }
}

struct Profiles;

impl MigrationName for Profiles {
    fn name(&self) -> &'static str {
        "user_000001_profiles"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Profiles {
    // On SQLite, too: a start that is killed in the middle can be repeated.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let column = |name: &str| ColumnDef::new(Alias::new(name));
        let mut table = Table::create();
        table
            .table(Alias::new("profiles"))
            .col(column("user_id").uuid().not_null().primary_key())
            .col(column("version").big_integer().not_null())
            .col(column("status").text().not_null())
            .col(column("create_time").big_integer().not_null())
            .col(column("update_time").big_integer().not_null())
            .col(column("last_active_time").big_integer());
        for name in TEXTS {
            table.col(column(name).text().not_null());
        }
        manager.create_table(table).await
    }
}

struct Tenants;

impl MigrationName for Tenants {
    fn name(&self) -> &'static str {
        "user_000002_tenants"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Tenants {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // With a default: servers of the former version go on making profiles.
        let mut tenant = ColumnDef::new(Alias::new("tenant"));
        tenant.text().not_null().default("default");
        let table = Table::alter().table(Alias::new("profiles")).add_column(tenant).take();
        manager.alter_table(table).await?;
        // A list of a small tenant must not look through all the others.
        let listed = "CREATE INDEX profiles_tenant ON profiles (tenant, user_id)";
        manager.get_connection().execute_unprepared(listed).await.map(drop)
    }
}

struct Sealed;

impl MigrationName for Sealed {
    fn name(&self) -> &'static str {
        "user_000003_sealed"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Sealed {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // Beside the columns in the clear, which servers of the former version go on with.
        for name in TEXTS {
            let sealed = ColumnDef::new(Alias::new(format!("{name}_sealed"))).blob().null().take();
            let table = Table::alter().table(Alias::new("profiles")).add_column(sealed).take();
            manager.alter_table(table).await?;
        }
        let anybody = "SELECT user_id FROM profiles LIMIT 1";
        let db = manager.get_connection();
        let anybody = Statement::from_string(manager.get_database_backend(), anybody);
        let is_empty = db.query_one_raw(anybody).await?.is_none();
        countersign_vault::begins_sealed(manager, is_empty).await
    }
}

const TEXTS: [&str; 8] = [
    "display_name",
    "given_name",
    "family_name",
    "bio",
    "avatar_uri",
    "locale",
    "time_zone",
    "metadata",
];
