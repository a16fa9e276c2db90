//! `notes AUTH [NATS]`: serves notes on 127.0.0.1:50061. `AUTH` is where
//! Countersign listens, such as `http://127.0.0.1:50051`, and `NATS` its broker,
//! where it has one, such as `nats://127.0.0.1:4222`.

use std::error::Error;

use countersign_events::{Bus, JetStreamOptions};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut arguments = std::env::args().skip(1);
    let auth = arguments.next().ok_or("say where Countersign listens: http://HOST:PORT")?;
    let bus = match arguments.next() {
        Some(nats) => Bus::jetstream(JetStreamOptions::new([nats])).await?,
        None => Bus::memory(),
    };
    let listener = TcpListener::bind("127.0.0.1:50061").await?;
    notes::serve(&auth, bus, listener, CancellationToken::new()).await
}
