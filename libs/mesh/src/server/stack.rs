//! The stack that every call passes, as one ordered list.

use std::sync::Arc;

use tonic::service::Routes;
use tower::{Service, ServiceBuilder, layer::layer_fn};

use super::{
    contain::Contain,
    content_type::ContentType,
    deadline::Deadline,
    explain::Explain,
    front::{Frame, Front, Unpack},
    header_limit::HeaderLimit,
    limit::{Limit, Streams},
    observe::{Methods, Observe},
    origin::Origin,
    priority::Priorities,
    request_id::RequestId,
    stage::{Request, Response, Stage},
    storage::{self, Keeps, Storage},
    trace::Trace,
};
use crate::{Part, config::ServerConfig};

/// What the parts say of their RPCs.
#[derive(Clone)]
pub(super) struct Known {
    keeps: Arc<Keeps>,
    priorities: Priorities,
    streams: Streams,
    methods: Methods,
}

impl Known {
    pub(super) fn of(parts: &[Part]) -> Self {
        Self {
            keeps: storage::keeps(parts),
            priorities: Priorities::of(parts),
            streams: Streams::of(parts),
            methods: Methods::of(parts),
        }
    }
}

/// The whole stack; a call passes it from top to bottom, its answer from bottom to top.
/// `frame` is for callers that speak no gRPC, where there may be any.
pub(super) fn stack(
    config: &ServerConfig,
    known: Known,
    frame: Option<Frame>,
    routes: Routes,
) -> impl Stage {
    let Known { keeps, priorities, streams, methods } = known;
    ServiceBuilder::new()
        // First, so that everything below can name the call.
        .layer(layer_fn(RequestId::new))
        // Above all that asks where a call comes from.
        .layer(layer_fn(|next| Origin::new(next, config)))
        // Above all that reads the name of a call or a header of gRPC: whatever it
        // comes as, below it is gRPC.
        .layer(layer_fn(|next| Front::new(next, frame.clone())))
        // Above all that records or writes down what belongs to a trace.
        .layer(layer_fn(Trace::new))
        // Sees the status that the client sees, whoever below has made it.
        .layer(layer_fn(|next| Observe::new(next, methods.clone())))
        // What is not gRPC gets an HTTP answer, which nothing below could read.
        .layer(layer_fn(ContentType::new))
        // As early as a status can be given: nothing else shall read these headers.
        .layer(layer_fn(|next| HeaderLimit::new(next, config.max_header_bytes)))
        // Above all that makes errors: none leaves without a reason for programs.
        .layer(layer_fn(Explain::new))
        // Above all that can panic; below the log, which counts a panic as any INTERNAL.
        .layer(layer_fn(Contain::new))
        // Before the deadline: a call that is shed must cost next to nothing.
        .layer(layer_fn(|next| Limit::new(next, config, priorities.clone(), streams.clone())))
        // Above the work, so that the time counts all of it, the reading of the request included.
        .layer(layer_fn(|next| Deadline::new(next, config)))
        // Whoever knows that there is no use in waiting says so before the time is over.
        .layer(layer_fn(|next| Storage::new(next, Arc::clone(&keeps))))
        // Below all limits: what makes a message of a body reads it only in its time,
        // and only as far as there is room.
        .layer(layer_fn(Unpack::new))
        .service(Mounted(routes))
}

/// The services, with the guard before each.
struct Mounted(Routes);

impl Stage for Mounted {
    async fn handle(&self, request: Request) -> Response {
        match self.0.clone().call(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}
