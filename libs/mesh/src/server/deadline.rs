//! Ends calls whose time is over, with DEADLINE_EXCEEDED.
//!
//! The client's `grpc-timeout` counts for the whole call, streams included. The
//! server's own time, and its cap on the client's, count until the answer begins,
//! for a stream that was asked for may last.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use countersign_contracts::status;
use countersign_types::{Code, Fault};
use http::{HeaderMap, HeaderValue};
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until, timeout_at};
use tonic::{Status, body::Body};

use super::{
    stage::{Request, Response, Stage},
    tail::{refusal, trailers},
};
use crate::{Incoming, config::ServerConfig};

/// The time that a call may take (gRPC over HTTP/2, "Requests").
pub(crate) const TIMEOUT_HEADER: &str = "grpc-timeout";
/// Digits of a timeout (gRPC over HTTP/2, "Requests").
const MAX_DIGITS: usize = 8;

pub(super) struct Deadline<S> {
    next: S,
    default: Duration,
    max: Duration,
}

/// A body that ends with DEADLINE_EXCEEDED when its time is over.
pub(crate) struct Timed {
    inner: Option<Body>,
    end: Pin<Box<Sleep>>,
}

impl<S> Deadline<S> {
    pub(super) fn new(next: S, config: &ServerConfig) -> Self {
        Self { next, default: config.request_timeout, max: config.max_request_timeout }
    }
}

impl<S: Stage> Stage for Deadline<S> {
    async fn handle(&self, request: Request) -> Response {
        let Ok(asked) = asked(request.headers()) else {
            let malformed = "grpc-timeout must be up to 8 digits and one of H M S m u n";
            let fault = Fault::new(Code::InvalidArgument, "MALFORMED_TIMEOUT", malformed);
            return refusal(status(fault));
        };
        if asked == Some(Duration::ZERO) {
            return refusal(exceeded());
        }
        let now = Instant::now();
        let answer = now + asked.unwrap_or(self.default).min(self.max);
        // Whatever is called to answer this call has no more time than it has.
        let incoming = Incoming::of(request.headers(), answer);
        let handled = incoming.scope(self.next.handle(request));
        match timeout_at(answer, handled).await {
            Err(_) => refusal(exceeded()),
            Ok(response) => match asked {
                None => response,
                Some(asked) => response.map(|body| Timed::body(body, now + asked)),
            },
        }
    }
}

/// The time that the client gives; an error when it can not be read.
pub(crate) fn asked(headers: &HeaderMap) -> Result<Option<Duration>, ()> {
    let Some(value) = headers.get(TIMEOUT_HEADER) else { return Ok(None) };
    let (unit, digits) = value.as_bytes().split_last().ok_or(())?;
    if digits.is_empty() || digits.len() > MAX_DIGITS || !digits.iter().all(u8::is_ascii_digit) {
        return Err(());
    }
    let count = digits.iter().fold(0u64, |n, digit| n * 10 + u64::from(digit - b'0'));
    match unit {
        b'H' => Ok(Duration::from_secs(count * 3600)),
        b'M' => Ok(Duration::from_secs(count * 60)),
        b'S' => Ok(Duration::from_secs(count)),
        b'm' => Ok(Duration::from_millis(count)),
        b'u' => Ok(Duration::from_micros(count)),
        b'n' => Ok(Duration::from_nanos(count)),
        _ => Err(()),
    }
    .map(Some)
}

/// So much time in the finest unit whose digits suffice, rounded down.
pub(crate) fn timeout_header(left: Duration) -> HeaderValue {
    const MOST: u128 = 10u128.pow(MAX_DIGITS as u32) - 1;
    let units = [
        (left.as_nanos(), 'n'),
        (left.as_micros(), 'u'),
        (left.as_millis(), 'm'),
        (u128::from(left.as_secs()), 'S'),
    ];
    let fits = units.into_iter().find(|(count, _)| *count <= MOST);
    let (count, unit) = fits.unwrap_or((MOST, 'S'));
    // Digits and a letter.
    HeaderValue::try_from(format!("{count}{unit}")).unwrap_or(HeaderValue::from_static("0n"))
}

fn exceeded() -> Status {
    let over = "the time for the call is over";
    status(Fault::new(Code::DeadlineExceeded, "DEADLINE_EXCEEDED", over))
}

impl Timed {
    /// `inner`, which is over at `end`.
    pub(crate) fn body(inner: Body, end: Instant) -> Body {
        Body::new(Self { inner: Some(inner), end: Box::pin(sleep_until(end)) })
    }
}

impl HttpBody for Timed {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let Some(inner) = &mut self.inner else { return Poll::Ready(None) };
        if let Poll::Ready(frame) = Pin::new(inner).poll_frame(cx) {
            return Poll::Ready(frame);
        }
        ready!(self.end.as_mut().poll(cx));
        self.inner = None;
        Poll::Ready(Some(Ok(trailers(&exceeded()))))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map(HttpBody::size_hint).unwrap_or_default()
    }
}
