//! `countersign events`: what happened, what failed, and trying again. Works on
//! the databases directly, also beside a running server.

use std::io::Write;

use countersign_events::admin::{self, Entry, Filter};
use countersign_types::{Clock, Timestamp};

use super::{
    data::{self, Data},
    table,
};
use crate::{Config, DeadLetter, Error, EventsCommand, Since};

/// The package of our own events; on the command line it goes without saying.
const PACKAGE: &str = "countersign.events.v1.";

pub(super) async fn run(
    command: EventsCommand,
    config: &Config,
    out: &mut dyn Write,
) -> Result<(), Error> {
    let databases = data::each(config).await?;
    match command {
        EventsCommand::List { kind, since, unpublished, limit } => {
            let filter =
                Filter { kind: kind.map(full), unpublished, since: since.map(time), limit };
            list(&databases, &filter, out).await
        }
        EventsCommand::Dead => dead(&databases, out).await,
        EventsCommand::Requeue(letter) => requeue(&databases, letter, out).await,
        EventsCommand::Drop(letter) => drop(&databases, letter, out).await,
        EventsCommand::Replay { since, kind } => {
            replay(&databases, time(since), kind.map(full).as_deref(), out).await
        }
    }
}

async fn list(databases: &[Data], filter: &Filter, out: &mut dyn Write) -> Result<(), Error> {
    let mut entries = Vec::new();
    for Data { db, .. } in databases {
        entries.extend(admin::list(db, filter).await?);
    }
    // Ids sort by time, also over two services of one machine.
    entries.sort_by_key(|entry| entry.event.id);
    let rows: Vec<_> = entries.iter().map(row).collect();
    let heads = ["TIME", "SERVICE", "STATE", "KIND", "AGGREGATE", "SEQUENCE", "EVENT"];
    Ok(table::print(out, heads, &rows)?)
}

fn row(entry: &Entry) -> [String; 7] {
    let state = match (entry.published_time, entry.attempts) {
        (Some(_), _) => "published".to_owned(),
        (None, 0) => "waiting".to_owned(),
        (None, failures) => format!("failed:{failures}"),
    };
    let event = &entry.event;
    [
        table::time(event.time),
        event.source.clone(),
        state,
        short(&event.kind).to_owned(),
        event.aggregate.to_string(),
        event.sequence.to_string(),
        event.id.to_string(),
    ]
}

async fn dead(databases: &[Data], out: &mut dyn Write) -> Result<(), Error> {
    let mut letters = Vec::new();
    for Data { db, .. } in databases {
        letters.extend(admin::dead(db, admin::LIST_MAX).await?);
    }
    letters.sort_by_key(|letter| letter.time);
    let rows = letters.iter().map(|letter| {
        [
            table::time(letter.time),
            letter.consumer.clone(),
            short(&letter.event.kind).to_owned(),
            letter.event.id.to_string(),
            letter.tries.to_string(),
            if letter.requeued { "requeued".to_owned() } else { String::new() },
            letter.error.clone(),
        ]
    });
    let rows: Vec<_> = rows.collect();
    let heads = ["TIME", "CONSUMER", "KIND", "EVENT", "TRIES", "STATE", "ERROR"];
    Ok(table::print(out, heads, &rows)?)
}

async fn requeue(databases: &[Data], letter: DeadLetter, out: &mut dyn Write) -> Result<(), Error> {
    for Data { db, .. } in databases {
        if admin::requeue(db, letter.event, &letter.consumer).await? {
            let DeadLetter { event, consumer } = letter;
            writeln!(out, "event {event} will be delivered to {consumer} once more")?;
            return Ok(());
        }
    }
    Err(missing(letter))
}

async fn drop(databases: &[Data], letter: DeadLetter, out: &mut dyn Write) -> Result<(), Error> {
    for Data { db, .. } in databases {
        if admin::drop(db, letter.event, &letter.consumer).await? {
            let DeadLetter { event, consumer } = letter;
            writeln!(out, "event {event} is dropped: {consumer} will never see it")?;
            return Ok(());
        }
    }
    Err(missing(letter))
}

async fn replay(
    databases: &[Data],
    since: Timestamp,
    kind: Option<&str>,
    out: &mut dyn Write,
) -> Result<(), Error> {
    let mut replayed = 0;
    for Data { db, .. } in databases {
        replayed += admin::replay(db, since, kind).await?;
    }
    writeln!(out, "{replayed} events since {} will be published again", table::time(since))?;
    Ok(())
}

fn missing(DeadLetter { event, consumer }: DeadLetter) -> Error {
    Error::NoDeadLetter { event, consumer }
}

fn time(since: Since) -> Timestamp {
    since.from(Clock::system().now())
}

fn full(kind: String) -> String {
    if kind.contains('.') { kind } else { format!("{PACKAGE}{kind}") }
}

fn short(kind: &str) -> &str {
    kind.strip_prefix(PACKAGE).unwrap_or(kind)
}
