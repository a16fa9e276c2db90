//! A message on its way in: it has to be there in time, and gets its place among
//! the calls that are worked on only once it is.
//!
//! Of a client that streams its messages each has so much time, from its first
//! byte on. Between them it may let pass what it likes.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use countersign_contracts::status;
use countersign_types::{Code, Fault};
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::{
    sync::OwnedSemaphorePermit,
    time::{Instant, Sleep, sleep},
};
use tonic::{Status, body::Body};

use super::{
    framing::Framing,
    priority::Priority,
    room::{Room, busy},
};

/// What a call takes up of the server; shared by its stage and its body.
pub(super) struct Place {
    rooms: Vec<Arc<Room>>,
    priority: Priority,
    state: Mutex<State>,
}

enum State {
    /// Its message is not there yet; these are the places of what is.
    Arriving(Vec<OwnedSemaphorePermit>),
    /// It is worked on.
    Working { _permits: Vec<OwnedSemaphorePermit> },
    /// Its answer has begun. A stream of messages may go on for as long as it likes.
    Answered,
}

/// The body of a request. It ends with an error where there is no place.
pub(super) struct Arriving {
    inner: Option<Body>,
    place: Arc<Place>,
    message: Duration,
    end: Pin<Box<Sleep>>,
    /// Of a stream, where in its messages it is.
    framing: Option<Framing>,
}

/// What a message may take.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    pub(super) message: Duration,
    /// Whether the client streams messages.
    pub(super) is_stream: bool,
}

impl Place {
    pub(super) fn new(rooms: Vec<Arc<Room>>, priority: Priority) -> Self {
        Self { rooms, priority, state: Mutex::new(State::Arriving(Vec::new())) }
    }

    /// The answer begins: the call gives its place back.
    pub(super) fn leave(&self) {
        *self.state() = State::Answered;
    }

    /// The message is there, and the call wants to be worked on.
    fn work(&self) -> bool {
        let mut state = self.state();
        if let State::Arriving(_) = *state {
            let permits: Option<Vec<_>> =
                self.rooms.iter().map(|room| room.work(self.priority)).collect();
            let Some(permits) = permits else { return false };
            *state = State::Working { _permits: permits };
        }
        true
    }

    /// So many more bytes of the message are there.
    fn store(&self, bytes: usize) -> bool {
        if let State::Arriving(stored) = &mut *self.state() {
            for room in &self.rooms {
                let Some(permit) = room.store(bytes) else { return false };
                stored.push(permit);
            }
        }
        true
    }

    /// What was stored is no longer on its way.
    fn release(&self) {
        if let State::Arriving(stored) = &mut *self.state() {
            stored.clear();
        }
    }

    fn is_arriving(&self) -> bool {
        matches!(*self.state(), State::Arriving(_))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Arriving {
    /// `inner`, which has to be there in time.
    pub(super) fn body(inner: Body, place: Arc<Place>, limits: Limits) -> Body {
        let Limits { message, is_stream } = limits;
        Body::new(Self {
            inner: Some(inner),
            place,
            message,
            end: Box::pin(sleep(message)),
            framing: is_stream.then(Framing::default),
        })
    }

    /// Some bytes are there. Of a stream, those of messages that are whole are no
    /// longer on their way, and the next one's time begins with its first byte.
    fn take(&mut self, data: &[u8]) -> bool {
        let mut arriving = data.len();
        if let Some(framing) = &mut self.framing {
            let begun = framing.read(data);
            if begun.is_new {
                self.end.as_mut().reset(Instant::now() + self.message);
                self.place.release();
            }
            arriving = begun.bytes.min(arriving);
        }
        self.place.store(arriving)
    }

    /// Whether something has to come soon.
    fn is_awaited(&self) -> bool {
        self.place.is_arriving() && self.framing.as_ref().is_none_or(Framing::is_within)
    }

    /// Nothing more is read of a body that is refused.
    fn refuse(&mut self, status: Status) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        self.inner = None;
        Poll::Ready(Some(Err(status)))
    }
}

impl HttpBody for Arriving {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let Some(inner) = &mut self.inner else { return Poll::Ready(None) };
        match Pin::new(inner).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(data) = frame.data_ref()
                    && !self.take(data)
                {
                    return self.refuse(busy());
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(None) => {
                self.inner = None;
                if self.place.work() { Poll::Ready(None) } else { self.refuse(busy()) }
            }
            Poll::Pending if self.is_awaited() => {
                ready!(self.end.as_mut().poll(cx));
                self.refuse(too_slow())
            }
            other => other,
        }
    }

    // Its end is known once it was read to there, and has found a place.
    fn is_end_stream(&self) -> bool {
        self.inner.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map(HttpBody::size_hint).unwrap_or_default()
    }
}

fn too_slow() -> Status {
    let message = "the message did not arrive in time";
    status(Fault::new(Code::DeadlineExceeded, "MESSAGE_TOO_SLOW", message))
}
