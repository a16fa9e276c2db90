//! Servers: everything in one process, or one service of many. Each runs until
//! a signal.

use std::{future::Future, io::Write, net::SocketAddr};

use countersign_mesh::{logs, shutdown};
use countersign_types::Clock;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{AuthRole, Config, DataFolder, Embedded, Error, UserRole, banner};

pub(super) async fn run(config: Config, out: &mut dyn Write) -> Result<(), Error> {
    let shutdown = begin(&config)?;
    let folder = DataFolder::claim(&config.data_dir)?;
    let (listener, address) = listen(&config).await?;

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

pub(super) async fn run_auth(config: Config, out: &mut dyn Write) -> Result<(), Error> {
    let shutdown = begin(&config)?;
    let (listener, address) = listen(&config).await?;
    let Some(role) = unless(&shutdown, AuthRole::build(&config, Clock::system())).await? else {
        return Ok(());
    };
    let _ = banner::print_role(out, "auth", address);
    role.serve(listener, shutdown).await
}

pub(super) async fn run_user(config: Config, out: &mut dyn Write) -> Result<(), Error> {
    let shutdown = begin(&config)?;
    let (listener, address) = listen(&config).await?;
    let Some(role) = unless(&shutdown, UserRole::build(&config, Clock::system())).await? else {
        return Ok(());
    };
    let _ = banner::print_role(out, "user", address);
    role.serve(listener, shutdown).await
}

fn begin(config: &Config) -> Result<CancellationToken, Error> {
    logs::init(&config.log)?;
    Ok(shutdown::signal()?)
}

async fn listen(config: &Config) -> Result<(TcpListener, SocketAddr), Error> {
    let address = config.server.listen;
    let failed = |source| Error::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}

/// A start may wait for another process that migrates: a signal ends it.
async fn unless<T>(
    shutdown: &CancellationToken,
    build: impl Future<Output = Result<T, Error>>,
) -> Result<Option<T>, Error> {
    tokio::select! {
        built = build => built.map(Some),
        () = shutdown.cancelled() => Ok(None),
    }
}
