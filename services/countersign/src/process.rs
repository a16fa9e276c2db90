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
    /// [`Error::Mesh`] where a task panicked: start again; [`Error::Listen`] where
    /// health cannot be answered on its own address.
    pub async fn serve(
        self,
        listener: TcpListener,
        shutdown: CancellationToken,
    ) -> Result<(), Error> {
        let Self { parts, server, databases, folder } = self;
        let alive = Part::new("process").condition(CONDITION, Readiness::always());
        let served = async {
            let parts = parts.into_iter().chain([alive]);
            let mut serving = parts.fold(Server::new(&server), Server::part);
            if let Some(address) = server.health_listen {
                let failed = |source| Error::Listen { address, source };
                serving = serving.health_on(TcpListener::bind(address).await.map_err(failed)?);
            }
            Ok(serving.serve(listener, shutdown).await?)
        };
        let served: Result<_, Error> = served.await;
        for (name, db) in databases {
            databases::close(name, &db).await;
        }
        // The next process may come now, and not before.
        drop(folder);
        served?;
        Ok(())
    }
}
