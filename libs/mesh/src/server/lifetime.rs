//! How long a connection lives: it is closed when nobody uses it, and once in a
//! while anyhow, so that clients spread over new replicas.

use std::{sync::Arc, time::Duration};

use tokio::{sync::watch, time::sleep};
use tonic::body::Body;
use uuid::Uuid;

use super::tail::Tail;
use crate::config::ServerConfig;

/// The limits, the same for all connections.
#[derive(Clone, Copy)]
pub(super) struct Lifetime {
    idle: Duration,
    age: Duration,
    /// How long the calls of a connection whose time is over may take to end.
    pub(super) grace: Duration,
}

/// The open calls of one connection, streams that are still answered included.
#[derive(Clone)]
pub(super) struct OpenCalls(Arc<watch::Sender<usize>>);

/// One of them; it counts until it is dropped.
pub(super) struct OpenCall(OpenCalls);

impl Lifetime {
    pub(super) const fn new(config: &ServerConfig) -> Self {
        Self {
            idle: config.max_connection_idle,
            age: config.max_connection_age,
            grace: config.max_connection_grace,
        }
    }

    /// Waits until the time of a connection with these calls is over.
    pub(super) async fn over(&self, calls: &OpenCalls) {
        tokio::select! {
            () = calls.idle_for(self.idle) => {}
            () = sleep(scattered(self.age)) => {}
        }
    }
}

impl OpenCalls {
    pub(super) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(0)))
    }

    /// Counts one more.
    pub(super) fn open(&self) -> OpenCall {
        self.0.send_modify(|open| *open += 1);
        OpenCall(self.clone())
    }

    /// Waits until there was none for so long.
    async fn idle_for(&self, limit: Duration) {
        let mut open = self.0.subscribe();
        loop {
            let busy = *open.borrow_and_update() > 0;
            tokio::select! {
                // `self` holds the sender: there is always somebody to wait for.
                _ = open.changed() => {}
                () = sleep(limit), if !busy => return,
            }
        }
    }
}

impl OpenCall {
    /// `body`, until whose end the call is open.
    pub(super) fn until_end_of(self, body: Body) -> Body {
        Tail::body(body, move |_| {
            let _open = &self;
        })
    }
}

impl Drop for OpenCall {
    fn drop(&mut self) {
        self.0.0.send_modify(|open| *open -= 1);
    }
}

/// A tenth more or less, so that clients that came together do not come again
/// together.
fn scattered(age: Duration) -> Duration {
    let [random, ..] = *Uuid::new_v4().as_bytes();
    age.mul_f64(0.9 + 0.2 * f64::from(random) / 255.0)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_age_is_scattered_by_a_tenth() {
        let age = Duration::from_secs(1000);
        for _ in 0..100 {
            let scattered = scattered(age).as_secs();
            assert!((900..=1100).contains(&scattered), "{scattered}");
        }
    }
}
