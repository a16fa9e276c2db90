//! Whom an entry concerns, signed checkpoints, and a beginning that moves.
//!
//! Servers of the former version go on beside it: what they write concerns
//! nobody and the default tenant.

use sea_orm_migration::{
    MigrationName, MigrationTrait, SchemaManager, async_trait, schema,
    sea_orm::{ConnectionTrait, DatabaseBackend, DbErr},
    sea_query::{ColumnDef, Query, Table},
};

use super::has_triggers;
use crate::{
    chain::{FLOOR_ID, GENESIS},
    entity::{checkpoint, floor, key},
};

pub(super) struct Signed;

impl MigrationName for Signed {
    fn name(&self) -> &'static str {
        "audit_000002_signed"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Signed {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        let backend = manager.get_database_backend();
        let (kind, nil) = match backend {
            DatabaseBackend::Postgres => ("uuid", "'00000000-0000-0000-0000-000000000000'"),
            _ => ("uuid_text", "x'00000000000000000000000000000000'"),
        };
        for column in [
            format!("account {kind} NOT NULL DEFAULT {nil}"),
            format!("session {kind} NOT NULL DEFAULT {nil}"),
            "tenant text NOT NULL DEFAULT 'default'".to_owned(),
        ] {
            db.execute_unprepared(&format!("ALTER TABLE audit_log ADD COLUMN {column}")).await?;
        }
        // Each ends in the order of a list.
        for column in ["tenant", "account", "session"] {
            let index = format!("CREATE INDEX audit_log_{column} ON audit_log ({column}, id)");
            db.execute_unprepared(&index).await?;
        }
        tables(manager).await?;
        let triggers = match backend {
            DatabaseBackend::Sqlite => SQLITE_TRIGGERS,
            DatabaseBackend::Postgres if has_triggers(db).await? => POSTGRES_TRIGGERS,
            _ => &[],
        };
        for trigger in triggers {
            db.execute_unprepared(trigger).await?;
        }
        Ok(())
    }
}

async fn tables(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let checkpoints = Table::create()
        .table(checkpoint::Entity)
        .col(schema::big_integer(checkpoint::Column::Seq).primary_key())
        .col(schema::big_integer(checkpoint::Column::CreateTime))
        .col(schema::text(checkpoint::Column::Statement))
        .take();
    manager.create_table(checkpoints).await?;
    let keys = Table::create()
        .table(key::Entity)
        .col(schema::text(key::Column::KeyId).primary_key())
        .col(schema::big_integer(key::Column::CreateTime))
        .col(schema::text(key::Column::Paserk))
        .col(ColumnDef::new(key::Column::Secret).blob().not_null())
        .take();
    manager.create_table(keys).await?;
    let beginning = Table::create()
        .table(floor::Entity)
        .col(schema::integer(floor::Column::Id).primary_key())
        .col(schema::big_integer(floor::Column::Seq))
        .col(ColumnDef::new(floor::Column::Hash).blob().not_null())
        .col(schema::text(floor::Column::Statement))
        .take();
    manager.create_table(beginning).await?;
    let columns =
        [floor::Column::Id, floor::Column::Seq, floor::Column::Hash, floor::Column::Statement];
    let start = Query::insert()
        .into_table(floor::Entity)
        .columns(columns)
        .values_panic([FLOOR_ID.into(), 0_i64.into(), GENESIS.to_vec().into(), "".into()])
        .take();
    manager.execute(start).await
}

const SQLITE_TRIGGERS: &[&str] = &[
    "CREATE TRIGGER audit_log_copy BEFORE UPDATE OF account, session, tenant ON audit_log \
     BEGIN SELECT RAISE(ABORT, 'audit_log is append-only'); END",
    // What lies below the beginning may go.
    "DROP TRIGGER audit_log_delete",
    "CREATE TRIGGER audit_log_delete BEFORE DELETE ON audit_log \
     WHEN OLD.seq IS NULL OR OLD.seq > (SELECT seq FROM audit_floor) \
     BEGIN SELECT RAISE(ABORT, 'audit_log is append-only'); END",
    "CREATE TRIGGER audit_checkpoint_content BEFORE UPDATE ON audit_checkpoint \
     BEGIN SELECT RAISE(ABORT, 'audit_checkpoint is append-only'); END",
    "CREATE TRIGGER audit_checkpoint_delete BEFORE DELETE ON audit_checkpoint \
     WHEN OLD.seq >= (SELECT seq FROM audit_floor) \
     BEGIN SELECT RAISE(ABORT, 'audit_checkpoint is append-only'); END",
];

const POSTGRES_TRIGGERS: &[&str] = &[
    "CREATE TRIGGER audit_log_copy BEFORE UPDATE OF account, session, tenant ON audit_log \
     FOR EACH ROW EXECUTE FUNCTION audit_log_refuse()",
    "CREATE FUNCTION audit_log_keep() RETURNS trigger LANGUAGE plpgsql AS \
     $$ BEGIN IF OLD.seq IS NULL OR OLD.seq > (SELECT seq FROM audit_floor) \
     THEN RAISE EXCEPTION 'audit_log is append-only'; END IF; RETURN OLD; END $$",
    "DROP TRIGGER audit_log_delete ON audit_log",
    "CREATE TRIGGER audit_log_delete BEFORE DELETE ON audit_log \
     FOR EACH ROW EXECUTE FUNCTION audit_log_keep()",
    "CREATE FUNCTION audit_checkpoint_keep() RETURNS trigger LANGUAGE plpgsql AS \
     $$ BEGIN IF TG_OP = 'UPDATE' OR OLD.seq >= (SELECT seq FROM audit_floor) \
     THEN RAISE EXCEPTION 'audit_checkpoint is append-only'; END IF; RETURN OLD; END $$",
    "CREATE TRIGGER audit_checkpoint_keep BEFORE UPDATE OR DELETE ON audit_checkpoint \
     FOR EACH ROW EXECUTE FUNCTION audit_checkpoint_keep()",
];
