//! `countersign`: everything in one process, until a signal.

use std::io::Write;

use countersign_mesh::{logs, shutdown};
use countersign_types::Clock;
use tokio::net::TcpListener;

use crate::{Config, DataFolder, Embedded, Error, banner};

pub(super) async fn run(config: Config, out: &mut dyn Write) -> Result<(), Error> {
    logs::init(&config.log)?;
    let shutdown = shutdown::signal()?;
    let folder = DataFolder::claim(&config.data_dir)?;
    let address = config.server.listen;
    let failed = |source| Error::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;

    let data = folder.path();
    let embedded = Embedded::build_in(folder, &config, Clock::system()).await?;
    // The socket listens already: who calls from here on is answered. A closed
    // standard output is no reason not to serve.
    let _ = banner::print(out, address, &data);
    tracing::info!(server.address = %address, data.folder = %data.display(), "serving");
    if let Some(warning) = banner::warning(address) {
        tracing::warn!(server.address = %address, "{warning}");
    }
    embedded.serve(listener, shutdown).await
}
