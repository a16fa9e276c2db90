//! The guard itself: what its parts share, and the way of a call through them.

use std::{collections::HashMap, fmt, net::SocketAddr, sync::Arc, time::Duration};

use cedar_policy::Authorizer;
use countersign_types::{Clock, Code, Denial, Fault};
use http::HeaderMap;
use tokio::sync::mpsc;

use crate::{
    AttributeKinds, GuardBuilder, GuardLayer, Guarded, Resolver, Revocations, Settings,
    news::News,
    policies::Live,
    principal::{Principal, Types},
    record::{Recorder, Sink},
    rule::{Entry, Gate, Rules},
    token::{Tokens, not_ready},
};

/// Checks calls. Clones share everything; resolvers, and where denials are sent,
/// are the handle's own.
#[derive(Clone)]
pub struct Guard {
    pub(crate) core: Arc<Core>,
    resolvers: Arc<HashMap<&'static str, Arc<dyn Resolver>>>,
    pub(crate) sink: Option<Sink>,
}

pub(crate) struct Core {
    pub(crate) rules: Rules,
    pub(crate) policies: Live,
    pub(crate) tokens: Tokens,
    pub(crate) revocations: Revocations,
    pub(crate) news: News,
    pub(crate) authorizer: Authorizer,
    pub(crate) types: Arc<Types>,
    pub(crate) recorder: Recorder,
    pub(crate) clock: Clock,
    pub(crate) max_message_bytes: usize,
    pub(crate) first_message_timeout: Duration,
    pub(crate) resolver_timeout: Duration,
}

/// What the layer found out about a call, for the adapter behind it. Nobody
/// else can make or read one.
#[derive(Clone)]
pub(crate) struct Admission {
    pub(crate) guard: Guard,
    pub(crate) rule: Arc<Entry>,
    /// `None` where anybody may call.
    pub(crate) principal: Option<Arc<Principal>>,
}

impl Guard {
    /// Starts a guard.
    #[must_use]
    pub fn builder(settings: Settings) -> GuardBuilder {
        GuardBuilder::new(settings)
    }

    pub(crate) fn new(core: Core, sink: Option<Sink>) -> Self {
        Self { core: Arc::new(core), resolvers: Arc::default(), sink }
    }

    /// The same guard with one more resolver, for a type of resource such as `Session`.
    #[must_use]
    pub fn with_resolver(&self, resource: &'static str, resolver: impl Resolver) -> Self {
        let mut resolvers = (*self.resolvers).clone();
        resolvers.insert(resource, Arc::new(resolver));
        Self { resolvers: Arc::new(resolvers), ..self.clone() }
    }

    /// The same guard, which sends the calls that it denies to `sink`, besides
    /// log and metrics: each service keeps the books about its own. Nothing
    /// waits for room there: a denial that finds none is dropped, counted
    /// (`countersign.guard.dropped_denials`), and the log says so once a minute.
    #[must_use]
    pub fn record(&self, sink: mpsc::Sender<Denial>) -> Self {
        Self { sink: Some(Sink::new(sink)), ..self.clone() }
    }

    /// Puts a service behind this guard.
    #[must_use]
    pub fn protect<S>(&self, service: S) -> Guarded<S> {
        Guarded::new(self.clone(), service)
    }

    /// The guard as a tower layer.
    #[must_use]
    pub fn layer(&self) -> GuardLayer {
        GuardLayer::new(self.clone())
    }

    /// Octets of the longest message that a guarded service decodes.
    #[must_use]
    pub fn max_message_bytes(&self) -> usize {
        self.core.max_message_bytes
    }

    /// The RPCs that have a rule, such as `countersign.user.v1.ProfileService/GetProfile`.
    /// A server compares them with what it mounts before it starts.
    pub fn rpcs(&self) -> impl Iterator<Item = &'static str> {
        self.core.rules.entries().map(|entry| entry.rpc)
    }

    /// Those of them whose clients stream requests.
    pub(crate) fn streaming(&self) -> impl Iterator<Item = &'static str> {
        let streaming = self.core.rules.entries().filter(|entry| entry.streams_requests);
        streaming.map(|entry| entry.rpc)
    }

    /// The attributes that accounts can have.
    #[must_use]
    pub fn declared_attributes(&self) -> &AttributeKinds {
        &self.core.types.attributes
    }

    /// Whether a policy that is in force now reads this attribute of callers: a
    /// token that is issued for this guard need not carry another. Policies that
    /// are exchanged for some that read more find it in the tokens that are
    /// issued from then on.
    #[must_use]
    pub fn reads_attribute(&self, name: &str) -> bool {
        self.core.policies.current().reads_attribute(name)
    }

    /// Whether calls that need a token can be decided: there are keys, and what
    /// is revoked is known, and lately enough for rules that set no limit of their
    /// own. Until then they are refused as UNAVAILABLE.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.core.is_able(None).is_ok()
    }

    pub(crate) fn resolver(&self, resource: &str) -> Option<&dyn Resolver> {
        self.resolvers.get(resource).map(|resolver| &**resolver)
    }

    /// Steps 1 to 3, before the message is decoded.
    pub(crate) fn admit(
        &self,
        path: &str,
        headers: &HeaderMap,
        peer: Option<SocketAddr>,
    ) -> Result<Admission, Fault> {
        let core = &self.core;
        let Some(rule) = core.rules.of_path(path) else {
            core.recorder.unknown_rpc();
            return Err(Fault::new(
                Code::Unimplemented,
                "METHOD_UNKNOWN",
                "the method is not part of the contract",
            ));
        };
        let principal = match rule.gate {
            Gate::Public => None,
            Gate::Policy(_) | Gate::List(_) => {
                Some(self.authenticate(headers, peer, rule.max_staleness)?)
            }
        };
        Ok(Admission { guard: self.clone(), rule: Arc::clone(rule), principal })
    }

    pub(crate) fn authenticate(
        &self,
        headers: &HeaderMap,
        peer: Option<SocketAddr>,
        max_staleness: Option<Duration>,
    ) -> Result<Arc<Principal>, Fault> {
        let core = &self.core;
        core.is_able(max_staleness)?;
        let (peer, now) = (peer.map(|peer| peer.ip()), core.clock.now());
        let principal = core.tokens.principal(headers, peer, now, &core.recorder)?;
        core.is_live(&principal)?;
        Ok(principal)
    }
}

impl Core {
    /// Whether somebody who was let in would be let in now: what a stream has
    /// to meet for as long as it is open.
    pub(crate) fn still_admits(
        &self,
        principal: &Principal,
        max_staleness: Option<Duration>,
    ) -> Result<(), Fault> {
        self.is_able(max_staleness)?;
        self.tokens.hold(principal, self.clock.now())?;
        self.is_live(principal)
    }

    fn is_able(&self, max_staleness: Option<Duration>) -> Result<(), Fault> {
        if !self.revocations.is_ready() {
            return Err(not_ready("the service has not yet learned what was revoked"));
        }
        if !self.tokens.has_keys() {
            return Err(not_ready("the service has not yet learned the keys"));
        }
        self.news.check(max_staleness)
    }

    fn is_live(&self, principal: &Principal) -> Result<(), Fault> {
        self.revocations.check(&principal.claims)
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").field("revocations", &self.core.revocations).finish_non_exhaustive()
    }
}
