//! What a stage of the stack is. Which ones there are, and in which order, says
//! the stack alone.

use std::{future::Future, sync::Arc};

use tonic::body::Body;

/// A call on its way in.
pub(super) type Request = http::Request<Body>;
/// An answer on its way out.
pub(super) type Response = http::Response<Body>;

/// One stage of the stack: what it does before and after the stages below it.
pub(super) trait Stage: Send + Sync + 'static {
    /// Answers a call.
    fn handle(&self, request: Request) -> impl Future<Output = Response> + Send;
}

impl<S: Stage> Stage for Arc<S> {
    async fn handle(&self, request: Request) -> Response {
        S::handle(self, request).await
    }
}
