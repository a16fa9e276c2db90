//! Servers: everything in one process, or one service of many. Each runs until
//! a signal.

use std::{future::Future, io::Write, net::SocketAddr};

use countersign_mesh::{shutdown, telemetry::Telemetry};
use countersign_types::Clock;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{AuthRole, Config, DataFolder, Embedded, Error, UserRole, banner, process::Process};

/// What a server tells of itself, and what tells it to stop.
struct Beginning {
    telemetry: Telemetry,
    shutdown: CancellationToken,
}

pub(super) async fn run(config: Config, out: &mut dyn Write) -> Result<(), Error> {
    let beginning = Beginning::of("countersign", &config).await?;
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
    beginning.serve(embedded.into_process(), listener).await
}

pub(super) async fn run_auth(config: Config, out: &mut dyn Write) -> Result<(), Error> {
    let beginning = Beginning::of("countersign-auth", &config).await?;
    let (listener, address) = listen(&config).await?;
    let building = AuthRole::build(&config, Clock::system());
    let Some(role) = beginning.unless_stopped(building).await? else { return Ok(()) };
    let _ = banner::print_role(out, "auth", address);
    beginning.serve(role.into_process(), listener).await
}

pub(super) async fn run_user(config: Config, out: &mut dyn Write) -> Result<(), Error> {
    let beginning = Beginning::of("countersign-user", &config).await?;
    let (listener, address) = listen(&config).await?;
    let building = UserRole::build(&config, Clock::system());
    let Some(role) = beginning.unless_stopped(building).await? else { return Ok(()) };
    let _ = banner::print_role(out, "user", address);
    beginning.serve(role.into_process(), listener).await
}

impl Beginning {
    /// Before all else: what is built later counts and logs from its first step.
    async fn of(service: &'static str, config: &Config) -> Result<Self, Error> {
        let telemetry = Telemetry::start(service, &config.log, &config.telemetry).await?;
        Ok(Self { telemetry, shutdown: shutdown::signal()? })
    }

    /// A start may wait for another process that migrates: a signal ends it.
    async fn unless_stopped<T>(
        &self,
        build: impl Future<Output = Result<T, Error>>,
    ) -> Result<Option<T>, Error> {
        tokio::select! {
            built = build => built.map(Some),
            () = self.shutdown.cancelled() => Ok(None),
        }
    }

    async fn serve(self, process: Process, listener: TcpListener) -> Result<(), Error> {
        let Self { mut telemetry, shutdown } = self;
        let served = process.part(telemetry.part()).serve(listener, shutdown).await;
        telemetry.stop().await;
        served
    }
}

async fn listen(config: &Config) -> Result<(TcpListener, SocketAddr), Error> {
    let address = config.server.listen;
    let failed = |source| Error::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}
