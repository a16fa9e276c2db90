//! The verification keys of a process without the auth service: fetched over the
//! channel that it was given, again every few minutes, and earlier where there is a hint.
//!
//! The hints, an event and a token of an unknown key, only bring the next fetch
//! forward: whoever sends many tokens that were never ours causes no more than
//! one fetch in five seconds.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use countersign_contracts::auth::v1::{
    GetVerificationKeysRequest, GetVerificationKeysResponse, auth_service_client::AuthServiceClient,
};
use countersign_events::Backoff;
use countersign_tokens::{KeyRing, VerificationKey};
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Status, body::Body};
use tower::util::BoxCloneSyncService;

use crate::FeedOptions;

/// Waits after a fetch that brought nothing.
const RETRY: Backoff = Backoff { first: Duration::from_millis(100), max: Duration::from_secs(10) };
/// The least time between two fetches, whatever hints there are.
const SPACING: Duration = Duration::from_secs(5);
/// Guards that hear one hint ask within this time, not all at once.
const SPREAD: Backoff = Backoff { first: Duration::from_secs(1), max: Duration::from_secs(1) };
/// More keys than this nobody has.
const MAX_KEYS: usize = 256;
const MAX_ANSWER_BYTES: usize = 256 * 1024;

/// The way to the auth services.
pub type Way = BoxCloneSyncService<http::Request<Body>, http::Response<Body>, Status>;

/// Fetches keys into a ring.
pub struct KeySource {
    ring: KeyRing,
    client: AuthServiceClient<Way>,
    issuer: String,
    refresh_interval: Duration,
    timeout: Duration,
    news: KeyNews,
}

/// What is known about the keys, for those who wait for them. Clones are the same.
#[derive(Clone)]
pub struct KeyNews(Arc<News>);

struct News {
    hint: Notify,
    known: watch::Sender<bool>,
    fetched: Mutex<Option<Instant>>,
    /// Keys that were fetched so long ago may lack one that signs.
    good_for: Duration,
}

/// Why a fetch brought nothing.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("it answers {}: {}", .0.code(), .0.message())]
    Status(#[from] Status),
    #[error("its tokens are issued by {0:?}: token.issuer differs between the two")]
    Issuer(String),
    #[error("its answer has no keys, too many, or one that cannot be read")]
    Keys,
}

impl KeyNews {
    /// Nothing known yet.
    pub fn new(options: &FeedOptions) -> Self {
        Self(Arc::new(News {
            hint: Notify::new(),
            known: watch::Sender::new(false),
            fetched: Mutex::default(),
            good_for: 2 * options.refresh_interval,
        }))
    }

    /// There may be a new key.
    pub fn hint(&self) {
        self.0.hint.notify_one();
    }

    /// Whether there are keys, now and from now on.
    pub fn known(&self) -> watch::Receiver<bool> {
        self.0.known.subscribe()
    }

    /// Whether the keys are so new that none can be missing.
    pub fn are_current(&self) -> bool {
        let fetched = *self.0.fetched.lock().unwrap_or_else(PoisonError::into_inner);
        fetched.is_some_and(|fetched| fetched.elapsed() <= self.0.good_for)
    }

    /// Until a fetch is due because of a hint, where the last one began at `asked`.
    async fn hinted(&self, asked: Instant) {
        self.0.hint.notified().await;
        sleep_until(after_a_hint(asked, Instant::now())).await;
    }

    /// The answer to a question of that time.
    fn fetched(&self, asked: Instant) {
        *self.0.fetched.lock().unwrap_or_else(PoisonError::into_inner) = Some(asked);
        self.0.known.send_if_modified(|before| !std::mem::replace(before, true));
    }
}

impl KeySource {
    /// A source that fills `ring` from the auth services at the end of `way`, where
    /// they issue as `issuer`.
    pub fn new(
        way: Way,
        options: &FeedOptions,
        issuer: &str,
        ring: KeyRing,
        news: KeyNews,
    ) -> Self {
        let client = AuthServiceClient::new(way).max_decoding_message_size(MAX_ANSWER_BYTES);
        let FeedOptions { refresh_interval, timeout, .. } = *options;
        Self { ring, client, issuer: issuer.to_owned(), refresh_interval, timeout, news }
    }

    /// Fetches until `cancel`.
    pub async fn run(self, cancel: CancellationToken) {
        let mut failures = 0;
        loop {
            let asked = Instant::now();
            let answer = self.ask().await;
            let wait = if self.learn(answer, asked) {
                failures = 0;
                Backoff { first: self.refresh_interval, max: self.refresh_interval }.delay(1)
            } else {
                failures += 1;
                RETRY.delay(failures)
            };
            tokio::select! {
                () = cancel.cancelled() => return,
                () = sleep(wait) => {}
                () = self.news.hinted(asked) => {}
            }
        }
    }

    fn ask(&self) -> impl Future<Output = Result<GetVerificationKeysResponse, Status>> + use<> {
        let mut client = self.client.clone();
        let mut request = Request::new(GetVerificationKeysRequest {});
        request.set_timeout(self.timeout);
        async move { Ok(client.get_verification_keys(request).await?.into_inner()) }
    }

    /// What came of a question of that time. True: the keys.
    fn learn(&self, answer: Result<GetVerificationKeysResponse, Status>, asked: Instant) -> bool {
        match answer.map_err(Refusal::from).and_then(|answer| self.read(answer)) {
            Ok(keys) => {
                self.take(keys);
                self.news.fetched(asked);
                true
            }
            Err(refusal) => {
                tracing::warn!(error = %refusal, "no keys from an auth service");
                false
            }
        }
    }

    fn read(&self, answer: GetVerificationKeysResponse) -> Result<Vec<VerificationKey>, Refusal> {
        let GetVerificationKeysResponse { keys, issuer } = answer;
        if issuer != self.issuer {
            return Err(Refusal::Issuer(issuer));
        }
        if keys.is_empty() || keys.len() > MAX_KEYS {
            return Err(Refusal::Keys);
        }
        let keys = keys.iter().map(|key| VerificationKey::from_paserk(&key.paserk));
        keys.collect::<Result<_, _>>().map_err(|_| Refusal::Keys)
    }

    /// A new ring empties the guard's cache: only where it is a new one.
    fn take(&self, keys: Vec<VerificationKey>) {
        let known = |key: &VerificationKey| self.ring.contains(key.key_id().as_str());
        if keys.len() != self.ring.len() || !keys.iter().all(known) {
            tracing::info!(keys = keys.len(), "the verification keys have changed");
            self.ring.replace(keys);
        }
    }
}

/// When to ask again, where there was a hint `now` and the last fetch began at `asked`.
fn after_a_hint(asked: Instant, now: Instant) -> Instant {
    (asked + SPACING).max(now + SPREAD.delay(1))
}

#[cfg(test)]
mod tests {
    use std::slice;

    use countersign_contracts::auth::v1 as auth;
    use countersign_tokens::SigningKey;
    use futures::FutureExt;
    use tower::service_fn;

    use super::*;

    fn answer(issuer: &str, keys: &[String]) -> GetVerificationKeysResponse {
        let key = |paserk: &String| auth::VerificationKey {
            paserk: paserk.clone(),
            ..Default::default()
        };
        let keys = keys.iter().map(key).collect();
        GetVerificationKeysResponse { issuer: issuer.to_owned(), keys }
    }

    #[test]
    fn keys_are_taken_only_from_who_issues_our_tokens_and_only_where_all_can_be_read() {
        let options = FeedOptions::default();
        let news = KeyNews::new(&options);
        let nobody =
            service_fn(async |_| Err::<http::Response<Body>, _>(Status::unavailable("away")));
        let way = BoxCloneSyncService::new(nobody);
        let source = KeySource::new(way, &options, "us", KeyRing::default(), news);
        let good = SigningKey::generate().unwrap().verification_key().paserk();
        assert_eq!(source.read(answer("us", slice::from_ref(&good))).unwrap().len(), 1);
        for refused in [
            answer("others", slice::from_ref(&good)),
            answer("us", &[]),
            answer("us", &[good.clone(), "k4.public.nonsense".to_owned()]),
            answer("us", &vec![good; MAX_KEYS + 1]),
        ] {
            assert!(source.read(refused).is_err());
        }
    }

    #[tokio::test]
    async fn hints_bring_the_next_fetch_forward_and_no_more_than_that() {
        let news = KeyNews::new(&FeedOptions::default());
        for _ in 0..1_000 {
            news.hint();
        }
        let hint = || news.0.hint.notified().now_or_never().is_some();
        assert!(hint());
        assert!(!hint(), "a thousand hints are one");
        let asked = Instant::now();
        assert!(after_a_hint(asked, asked) == asked + SPACING);
        let long_after = asked + 2 * SPACING;
        assert!(after_a_hint(asked, long_after) <= long_after + SPREAD.max);
    }
}
