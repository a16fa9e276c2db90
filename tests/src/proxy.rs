//! A wire that can fail: a proxy for TCP in this process, between a client and
//! a server that know nothing of it.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    sync::watch,
};
use tokio_util::sync::{CancellationToken, DropGuard};

/// How much of a message is carried at once: small, so that being slow tells.
const CHUNK: usize = 4096;

/// What the wire is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weather {
    /// Everything passes.
    Clear,
    /// Everything passes, each chunk of 4 KiB so much later.
    Slow(Duration),
    /// Nothing passes and nobody is told, as when a cable is pulled.
    Cut,
    /// Who connects is turned away, as where nobody listens.
    Refusing,
}

/// A proxy in front of one server. Dropping it closes all its connections.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    wire: Arc<Wire>,
    _end: DropGuard,
}

#[derive(Debug)]
struct Wire {
    upstream: Mutex<Option<SocketAddr>>,
    weather: watch::Sender<Weather>,
    /// Counts the resets; connections of an earlier number break.
    resets: watch::Sender<u64>,
}

impl Proxy {
    /// A proxy on a free port of this machine. Until it has an upstream it
    /// turns everybody away.
    ///
    /// # Panics
    /// No port is free.
    pub async fn start(upstream: Option<SocketAddr>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let wire = Arc::new(Wire {
            upstream: Mutex::new(upstream),
            weather: watch::Sender::new(Weather::Clear),
            resets: watch::Sender::new(0),
        });
        let end = CancellationToken::new();
        tokio::spawn(end.clone().run_until_cancelled_owned(accept(
            listener,
            Arc::clone(&wire),
            end.clone(),
        )));
        Self { address, wire, _end: end.drop_guard() }
    }

    /// Where clients connect.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sends the next connections to another server, which may have another port
    /// since its restart.
    pub fn lead_to(&self, upstream: SocketAddr) {
        *self.wire.upstream.lock().unwrap_or_else(PoisonError::into_inner) = Some(upstream);
    }

    /// Changes the weather, also for what is connected. Refusing breaks it.
    pub fn set(&self, weather: Weather) {
        self.wire.weather.send_replace(weather);
        if weather == Weather::Refusing {
            self.reset();
        }
    }

    /// Breaks every connection there is (RST to both ends); new ones are taken.
    pub fn reset(&self) {
        self.wire.resets.send_modify(|count| *count += 1);
    }

    /// Clears the weather.
    pub fn heal(&self) {
        self.set(Weather::Clear);
    }
}

async fn accept(listener: TcpListener, wire: Arc<Wire>, end: CancellationToken) {
    loop {
        // An accept fails for lack of file descriptors at most: the next may not.
        let Ok((client, _)) = listener.accept().await else {
            tokio::task::yield_now().await;
            continue;
        };
        let carried = carry(client, Arc::clone(&wire));
        tokio::spawn(end.clone().run_until_cancelled_owned(carried));
    }
}

async fn carry(mut client: TcpStream, wire: Arc<Wire>) {
    let mut resets = wire.resets.subscribe();
    let upstream = *wire.upstream.lock().unwrap_or_else(PoisonError::into_inner);
    let refusing = *wire.weather.borrow() == Weather::Refusing;
    let server = match upstream {
        Some(upstream) if !refusing => TcpStream::connect(upstream).await.ok(),
        _ => None,
    };
    let Some(mut server) = server else {
        abort(&client);
        return;
    };
    for stream in [&client, &server] {
        // A wire adds no delay of its own; it works without, only later.
        let _ = stream.set_nodelay(true);
    }
    let (client_reads, client_writes) = client.split();
    let (server_reads, server_writes) = server.split();
    let both = async {
        tokio::try_join!(
            pump(client_reads, server_writes, wire.weather.subscribe()),
            pump(server_reads, client_writes, wire.weather.subscribe()),
        )
    };
    let whole = tokio::select! {
        carried = both => carried.is_ok(),
        _ = resets.changed() => false,
    };
    if !whole {
        abort(&client);
        abort(&server);
    }
}

async fn pump(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    mut weather: watch::Receiver<Weather>,
) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK];
    loop {
        let length = from.read(&mut chunk).await?;
        passes(&mut weather).await;
        if length == 0 {
            return to.shutdown().await;
        }
        to.write_all(&chunk[..length]).await?;
    }
}

async fn passes(weather: &mut watch::Receiver<Weather>) {
    loop {
        let now = *weather.borrow_and_update();
        match now {
            Weather::Clear | Weather::Refusing => return,
            Weather::Slow(delay) => {
                // A slow wire that clears up is no longer slow.
                let _ = tokio::time::timeout(delay, weather.changed()).await;
                return;
            }
            Weather::Cut => {
                if weather.changed().await.is_err() {
                    return;
                }
            }
        }
    }
}

/// The other end sees a reset, not an end, when the stream is dropped.
fn abort(stream: &TcpStream) {
    // Where that cannot be set it sees an end, which breaks the connection as well.
    let _ = stream.set_zero_linger();
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use super::*;

    async fn echo() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut reads, mut writes) = stream.split();
                    let _ = tokio::io::copy(&mut reads, &mut writes).await;
                });
            }
        });
        address
    }

    async fn say(stream: &mut TcpStream, text: &str) -> io::Result<String> {
        stream.write_all(text.as_bytes()).await?;
        let mut heard = vec![0; text.len()];
        stream.read_exact(&mut heard).await?;
        Ok(String::from_utf8_lossy(&heard).into_owned())
    }

    #[tokio::test]
    async fn what_is_cut_waits_and_comes_when_it_is_healed() {
        let proxy = Proxy::start(Some(echo().await)).await;
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(say(&mut stream, "one").await.unwrap(), "one");
        proxy.set(Weather::Cut);
        stream.write_all(b"two").await.unwrap();
        let mut heard = [0; 3];
        let silence = Duration::from_millis(50);
        assert!(tokio::time::timeout(silence, stream.read(&mut heard)).await.is_err());
        proxy.heal();
        stream.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"two");
        proxy.set(Weather::Slow(Duration::from_millis(1)));
        assert_eq!(say(&mut stream, "slow").await.unwrap(), "slow");
    }

    #[tokio::test]
    async fn a_reset_breaks_what_is_open_and_refusing_also_what_comes() {
        let proxy = Proxy::start(None).await;
        proxy.lead_to(echo().await);
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(say(&mut stream, "one").await.unwrap(), "one");
        proxy.reset();
        let mut heard = [0; 1];
        let broken = stream.read(&mut heard).await.unwrap_err();
        assert_eq!(broken.kind(), ErrorKind::ConnectionReset);

        proxy.set(Weather::Refusing);
        let mut refused = TcpStream::connect(proxy.address()).await.unwrap();
        assert!(say(&mut refused, "two").await.is_err());
        proxy.heal();
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(say(&mut stream, "three").await.unwrap(), "three");
    }
}
