//! One server of each engine for all tests of a binary. A test has a database,
//! or a stream, of its own.
//!
//! `COUNTERSIGN_TEST_DATABASE_URL` and `COUNTERSIGN_TEST_NATS_URL` name servers
//! that run already, and are used instead.

use std::{
    env,
    sync::{OnceLock, mpsc},
    thread,
};

use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr};
use tokio::runtime::Builder;
use url::Url;
use uuid::Uuid;

use super::{Nats, Postgres, postgres::Safety};

static NATS: OnceLock<String> = OnceLock::new();
static POSTGRES: OnceLock<String> = OnceLock::new();

/// A new database on the shared PostgreSQL.
#[derive(Debug)]
pub struct NewDatabase {
    name: String,
    server: String,
    url: String,
}

/// The URL of a nats-server with JetStream.
///
/// # Panics
/// It does not start.
pub async fn nats() -> String {
    let known = || named("COUNTERSIGN_TEST_NATS_URL");
    once(&NATS, move || known().unwrap_or_else(|| host(Nats::start, Nats::url))).await
}

impl NewDatabase {
    /// Makes it.
    ///
    /// # Panics
    /// The server does not start, or refuses.
    pub async fn create() -> Self {
        let known = || named("COUNTERSIGN_TEST_DATABASE_URL");
        let start = || Postgres::start(Safety::Fast);
        let server = once(&POSTGRES, move || known().unwrap_or_else(|| host(start, Postgres::url)));
        Self::create_at(server.await).await
    }

    /// The same on this server, which is named by the URL of any of its databases.
    ///
    /// # Panics
    /// The server refuses.
    pub async fn create_at(server: String) -> Self {
        let name = format!("test_{}", Uuid::now_v7().simple());
        let mut url = Url::parse(&server).expect("the URL of a server");
        url.set_path(&name);
        let database = Self { name, server, url: url.into() };
        let made = database.order("CREATE DATABASE").await;
        made.unwrap_or_else(|error| panic!("no new database: {error}"));
        database
    }

    /// The URL of the database.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The name of the database.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Removes it, whoever is connected.
    ///
    /// # Panics
    /// The server refuses.
    pub async fn remove(self) {
        let done = self.order("DROP DATABASE IF EXISTS").await;
        done.unwrap_or_else(|error| panic!("the database stays: {error}"));
    }

    async fn order(&self, what: &str) -> Result<(), DbErr> {
        let force = if what.starts_with("DROP") { " WITH (FORCE)" } else { "" };
        let db: DatabaseConnection = sea_orm::Database::connect(&self.server).await?;
        let done = db.execute_unprepared(&format!("{what} {}{force}", self.name)).await;
        db.close().await?;
        done.map(|_| ())
    }
}

fn named(variable: &str) -> Option<String> {
    env::var(variable).ok().filter(|value| !value.is_empty())
}

async fn once(
    cell: &'static OnceLock<String>,
    make: impl FnOnce() -> String + Send + 'static,
) -> String {
    let made = tokio::task::spawn_blocking(|| cell.get_or_init(make).clone()).await;
    made.expect("a shared server starts")
}

/// Starts a server on a thread that lasts as long as this process: the tests
/// that share it have a runtime each, and the first one ends first.
fn host<S, F: Future<Output = S>>(
    start: impl FnOnce() -> F + Send + 'static,
    url: impl FnOnce(&S) -> String + Send + 'static,
) -> String {
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let server = start().await;
            if tell.send(url(&server)).is_ok() {
                std::future::pending::<()>().await;
            }
        });
    });
    told.recv().expect("the server starts; what it says stands above")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Ledger;

    #[tokio::test]
    async fn every_test_has_a_database_of_its_own() {
        let (one, two) = tokio::join!(NewDatabase::create(), NewDatabase::create());
        assert_ne!(one.url(), two.url());
        for database in [one, two] {
            let db = sea_orm::Database::connect(database.url()).await.unwrap();
            db.execute_unprepared("CREATE TABLE here AS SELECT 1 AS n").await.unwrap();
            assert_eq!(Ledger::number(&db, "SELECT count(*) AS n FROM here").await, 1);
            // Removed though somebody is connected.
            database.remove().await;
        }
    }

    #[tokio::test]
    async fn the_shared_broker_answers() {
        let url = nats().await;
        let address = url.strip_prefix("nats://").expect("a URL");
        tokio::net::TcpStream::connect(address).await.expect("it listens");
    }
}
