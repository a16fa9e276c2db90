//! Sheds what is more than the server can work on at a time: a quick refusal now
//! is worth more than a slow answer to everybody.

use std::{collections::HashSet, sync::Arc, time::Duration};

use super::{
    arriving::{Arriving, Limits, Place},
    priority::Priorities,
    room::{Room, busy},
    stage::{Request, Response, Stage},
    tail::refusal,
};
use crate::{Part, config::ServerConfig, health};

/// A call counts from when its message is there until its answer begins. Before
/// that it is no work, and only its client knows when it will be: who sends
/// slowly must not take the place of another's call. After that it is bounded
/// by the limits of connections and of streams on each, for the same reason.
pub(super) struct Limit<S> {
    next: S,
    room: Arc<Room>,
    priorities: Priorities,
    streams: Streams,
    message_timeout: Duration,
}

/// The paths of RPCs whose clients stream requests.
#[derive(Clone, Default)]
pub(super) struct Streams(Arc<HashSet<String>>);

impl Streams {
    pub(super) fn of(parts: &[Part]) -> Self {
        let all = parts.iter().flat_map(|part| &part.streaming);
        Self(Arc::new(all.map(|rpc| format!("/{rpc}")).collect()))
    }
}

impl<S> Limit<S> {
    pub(super) fn new(
        next: S,
        config: &ServerConfig,
        priorities: Priorities,
        streams: Streams,
    ) -> Self {
        let room = Arc::new(Room::of_all(config.max_concurrent_calls, config.max_message_bytes));
        Self { next, room, priorities, streams, message_timeout: config.message_timeout }
    }
}

impl<S: Stage> Stage for Limit<S> {
    async fn handle(&self, request: Request) -> Response {
        // A busy server is a healthy one: were its health not answered, it would
        // be restarted, and its calls would fall upon the others.
        if is_health(&request) {
            return self.next.handle(request).await;
        }
        let peer = request.extensions().get::<Arc<Room>>().cloned();
        let rooms: Vec<_> = [Some(Arc::clone(&self.room)), peer].into_iter().flatten().collect();
        let priority = self.priorities.get(request.uri().path());
        // Nothing of the message has to be read to know that it comes too soon.
        if rooms.iter().any(|room| room.is_full(priority)) {
            return refusal(busy());
        }
        let place = Arc::new(Place::new(rooms, priority));
        let arriving = Arc::clone(&place);
        let is_stream = self.streams.0.contains(request.uri().path());
        let limits = Limits { message: self.message_timeout, is_stream };
        let request = request.map(|body| Arriving::body(body, arriving, limits));
        let response = self.next.handle(request).await;
        place.leave();
        response
    }
}

/// Whether it is a call of the health service.
pub(super) fn is_health(request: &Request) -> bool {
    request.uri().path().split('/').nth(1) == Some(health::NAME)
}
