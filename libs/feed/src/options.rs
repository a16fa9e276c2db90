//! How often keys are fetched, and how old news may be.

use std::time::Duration;

use countersign_tokens::MAX_TOKEN_LIFE;

/// How often keys are fetched, and how old news may be.
#[derive(Clone, Debug)]
pub struct FeedOptions {
    /// How often the keys are fetched: at most half of the auth service's
    /// `signing_keys.announce_period`, so that a fetch may fail once and no key
    /// is missed.
    pub refresh_interval: Duration,
    /// How long a fetch may take, with all that the channel does about it.
    pub timeout: Duration,
    /// How old the news of revocations may be before the guard refuses calls
    /// with UNAVAILABLE, for rules that name no `max_staleness` of their own; zero
    /// sets no limit. While all is well it is under 3 s.
    pub max_staleness: Duration,
    /// The longest life of an access token.
    pub token_life: Duration,
}

impl Default for FeedOptions {
    /// Keys every four minutes, and news of any age.
    fn default() -> Self {
        Self {
            refresh_interval: Duration::from_secs(240),
            timeout: Duration::from_secs(3),
            max_staleness: Duration::ZERO,
            token_life: MAX_TOKEN_LIFE,
        }
    }
}
