//! A connection that tells when the other side has said its first word.
//!
//! A server that is going away may take a connection and never look at it. The
//! first thing that HTTP/2 says is the server's SETTINGS (RFC 9113, section 3.4):
//! before it is there, no call is sent, for its fate would be unknown.

use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::oneshot,
};
use tokio_util::io::InspectReader;

/// Both directions of a connection, whatever it is made of.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// `stream`, and what is told when something came.
pub(super) fn overheard(stream: Box<dyn Duplex>) -> (impl Duplex + 'static, oneshot::Receiver<()>) {
    let (waiting, spoken) = oneshot::channel();
    let mut waiting = Some(waiting);
    let listen = move |came: &[u8]| {
        if !came.is_empty()
            && let Some(waiting) = waiting.take()
        {
            // Whoever waited may have given up.
            let _ = waiting.send(());
        }
    };
    (InspectReader::new(stream, listen), spoken)
}
