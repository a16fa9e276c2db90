//! What one process serves, whatever runs in it.

use countersign_mesh::{Part, Readiness, config::ServerConfig, server::Server};
use sea_orm::DatabaseConnection;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{DataFolder, Error, databases};

/// What health calls the process itself: serving for as long as it answers and
/// is not told to stop, whatever it depends on. A restart helps where it does
/// not answer, and does not bring a database back.
const CONDITION: &str = "countersign.process";

/// Parts behind one server, and what is closed when it has stopped.
#[derive(Debug)]
pub struct Process {
    pub parts: Vec<Part>,
    pub server: ServerConfig,
    pub databases: Vec<(&'static str, DatabaseConnection)>,
    pub folder: Option<DataFolder>,
}

impl Process {
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
        let alive = Part::new("process").condition(CONDITION, Readiness::always());
        let parts = parts.into_iter().chain([alive]);
        let server = parts.fold(Server::new(&server), Server::part);
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
