//! What one process serves, whatever runs in it.

use countersign_mesh::{Part, config::ServerConfig, server::Server};
use sea_orm::DatabaseConnection;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{DataFolder, Error, databases};

/// Parts behind one server, and what is closed when it has stopped.
#[derive(Debug)]
pub struct Process {
    pub parts: Vec<Part>,
    pub server: ServerConfig,
    pub databases: Vec<(&'static str, DatabaseConnection)>,
    pub folder: Option<DataFolder>,
}

impl Process {
    /// The same with one more part.
    #[must_use]
    pub fn part(mut self, part: Part) -> Self {
        self.parts.push(part);
        self
    }

    /// Serves on `listener` with all tasks, until `shutdown` is cancelled and
    /// open calls have ended.
    ///
    /// # Errors
    /// [`Error::Mesh`] where a task panicked: start again.
    pub async fn serve(
        self,
        listener: TcpListener,
        shutdown: CancellationToken,
    ) -> Result<(), Error> {
        let Self { parts, server, databases, folder } = self;
        let server = parts.into_iter().fold(Server::new(&server), Server::part);
        let served = server.serve(listener, shutdown).await;
        for (name, db) in databases {
            databases::close(name, &db).await;
        }
        // The next process may come now, and not before.
        drop(folder);
        served?;
        Ok(())
    }
}
