//! A replica with its share of calls, and how busy it is: what the balancer
//! compares.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use http::Uri;
use tower::{Service, limit::ConcurrencyLimit, load::Load};

use super::{
    exchange::Outgoing,
    replica::{Replica, State},
};

/// A replica that has no more than so many calls at a time.
pub(super) struct Member {
    limited: ConcurrencyLimit<Replica>,
    state: Arc<State>,
}

impl Member {
    pub(super) fn new(state: Arc<State>, origin: Uri, max_calls: usize) -> Self {
        let replica = Replica::new(Arc::clone(&state), origin);
        Self { limited: ConcurrencyLimit::new(replica, max_calls), state }
    }
}

impl Load for Member {
    /// Its open calls, and as many more as it has failed lately: a replica that fails
    /// at once is never busy, and would draw all calls to itself.
    type Metric = usize;

    fn load(&self) -> usize {
        self.state.load()
    }
}

impl Service<Outgoing> for Member {
    type Response = <ConcurrencyLimit<Replica> as Service<Outgoing>>::Response;
    type Error = <ConcurrencyLimit<Replica> as Service<Outgoing>>::Error;
    type Future = <ConcurrencyLimit<Replica> as Service<Outgoing>>::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.limited.poll_ready(cx)
    }

    fn call(&mut self, outgoing: Outgoing) -> Self::Future {
        self.limited.call(outgoing)
    }
}
