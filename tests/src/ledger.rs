//! What the databases say, read beside the running system.

mod arrivals;

use std::{
    fs,
    path::{Path, PathBuf},
};

use countersign_events::{
    DeadLetter,
    admin::{self, Entry, Filter},
};
use countersign_mesh::{config::DatabaseConfig, database};
use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};

pub(crate) use arrivals::ids;

/// The databases of both services.
pub struct Ledger {
    /// Where their files are, if they have any.
    folders: Vec<PathBuf>,
    /// The database of the auth service.
    pub auth: DatabaseConnection,
    /// The database of the user service.
    pub user: DatabaseConnection,
}

impl Ledger {
    /// Opens both databases of a folder, which exist.
    ///
    /// # Panics
    /// They cannot be opened.
    pub async fn open(folder: &Path) -> Self {
        let file = |name| format!("sqlite://{}?mode=rwc", folder.join(name).display());
        let ledger = Self::connect(&file("auth.db"), &file("user.db")).await;
        Self { folders: vec![folder.to_path_buf()], ..ledger }
    }

    /// Opens the databases of services that have a folder each.
    ///
    /// # Panics
    /// They cannot be opened.
    pub async fn open_apart(folders: [PathBuf; 2]) -> Self {
        let file = |folder: &Path, name| format!("sqlite://{}", folder.join(name).display());
        let [auth, user] = &folders;
        let ledger = Self::connect(&file(auth, "auth.db"), &file(user, "user.db")).await;
        Self { folders: folders.to_vec(), ..ledger }
    }

    /// Opens both databases, wherever they are.
    ///
    /// # Panics
    /// They cannot be opened.
    pub async fn connect(auth: &str, user: &str) -> Self {
        let (auth, user) = (connect(auth).await, connect(user).await);
        Self { folders: Vec::new(), auth, user }
    }

    /// The events of both services of this kind (name of the message), published or not.
    ///
    /// # Panics
    /// The tables cannot be read.
    pub async fn events(&self, kind: &str) -> Vec<Entry> {
        let kind = Some(format!("countersign.events.v1.{kind}"));
        let filter = Filter { kind, ..Filter::default() };
        let mut events = Vec::new();
        for db in [&self.auth, &self.user] {
            events.extend(admin::list(db, &filter).await.expect("the outbox is readable"));
        }
        events
    }

    /// The events of this kind that happened to one account.
    ///
    /// # Panics
    /// The tables cannot be read.
    pub async fn events_of(&self, kind: &str, user_id: &str) -> usize {
        let events = self.events(kind).await;
        events.iter().filter(|entry| entry.event.aggregate.to_string() == user_id).count()
    }

    /// How many events no consumer, or not every one, has settled.
    ///
    /// # Panics
    /// The tables cannot be read.
    pub async fn unpublished(&self) -> usize {
        let filter = Filter { unpublished: true, ..Filter::default() };
        let mut count = 0;
        for db in [&self.auth, &self.user] {
            count += admin::list(db, &filter).await.expect("the outbox is readable").len();
        }
        count
    }

    /// The events that a consumer gave up on.
    ///
    /// # Panics
    /// The tables cannot be read.
    pub async fn dead_letters(&self) -> Vec<DeadLetter> {
        let mut letters = Vec::new();
        for db in [&self.auth, &self.user] {
            letters.extend(admin::dead(db, 0).await.expect("the dead letters are readable"));
        }
        letters
    }

    /// The number that a query of one row and one column named `n` gives.
    ///
    /// # Panics
    /// It gives none.
    pub async fn number(db: &DatabaseConnection, sql: &str) -> i64 {
        let statement = Statement::from_string(db.get_database_backend(), sql);
        let row = db.query_one_raw(statement).await.expect("the query runs").expect("one row");
        row.try_get("", "n").expect("a column n")
    }

    /// The files of the databases in which a text stands in clear.
    ///
    /// # Panics
    /// The folders cannot be read.
    #[must_use]
    pub fn files_with(&self, text: &str) -> Vec<PathBuf> {
        let files = self.folders.iter().map(fs::read_dir);
        let files = files.flat_map(|files| files.expect("the folder is readable"));
        let paths = files.map(|file| file.expect("an entry").path());
        let holds = |path: &PathBuf| {
            let bytes = fs::read(path).unwrap_or_default();
            bytes.windows(text.len()).any(|window| window == text.as_bytes())
        };
        paths.filter(holds).collect()
    }

    /// Closes the connections.
    ///
    /// # Panics
    /// They cannot be closed.
    pub async fn close(self) {
        self.auth.close().await.expect("the connection closes");
        self.user.close().await.expect("the connection closes");
    }
}

async fn connect(url: &str) -> DatabaseConnection {
    let config = DatabaseConfig { max_connections: 1, ..DatabaseConfig::default() };
    database::connect(&config, url).await.expect("the database opens")
}
