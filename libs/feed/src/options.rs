//! Where keys come from, and how old news may be.

use std::{path::PathBuf, time::Duration};

use countersign_tokens::MAX_TOKEN_LIFE;

/// Where keys come from, and how old news may be.
#[derive(Clone, Debug)]
pub struct FeedOptions {
    /// Auth services, `http://HOST:PORT` or `https://HOST:PORT`; one that does
    /// not answer is passed over.
    pub auth: Vec<String>,
    /// PEM file with the authorities that sign their certificates; the system's
    /// where there is none.
    pub ca_file: Option<PathBuf>,
    /// How often the keys are fetched: at most half of the auth service's
    /// `signing_keys.announce_period`, so that a fetch may fail once and no key
    /// is missed.
    pub refresh_interval: Duration,
    /// How long one auth service may take to answer.
    pub timeout: Duration,
    /// How old the news of revocations may be before the guard refuses calls
    /// with UNAVAILABLE, for rules that name no `max_staleness` of their own; zero
    /// sets no limit. While all is well it is under 3 s.
    pub max_staleness: Duration,
    /// The longest life of an access token.
    pub token_life: Duration,
}

impl FeedOptions {
    /// Keys from these auth services, every four minutes.
    #[must_use]
    pub fn new(auth: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            auth: auth.into_iter().map(Into::into).collect(),
            ca_file: None,
            refresh_interval: Duration::from_secs(240),
            timeout: Duration::from_secs(3),
            max_staleness: Duration::ZERO,
            token_life: MAX_TOKEN_LIFE,
        }
    }
}
