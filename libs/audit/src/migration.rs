//! The tables, for each service's migrator to chain before its own, with
//! triggers that keep the trail append-only for whoever is not allowed to drop
//! them.

mod signed;

use sea_orm_migration::{
    MigrationName, MigrationTrait, SchemaManager, SchemaManagerConnection, async_trait, schema,
    sea_orm::{ConnectionTrait, DatabaseBackend, DbErr, Statement},
    sea_query::{ColumnDef, Index, Query, Table},
};

use crate::{
    chain::{GENESIS, HEAD_ID},
    entity::{head, log},
};
use signed::Signed;

/// The migrations of this crate, in order. Their names start with `audit_`.
#[must_use]
pub fn migrations() -> Vec<Box<dyn MigrationTrait>> {
    vec![Box::new(Trail), Box::new(Signed)]
}

struct Trail;

impl MigrationName for Trail {
    fn name(&self) -> &str {
        "audit_000001_trail"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Trail {
    // On SQLite, too: a start that is killed in the middle can be repeated.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let trail = Table::create()
            .table(log::Entity)
            .col(schema::uuid(log::Column::Id).primary_key())
            .col(schema::big_integer(log::Column::RecordTime))
            .col(schema::uuid_null(log::Column::Actor))
            .col(schema::text(log::Column::Action))
            .col(schema::uuid_null(log::Column::Subject))
            .col(schema::text(log::Column::Outcome))
            .col(schema::text_null(log::Column::Address))
            .col(schema::text(log::Column::Detail))
            .col(schema::big_integer_null(log::Column::Seq))
            .col(ColumnDef::new(log::Column::Hash).blob().null())
            .take();
        manager.create_table(trail).await?;
        let in_order = Index::create()
            .name("audit_log_seq")
            .table(log::Entity)
            .col(log::Column::Seq)
            .unique()
            .take();
        manager.create_index(in_order).await?;

        let end = Table::create()
            .table(head::Entity)
            .col(schema::integer(head::Column::Id).primary_key())
            .col(schema::big_integer(head::Column::Seq))
            .col(ColumnDef::new(head::Column::Hash).blob().not_null())
            .take();
        manager.create_table(end).await?;
        let start = Query::insert()
            .into_table(head::Entity)
            .columns([head::Column::Id, head::Column::Seq, head::Column::Hash])
            .values_panic([HEAD_ID.into(), 0_i64.into(), GENESIS.to_vec().into()])
            .take();
        manager.execute(start).await?;

        let db = manager.get_connection();
        db.execute_unprepared("CREATE INDEX audit_log_loose ON audit_log (id) WHERE seq IS NULL")
            .await?;
        let triggers = match manager.get_database_backend() {
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

/// CockroachDB speaks like PostgreSQL and has no such triggers. There the hash
/// chain alone tells of a change.
async fn has_triggers(db: &SchemaManagerConnection<'_>) -> Result<bool, DbErr> {
    let version = Statement::from_string(DatabaseBackend::Postgres, "SELECT version() AS version");
    let row = db.query_one_raw(version).await?;
    let version = row.map(|row| row.try_get::<String>("", "version")).transpose()?;
    Ok(!version.unwrap_or_default().contains("CockroachDB"))
}

const SQLITE_TRIGGERS: &[&str] = &[
    "CREATE TRIGGER audit_log_content BEFORE UPDATE OF \
     id, record_time, actor, action, subject, outcome, address, detail ON audit_log \
     BEGIN SELECT RAISE(ABORT, 'audit_log is append-only'); END",
    "CREATE TRIGGER audit_log_chain BEFORE UPDATE OF seq, hash ON audit_log \
     WHEN OLD.seq IS NOT NULL \
     BEGIN SELECT RAISE(ABORT, 'audit_log is append-only'); END",
    "CREATE TRIGGER audit_log_delete BEFORE DELETE ON audit_log \
     BEGIN SELECT RAISE(ABORT, 'audit_log is append-only'); END",
];

const POSTGRES_TRIGGERS: &[&str] = &[
    "CREATE FUNCTION audit_log_refuse() RETURNS trigger LANGUAGE plpgsql AS \
     $$ BEGIN RAISE EXCEPTION 'audit_log is append-only'; END $$",
    "CREATE TRIGGER audit_log_content BEFORE UPDATE OF \
     id, record_time, actor, action, subject, outcome, address, detail ON audit_log \
     FOR EACH ROW EXECUTE FUNCTION audit_log_refuse()",
    "CREATE TRIGGER audit_log_chain BEFORE UPDATE OF seq, hash ON audit_log \
     FOR EACH ROW WHEN (OLD.seq IS NOT NULL) EXECUTE FUNCTION audit_log_refuse()",
    "CREATE TRIGGER audit_log_delete BEFORE DELETE ON audit_log \
     FOR EACH ROW EXECUTE FUNCTION audit_log_refuse()",
    "CREATE TRIGGER audit_log_truncate BEFORE TRUNCATE ON audit_log \
     FOR EACH STATEMENT EXECUTE FUNCTION audit_log_refuse()",
];
