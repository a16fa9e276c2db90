//! Mounts the service behind the guard.

use std::time::Duration;

use countersign_events::Bus;
use countersign_feed::{Feed, FeedOptions};
use countersign_guard::Settings;
use countersign_types::Clock;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Endpoint, Server};

use crate::{generated, store::Notes, v1};

/// Serves on `listener` until `stop`. `auth` is where Countersign's auth service
/// listens, and `bus` where it tells of sessions that were ended.
pub async fn serve(
    auth: &str,
    bus: Bus,
    listener: TcpListener,
    stop: CancellationToken,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    // Whose tokens are taken: as Countersign is configured.
    let settings = Settings {
        issuer: "countersign".to_owned(),
        audience: "countersign".to_owned(),
        environment: "development".to_owned(),
        ..Settings::default()
    };
    let auth = Endpoint::from_shared(auth.to_owned())?
        .http2_keep_alive_interval(Duration::from_secs(10))
        .keep_alive_while_idle(true)
        .connect_lazy();
    let feed = Feed::new(settings, auth, &FeedOptions::default(), &bus, Clock::system());
    let (schema, policies) = (generated::CEDAR_SCHEMA, generated::BASE_POLICIES);
    let guard = feed.guard().rules(generated::RULES).policies(schema, policies).build()?;
    let notes = Notes::default();
    let service = v1::notes_service(notes.clone(), &guard.with_resolver("Note", notes));

    tokio::spawn(bus.run(stop.clone()));
    tokio::spawn(feed.run(stop.clone()));
    let incoming = TcpListenerStream::new(listener);
    let server = Server::builder().add_service(service);
    server.serve_with_incoming_shutdown(incoming, stop.cancelled_owned()).await?;
    Ok(())
}
