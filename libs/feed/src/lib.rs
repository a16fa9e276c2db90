//! What a guard lives on in a process without the auth service: verification
//! keys, fetched by gRPC, and revocations, heard from the bus. Any service that
//! mounts a guard can use it; the user service does.
//!
//! How the auth services are found and called is not decided here: whoever makes
//! a feed hands over a channel, the mesh's or one of tonic's.
//!
//! It starts while nobody else is there. Until keys and revocations have come,
//! the guard answers UNAVAILABLE, and [`Feed::ready`] says so.

mod keys;
mod options;
mod revoked;
mod standing;

use std::time::Duration;

use countersign_events::{Bus, Follower, Following};
use countersign_guard::{Guard, GuardBuilder, Revocations, Settings};
use countersign_tokens::KeyRing;
use countersign_types::Clock;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::{Status, body::Body, codegen::StdError};
use tower::{Service, ServiceExt, util::BoxCloneSyncService};

pub use options::FeedOptions;
pub use revoked::follow_revocations;

use crate::{
    keys::{KeyNews, KeySource, Way},
    standing::Standing,
};

const KEY_CHANGED: &str = "countersign.events.v1.SigningKeyChanged";

/// Keys and revocations for one guard.
pub struct Feed {
    settings: Settings,
    clock: Clock,
    ring: KeyRing,
    revocations: Revocations,
    news: KeyNews,
    source: KeySource,
    standing: Standing,
    following: Following,
    max_staleness: Option<Duration>,
    ready: watch::Receiver<bool>,
}

impl Feed {
    /// Keys from the auth services behind `auth`, and what `bus` tells of
    /// revocations: before [`Bus::run`], which is the caller's to run. With
    /// [`Bus::memory`] nothing is heard of other processes, and a session that
    /// was ended there is let in here until its access token expires.
    ///
    /// `auth` is asked for the life of the process: let it connect again by itself,
    /// and notice a server that is gone without a word (HTTP/2 keepalive).
    pub fn new<S>(
        settings: Settings,
        auth: S,
        options: &FeedOptions,
        bus: &Bus,
        clock: Clock,
    ) -> Self
    where
        S: Service<http::Request<Body>, Response = http::Response<Body>>,
        S: Clone + Send + Sync + 'static,
        S::Error: Into<StdError>,
        S::Future: Send + 'static,
    {
        let (ring, revocations) = (KeyRing::default(), Revocations::default());
        let news = KeyNews::new(options);
        let way: Way =
            BoxCloneSyncService::new(auth.map_err(|error| Status::from_error(error.into())));
        let source = KeySource::new(way, options, &settings.issuer, ring.clone(), news.clone());
        let following = follow_revocations(bus, &revocations, options.token_life, settings.leeway);
        let changed = news.clone();
        // What changed before the start is fetched at the start.
        let horizon = options.timeout;
        bus.follow(Follower::new("guard.keys", &[KEY_CHANGED], horizon, move |_| changed.hint()));
        let (sender, ready) = watch::channel(false);
        let max_staleness = Some(options.max_staleness).filter(|limit| !limit.is_zero());
        let standing = Standing {
            following: following.clone(),
            keys_known: news.known(),
            revocations: revocations.clone(),
            max_staleness,
            clock: clock.clone(),
            ready: sender,
        };
        Self {
            settings,
            clock,
            ring,
            revocations,
            news,
            source,
            standing,
            following,
            max_staleness,
            ready,
        }
    }

    /// A guard that lives on this. Rules and policies are still missing.
    #[must_use]
    pub fn guard(&self) -> GuardBuilder {
        let (news, following) = (self.news.clone(), self.following.clone());
        Guard::builder(self.settings.clone())
            .keys(self.ring.clone())
            .revocations(self.revocations.clone())
            .clock(self.clock.clone())
            .staleness(move || following.staleness(), self.max_staleness)
            .ring_is_current(move || {
                news.hint();
                news.are_current()
            })
    }

    /// Whether the guard knows enough to let anybody in, now and from now on.
    #[must_use]
    pub fn ready(&self) -> watch::Receiver<bool> {
        self.ready.clone()
    }

    /// Feeds the guard until `cancel`.
    pub async fn run(self, cancel: CancellationToken) {
        let Self { source, standing, .. } = self;
        tokio::join!(source.run(cancel.clone()), standing.run(cancel));
    }
}

impl std::fmt::Debug for Feed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Feed").field("ready", &*self.ready.borrow()).finish_non_exhaustive()
    }
}
