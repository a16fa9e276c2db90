//! Step 2: the bearer token, verified once and remembered.
//!
//! Failures are never remembered, and a remembered token is asked again for
//! everything that changes with time: its expiry and audience, and whether its
//! key is still in the ring.

use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use countersign_tokens::{Binding, Error, Expect, KeyRing, MAX_TOKEN_BYTES, verify};
use countersign_types::{Code, Fault, Timestamp};
use http::{HeaderMap, header::AUTHORIZATION};
use moka::sync::Cache;
use sha2::{Digest, Sha256};

use crate::{
    Settings,
    flood::Flood,
    principal::{Principal, Types},
    record::{Lookup, Recorder},
};

/// A token is forgotten after this time, whatever its life; it can be verified again.
const REMEMBERED: Duration = Duration::from_mins(15);

/// Verifies bearer tokens.
pub(crate) struct Tokens {
    /// By SHA-256 of the whole token: no two tokens share an entry.
    cache: Cache<[u8; 32], Arc<Principal>>,
    keys: KeyRing,
    binding: Binding,
    expect: Expect,
    types: Arc<Types>,
    is_current: Option<IsCurrent>,
    flood: Flood,
}

/// What stands before a token (RFC 6750, section 2.1).
const SCHEME: &[u8] = b"Bearer ";

/// Whether the ring is certain to hold every key that signs.
pub(crate) type IsCurrent = Box<dyn Fn() -> bool + Send + Sync>;

/// When a call makes sense again that came before the guard knew all it must.
const READY_RETRY: Duration = Duration::from_secs(1);

impl Tokens {
    pub(crate) fn new(
        settings: &Settings,
        keys: KeyRing,
        types: Arc<Types>,
        is_current: Option<IsCurrent>,
    ) -> Self {
        let cache = Cache::builder().max_capacity(settings.cache_capacity);
        Self {
            cache: cache.time_to_live(REMEMBERED).build(),
            keys,
            binding: Binding { environment: settings.environment.clone() },
            expect: Expect {
                issuer: settings.issuer.clone(),
                audience: settings.audience.clone(),
                leeway: settings.leeway,
            },
            types,
            is_current,
            flood: Flood::new(settings.bad_tokens_per_second),
        }
    }

    /// Whether there is any key to verify with.
    pub(crate) fn has_keys(&self) -> bool {
        !self.keys.is_empty()
    }

    /// The caller, from the `authorization` metadata of a request.
    pub(crate) fn principal(
        &self,
        headers: &HeaderMap,
        peer: Option<IpAddr>,
        now: Timestamp,
        recorder: &Recorder,
    ) -> Result<Arc<Principal>, Fault> {
        let token = bearer(headers)?;
        let digest: [u8; 32] = Sha256::digest(token).into();
        let principal = match self.cache.get(&digest) {
            Some(principal) => {
                recorder.token(Lookup::Hit);
                principal
            }
            None => {
                let toll = self.flood.toll(peer, Instant::now()).map_err(|wait| {
                    recorder.token(Lookup::Shed);
                    flooded(wait)
                })?;
                match self.verify(token, digest, now) {
                    Ok(principal) => {
                        recorder.token(Lookup::Miss);
                        toll.give_back();
                        principal
                    }
                    Err(error) => {
                        recorder.token(Lookup::Refused);
                        if is_cheap(&error) {
                            toll.give_back();
                        }
                        return Err(self.refusal(error));
                    }
                }
            }
        };
        if !principal.key_is_in(&self.keys) {
            self.cache.invalidate(&digest);
        }
        self.hold(&principal, now)?;
        Ok(principal)
    }

    /// Whether a token that was verified before holds now.
    pub(crate) fn hold(&self, principal: &Principal, now: Timestamp) -> Result<(), Fault> {
        if !principal.key_is_in(&self.keys) {
            return Err(refusal(Error::UnknownKey));
        }
        self.expect.check(&principal.claims, now).map_err(refusal)
    }

    /// How long it holds at most.
    pub(crate) fn remaining(&self, principal: &Principal, now: Timestamp) -> Duration {
        principal.claims.expires_at.plus(self.expect.leeway).since(now)
    }

    /// A key that is not here may have come to be since the keys were fetched.
    fn refusal(&self, error: Error) -> Fault {
        match (&self.is_current, error) {
            (Some(is_current), Error::UnknownKey) if !is_current() => {
                not_ready("the service has not yet learned of the newest keys")
            }
            (_, error) => refusal(error),
        }
    }

    /// Callers that bring the same new token at once wait for one verification.
    fn verify(
        &self,
        token: &[u8],
        digest: [u8; 32],
        now: Timestamp,
    ) -> Result<Arc<Principal>, Error> {
        let made = self.cache.try_get_with(digest, || {
            let token = str::from_utf8(token).map_err(|_| Error::Malformed)?;
            let epoch = self.keys.epoch();
            let verified = verify(token, &self.keys, &self.binding)?;
            self.expect.check(&verified.claims, now)?;
            let principal = Principal::new(&self.types, verified, epoch);
            principal.map(Arc::new).map_err(|_| Error::Claims)
        });
        made.map_err(|error| *error)
    }
}

/// The token of a request: one `authorization` entry, `Bearer` and the token
/// (RFC 6750, section 2.1).
fn bearer(headers: &HeaderMap) -> Result<&[u8], Fault> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        return Err(unauthenticated(
            "TOKEN_MISSING",
            "the call needs an access token in its authorization metadata",
        ));
    };
    if values.next().is_some() || value.len() > MAX_TOKEN_BYTES + SCHEME.len() {
        return Err(malformed());
    }
    match value.as_bytes().split_at_checked(SCHEME.len()) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case(SCHEME) => Ok(token),
        _ => Err(malformed()),
    }
}

/// What a client may know about why its token is refused.
fn refusal(error: Error) -> Fault {
    match error {
        Error::TooLarge | Error::Header | Error::Malformed => malformed(),
        Error::Expired => unauthenticated("TOKEN_EXPIRED", "the access token is expired"),
        _ => unauthenticated("TOKEN_INVALID", "the access token does not hold here"),
    }
}

/// Whether a token was refused before its signature was looked at.
const fn is_cheap(error: &Error) -> bool {
    matches!(error, Error::TooLarge | Error::Header | Error::Malformed | Error::UnknownKey)
}

fn flooded(wait: Duration) -> Fault {
    let message = "too many tokens that do not hold came from this address";
    Fault::new(Code::ResourceExhausted, "TOO_MANY_BAD_TOKENS", message).retry_after(wait)
}

fn malformed() -> Fault {
    unauthenticated("TOKEN_MALFORMED", "the authorization metadata holds no access token")
}

pub(crate) fn not_ready(message: &'static str) -> Fault {
    Fault::new(Code::Unavailable, "GUARD_NOT_READY", message).retry_after(READY_RETRY)
}

pub(crate) fn unauthenticated(reason: &'static str, message: &'static str) -> Fault {
    Fault::new(Code::Unauthenticated, reason, message)
}

#[cfg(test)]
mod tests {
    use std::{sync::Barrier, thread};

    use countersign_tokens::{AccountAttributes, AuthMethods, Claims, Purpose, SigningKey, sign};
    use countersign_types::{SessionId, UserId};
    use http::HeaderValue;

    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

    fn bearer_of(key: &SigningKey) -> HeaderMap {
        let claims = Claims {
            issuer: "issuer".to_owned(),
            subject: UserId::generate(),
            audience: "audience".to_owned(),
            issued_at: NOW,
            not_before: NOW,
            expires_at: NOW.plus(Duration::from_secs(300)),
            token_id: String::new(),
            session: SessionId::generate(),
            session_epoch: 1,
            account_epoch: 1,
            auth_time: NOW,
            methods: AuthMethods::default(),
            roles: Vec::new(),
            attributes: AccountAttributes::default(),
            purpose: Purpose::Access,
        };
        let binding = Binding { environment: "test".to_owned() };
        let token = sign(key, &binding, &claims).unwrap();
        let value = HeaderValue::try_from(format!("Bearer {token}")).unwrap();
        HeaderMap::from_iter([(AUTHORIZATION, value)])
    }

    #[test]
    fn callers_that_bring_a_new_token_at_once_share_one_verification() {
        let key = SigningKey::generate().unwrap();
        let ring = KeyRing::default();
        ring.replace(vec![key.verification_key()]);
        let settings = Settings {
            issuer: "issuer".to_owned(),
            audience: "audience".to_owned(),
            environment: "test".to_owned(),
            ..Settings::default()
        };
        let tokens = Tokens::new(
            &settings,
            ring,
            Arc::new(Types::new(crate::AttributeKinds::default()).unwrap()),
            None,
        );
        let (headers, recorder) = (bearer_of(&key), Recorder::new());
        let start = Barrier::new(8);
        let ask = || {
            start.wait();
            tokens.principal(&headers, None, NOW, &recorder).unwrap()
        };
        let principals: Vec<_> = thread::scope(|scope| {
            let callers: Vec<_> = (0..8).map(|_| scope.spawn(ask)).collect();
            callers.into_iter().map(|caller| caller.join().unwrap()).collect()
        });
        // One verification makes one principal, and all got that one.
        assert!(principals.iter().all(|principal| Arc::ptr_eq(principal, &principals[0])));
    }
}
