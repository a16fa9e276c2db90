//! The verification keys of a process without the auth service: fetched from
//! it, again every few minutes, and earlier where there is a hint.
//!
//! The hints, an event and a token of an unknown key, only bring the next fetch
//! forward: whoever sends many tokens that were never ours causes no more than
//! one fetch in five seconds.

use std::{
    error::Error as _,
    fs,
    path::Path,
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
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint};

use crate::{Error, FeedOptions};

/// Waits after a round in which no auth service answered.
const RETRY: Backoff = Backoff { first: Duration::from_millis(100), max: Duration::from_secs(10) };
/// The least time between two rounds, whatever hints there are.
const SPACING: Duration = Duration::from_secs(5);
/// Guards that hear one hint ask within this time, not all at once.
const SPREAD: Backoff = Backoff { first: Duration::from_secs(1), max: Duration::from_secs(1) };
/// More keys than this nobody has.
const MAX_KEYS: usize = 256;
const MAX_ANSWER_BYTES: usize = 256 * 1024;

/// Fetches keys into a ring.
pub struct KeySource {
    ring: KeyRing,
    endpoints: Vec<Endpoint>,
    issuer: String,
    refresh_interval: Duration,
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

/// Why one auth service was of no use.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("it cannot be reached: {}", roots(.0))]
    Unreachable(#[from] tonic::transport::Error),
    #[error("it answers {}: {}", .0.code(), .0.message())]
    Status(#[from] tonic::Status),
    #[error("its tokens are issued by {0:?}: token.issuer differs between the two")]
    Issuer(String),
    #[error("its answer has no keys, too many, or one that cannot be read")]
    Keys,
}

/// An error with what is behind it: which certificate is not trusted, for instance.
fn roots(error: &tonic::transport::Error) -> String {
    let mut told = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let text = error.to_string();
        if !told.contains(&text) {
            told = format!("{told}: {text}");
        }
        source = error.source();
    }
    told
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

    /// The answer to a question of that time.
    fn fetched(&self, asked: Instant) {
        *self.0.fetched.lock().unwrap_or_else(PoisonError::into_inner) = Some(asked);
        self.0.known.send_if_modified(|before| !std::mem::replace(before, true));
    }
}

impl KeySource {
    /// A source that fills `ring` from the auth services in `options`, where they
    /// issue as `issuer`.
    ///
    /// # Errors
    /// [`Error::NoSource`], [`Error::Source`], [`Error::Authority`].
    pub fn new(
        options: &FeedOptions,
        issuer: &str,
        ring: KeyRing,
        news: KeyNews,
    ) -> Result<Self, Error> {
        let tls = tls(options.ca_file.as_deref())?;
        let endpoint = |url: &String| endpoint(url, &tls, options.timeout);
        let endpoints: Vec<_> = options.auth.iter().map(endpoint).collect::<Result<_, _>>()?;
        if endpoints.is_empty() {
            return Err(Error::NoSource);
        }
        let (issuer, refresh_interval) = (issuer.to_owned(), options.refresh_interval);
        Ok(Self { ring, endpoints, issuer, refresh_interval, news })
    }

    /// Fetches until `cancel`.
    pub async fn run(mut self, cancel: CancellationToken) {
        let mut failures = 0;
        loop {
            let asked = Instant::now();
            let wait = if self.round(asked).await {
                failures = 0;
                Backoff { first: self.refresh_interval, max: self.refresh_interval }.delay(1)
            } else {
                failures += 1;
                RETRY.delay(failures)
            };
            tokio::select! {
                () = cancel.cancelled() => return,
                () = sleep(wait) => {}
                () = self.hinted(asked) => {}
            }
        }
    }

    async fn hinted(&self, asked: Instant) {
        self.news.0.hint.notified().await;
        sleep_until(after_a_hint(asked, Instant::now())).await;
    }

    /// Asks one auth service after the other. True: one has answered.
    async fn round(&mut self, asked: Instant) -> bool {
        for endpoint in &self.endpoints {
            match self.fetch(endpoint).await {
                Ok(keys) => {
                    self.take(keys);
                    self.news.fetched(asked);
                    // Whoever answered is asked first the next time as well.
                    return true;
                }
                Err(refusal) => {
                    let source = endpoint.uri();
                    tracing::warn!(%source, error = %refusal, "no keys from an auth service");
                }
            }
        }
        // Not the same one first for ever, where it takes long to say nothing.
        self.endpoints.rotate_left(1);
        false
    }

    async fn fetch(&self, endpoint: &Endpoint) -> Result<Vec<VerificationKey>, Refusal> {
        let client = AuthServiceClient::new(endpoint.connect().await?);
        let mut client = client.max_decoding_message_size(MAX_ANSWER_BYTES);
        let answer = client.get_verification_keys(GetVerificationKeysRequest {}).await?;
        self.read(answer.into_inner())
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

fn endpoint(url: &str, tls: &ClientTlsConfig, timeout: Duration) -> Result<Endpoint, Error> {
    let refused = |_| Error::Source(url.to_owned());
    let mut endpoint = Endpoint::from_shared(url.to_owned()).map_err(refused)?;
    if url.starts_with("https://") {
        endpoint = endpoint.tls_config(tls.clone()).map_err(refused)?;
    }
    Ok(endpoint.connect_timeout(timeout).timeout(timeout))
}

/// Whom to trust: the authorities in this file, or those of the system.
fn tls(ca: Option<&Path>) -> Result<ClientTlsConfig, Error> {
    let Some(path) = ca else { return Ok(ClientTlsConfig::new().with_native_roots()) };
    let refused = |reason| Error::Authority { path: path.to_owned(), reason };
    let pem = fs::read_to_string(path).map_err(|error| refused(error.to_string()))?;
    if !pem.contains("-----BEGIN CERTIFICATE-----") {
        return Err(refused("there is no certificate in it".to_owned()));
    }
    Ok(ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem)))
}

/// When to ask again, where there was a hint `now` and the last round began at `asked`.
fn after_a_hint(asked: Instant, now: Instant) -> Instant {
    (asked + SPACING).max(now + SPREAD.delay(1))
}

#[cfg(test)]
mod tests {
    use std::slice;

    use countersign_contracts::auth::v1 as auth;
    use countersign_tokens::SigningKey;
    use futures::FutureExt;

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
        let options = FeedOptions::new(["http://127.0.0.1:1"]);
        let news = KeyNews::new(&options);
        let source = KeySource::new(&options, "us", KeyRing::default(), news).unwrap();
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

    #[test]
    fn what_is_no_address_is_refused() {
        let news = KeyNews::new(&FeedOptions::new([""; 0]));
        let made = |auth: &[&str]| {
            let options = FeedOptions::new(auth.iter().copied());
            KeySource::new(&options, "us", KeyRing::default(), news.clone()).err()
        };
        assert!(matches!(made(&[]), Some(Error::NoSource)));
        assert!(matches!(made(&["no address"]), Some(Error::Source(_))));
        assert!(made(&["http://127.0.0.1:1"]).is_none());
    }

    #[tokio::test]
    async fn hints_bring_the_next_fetch_forward_and_no_more_than_that() {
        let news = KeyNews::new(&FeedOptions::new(["http://127.0.0.1:1"]));
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
