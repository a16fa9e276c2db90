//! When to stop: SIGTERM from an orchestrator, SIGINT from a keyboard.

use tokio::signal::unix::{SignalKind, signal as listen};
use tokio_util::sync::CancellationToken;

use crate::Error;

/// Exit code of a process that a second signal ended: 128 + SIGINT.
const FORCED: i32 = 130;

/// A token that the first SIGTERM or SIGINT cancels. A second one ends the
/// process at once: nothing committed is lost by that, open calls are.
///
/// # Errors
/// [`Error::Signal`] when the system refuses to deliver signals.
pub fn signal() -> Result<CancellationToken, Error> {
    let mut terminate = listen(SignalKind::terminate()).map_err(Error::Signal)?;
    let mut interrupt = listen(SignalKind::interrupt()).map_err(Error::Signal)?;
    let token = CancellationToken::new();
    let cancel = token.clone();
    tokio::spawn(async move {
        let name = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        };
        tracing::info!(signal = name, "stopping");
        cancel.cancel();
        tokio::select! {
            _ = terminate.recv() => (),
            _ = interrupt.recv() => (),
        }
        tracing::warn!("stopping at once, open calls are cut off");
        std::process::exit(FORCED);
    });
    Ok(token)
}
