//! The tables, for each service's migrator to chain before its own.

use sea_orm_migration::{
    MigrationName, MigrationTrait, SchemaManager, async_trait, schema,
    sea_orm::{ConnectionTrait, DbErr},
    sea_query::{ColumnDef, ForeignKey, ForeignKeyAction, Index, IntoIden, Table},
};

use countersign_types::TraceParent;

use crate::entity::{attempt, chore, dead_letter, inbox, outbox, sequence, trace};

/// The migrations of this crate, in order. Their names start with `events_`.
#[must_use]
pub fn migrations() -> Vec<Box<dyn MigrationTrait>> {
    vec![Box::new(Tables), Box::new(Replicas), Box::new(Traces)]
}

struct Tables;

/// What several relays and a stream need. Additive: the former version goes on
/// beside it, with rows that nobody has claimed.
struct Replicas;

/// Traces, and the order of lanes. Additive: the former version leaves the
/// traces of its events out, and takes rows by their age.
struct Traces;

impl MigrationName for Tables {
    fn name(&self) -> &str {
        "events_000001_tables"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Tables {
    // On SQLite, too: a start that is killed in the middle can be repeated.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        outbox_tables(manager).await?;
        consumer_tables(manager).await?;
        let indices = [
            Index::create()
                .name("outbox_aggregate_sequence")
                .table(outbox::Entity)
                .col(outbox::Column::Aggregate)
                .col(outbox::Column::Sequence)
                .unique()
                .take(),
            Index::create()
                .name("inbox_seen")
                .table(inbox::Entity)
                .col(inbox::Column::SeenTime)
                .take(),
            Index::create()
                .name("attempts_try")
                .table(attempt::Entity)
                .col(attempt::Column::TryTime)
                .take(),
        ];
        for index in indices {
            manager.create_index(index).await?;
        }
        // Partial indices hold the few unpublished rows, however many are kept.
        for index in [
            "CREATE INDEX outbox_due ON outbox (id) WHERE published_time IS NULL",
            "CREATE INDEX outbox_pending ON outbox (aggregate, sequence) \
             WHERE published_time IS NULL",
            "CREATE INDEX outbox_published ON outbox (published_time) \
             WHERE published_time IS NOT NULL",
            "CREATE INDEX dead_letters_requeued ON dead_letters (consumer, requeue_time) \
             WHERE requeue_time IS NOT NULL",
        ] {
            manager.get_connection().execute_unprepared(index).await?;
        }
        Ok(())
    }
}

async fn outbox_tables(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let outbox = Table::create()
        .table(outbox::Entity)
        .col(schema::uuid(outbox::Column::Id).primary_key())
        .col(schema::text(outbox::Column::Kind))
        .col(schema::text(outbox::Column::Source))
        .col(schema::uuid(outbox::Column::Aggregate))
        .col(schema::big_integer_null(outbox::Column::Sequence))
        .col(schema::big_integer(outbox::Column::CreateTime))
        .col(blob(outbox::Column::Data))
        .col(schema::big_integer_null(outbox::Column::PublishedTime))
        .col(schema::big_integer(outbox::Column::NextAttemptTime))
        .col(schema::integer(outbox::Column::Attempts))
        .take();
    let sequences = Table::create()
        .table(sequence::Entity)
        .col(schema::uuid(sequence::Column::Aggregate).primary_key())
        .col(schema::big_integer(sequence::Column::Last))
        .take();
    manager.create_table(outbox).await?;
    manager.create_table(sequences).await
}

impl MigrationName for Replicas {
    fn name(&self) -> &str {
        "events_000002_replicas"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Replicas {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // One at a time: SQLite adds no two columns in one statement.
        for column in [
            schema::big_integer_null(outbox::Column::StreamSequence),
            schema::uuid_null(outbox::Column::Claimant),
            schema::big_integer_null(outbox::Column::ClaimUntil),
        ] {
            let add = Table::alter().table(outbox::Entity).add_column(column).take();
            manager.alter_table(add).await?;
        }
        let chores = Table::create()
            .table(chore::Entity)
            .col(schema::text(chore::Column::Name).primary_key())
            .col(schema::uuid(chore::Column::Holder))
            .col(schema::big_integer(chore::Column::LeaseUntil))
            .col(schema::big_integer(chore::Column::StreamCreated))
            .col(schema::big_integer(chore::Column::StreamLast))
            .col(schema::big_integer(chore::Column::CursorTime))
            .col(schema::uuid(chore::Column::Cursor))
            .col(schema::big_integer(chore::Column::UrgentUntil))
            .take();
        manager.create_table(chores).await
    }
}

impl MigrationName for Traces {
    fn name(&self) -> &str {
        "events_000003_traces"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Traces {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let length = u32::try_from(TraceParent::LENGTH).unwrap_or_default();
        let traces = Table::create()
            .table(trace::Entity)
            .col(schema::uuid(trace::Column::EventId).primary_key())
            .col(schema::string_len(trace::Column::Traceparent, length))
            // Whoever prunes, also the former version.
            .foreign_key(
                ForeignKey::create()
                    .from(trace::Entity, trace::Column::EventId)
                    .to(outbox::Entity, outbox::Column::Id)
                    .on_delete(ForeignKeyAction::Cascade),
            )
            .take();
        manager.create_table(traces).await?;
        let of_letters = schema::string_len_null(dead_letter::Column::Traceparent, length);
        let add = Table::alter().table(dead_letter::Entity).add_column(of_letters).take();
        manager.alter_table(add).await?;
        let lanes = "CREATE INDEX outbox_lanes ON outbox (next_attempt_time, id) \
                     WHERE published_time IS NULL";
        manager.get_connection().execute_unprepared(lanes).await?;
        Ok(())
    }
}

async fn consumer_tables(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let inbox = Table::create()
        .table(inbox::Entity)
        .col(schema::text(inbox::Column::Consumer))
        .col(schema::uuid(inbox::Column::EventId))
        .col(schema::big_integer(inbox::Column::SeenTime))
        .primary_key(Index::create().col(inbox::Column::Consumer).col(inbox::Column::EventId))
        .take();
    let attempts = Table::create()
        .table(attempt::Entity)
        .col(schema::text(attempt::Column::Consumer))
        .col(schema::uuid(attempt::Column::EventId))
        .col(schema::integer(attempt::Column::Tries))
        .col(schema::text(attempt::Column::Error))
        .col(schema::big_integer(attempt::Column::TryTime))
        .primary_key(Index::create().col(attempt::Column::Consumer).col(attempt::Column::EventId))
        .take();
    let dead_letters = Table::create()
        .table(dead_letter::Entity)
        .col(schema::text(dead_letter::Column::Consumer))
        .col(schema::uuid(dead_letter::Column::EventId))
        .col(schema::text(dead_letter::Column::Kind))
        .col(schema::text(dead_letter::Column::Source))
        .col(schema::uuid(dead_letter::Column::Aggregate))
        .col(schema::big_integer(dead_letter::Column::Sequence))
        .col(schema::big_integer(dead_letter::Column::CreateTime))
        .col(blob(dead_letter::Column::Data))
        .col(schema::text(dead_letter::Column::Error))
        .col(schema::integer(dead_letter::Column::Tries))
        .col(schema::big_integer(dead_letter::Column::DeadTime))
        .col(schema::big_integer_null(dead_letter::Column::RequeueTime))
        .primary_key(
            Index::create().col(dead_letter::Column::Consumer).col(dead_letter::Column::EventId),
        )
        .take();
    for table in [inbox, attempts, dead_letters] {
        manager.create_table(table).await?;
    }
    Ok(())
}

fn blob(column: impl IntoIden) -> ColumnDef {
    ColumnDef::new(column).blob().not_null().take()
}
