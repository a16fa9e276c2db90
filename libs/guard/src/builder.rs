//! Puts a guard together, and refuses to where its parts do not fit.

use std::{sync::Arc, time::Duration};

use cedar_policy::Authorizer;
use countersign_tokens::KeyRing;
use countersign_types::{Clock, Denial};
use tokio::sync::mpsc;

use crate::{
    Access, Error, Guard, Revocations, Rule, Settings,
    guard::Core,
    news::News,
    policies::{Frame, Live, PolicyFile},
    principal::Types,
    record::{Recorder, Sink},
    rule::{Entry, Gate, Rules},
    token::{IsCurrent, Tokens},
};

/// Puts a guard together; see [`Guard::builder`].
pub struct GuardBuilder {
    settings: Settings,
    rules: Vec<Rule>,
    schema: String,
    policies: Vec<PolicyFile>,
    keys: KeyRing,
    revocations: Revocations,
    clock: Clock,
    sink: Option<Sink>,
    is_current: Option<IsCurrent>,
    news: News,
}

impl GuardBuilder {
    pub(crate) fn new(settings: Settings) -> Self {
        Self {
            settings,
            rules: Vec::new(),
            schema: String::new(),
            policies: Vec::new(),
            keys: KeyRing::default(),
            revocations: Revocations::default(),
            clock: Clock::system(),
            sink: None,
            is_current: None,
            news: News::default(),
        }
    }

    /// Adds rules, as generated from the contracts.
    #[must_use]
    pub fn rules(mut self, rules: &[Rule]) -> Self {
        self.rules.extend_from_slice(rules);
        self
    }

    /// Sets the schema (Cedar syntax) and adds policy files, each with its name
    /// and its text. Every policy needs an `@id` of its own.
    #[must_use]
    pub fn policies(mut self, schema: &str, files: &[(&str, &str)]) -> Self {
        schema.clone_into(&mut self.schema);
        let owned = files.iter().map(|(name, text)| PolicyFile::new(*name, *text));
        self.policies.extend(owned);
        self
    }

    /// Adds policy files that are not built in, such as those of a
    /// [`crate::policies::PolicyFolder`].
    #[must_use]
    pub fn more_policies(mut self, files: impl IntoIterator<Item = PolicyFile>) -> Self {
        self.policies.extend(files);
        self
    }

    /// The ring of verification keys.
    #[must_use]
    pub fn keys(mut self, keys: KeyRing) -> Self {
        self.keys = keys;
        self
    }

    /// What is revoked. The guard lets no token through before it is ready.
    #[must_use]
    pub fn revocations(mut self, revocations: Revocations) -> Self {
        self.revocations = revocations;
        self
    }

    /// Where the time comes from; the system if not set.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Asked when a token names a key that is not in the ring: whether the ring
    /// is certain to hold every key that signs, as far as whoever fills it
    /// knows. Where it is not, the call is answered UNAVAILABLE instead of
    /// refused, for the token may well hold. It is asked on the request path,
    /// of anybody's tokens: it must be quick, and may wake whoever fetches keys.
    #[must_use]
    pub fn ring_is_current(mut self, ask: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        self.is_current = Some(Box::new(ask));
        self
    }

    /// For a guard that hears from elsewhere what is revoked: how old that news
    /// is, `None` before the first. A call is answered UNAVAILABLE where it is
    /// older than the rule of its RPC allows (`max_staleness`) or, where the rule
    /// does not say, than `limit`; without either the guard goes on with what it
    /// knows. `age` is asked on the request path, and must be quick.
    #[must_use]
    pub fn staleness(
        mut self,
        age: impl Fn() -> Option<Duration> + Send + Sync + 'static,
        limit: Option<Duration>,
    ) -> Self {
        self.news = News::new(Box::new(age), limit);
        self
    }

    /// Where denials are sent, besides the log and the metrics; see [`Guard::record`].
    #[must_use]
    pub fn record(mut self, sink: mpsc::Sender<Denial>) -> Self {
        self.sink = Some(Sink::new(sink));
        self
    }

    /// The guard.
    ///
    /// # Errors
    /// [`Error`] names the setting, the policy file or the rule that does not fit.
    pub fn build(self) -> Result<Guard, Error> {
        self.settings.check()?;
        let attributes = self.settings.attributes.clone();
        let schema = attributes.extend(&self.schema)?;
        let types =
            Types::new(attributes).ok_or_else(|| Error::Schema("no such type names".to_owned()))?;
        let types = Arc::new(types);
        let mut frame = Frame::new(&schema)?;
        let entries = self.rules.iter().map(|rule| entry(*rule, &mut frame, &types));
        let rules = Rules::new(entries.collect::<Result<Vec<_>, _>>()?)?;
        let core = Core {
            rules,
            policies: Live::new(frame, &self.policies)?,
            tokens: Tokens::new(&self.settings, self.keys, Arc::clone(&types), self.is_current),
            revocations: self.revocations,
            news: self.news,
            authorizer: Authorizer::new(),
            types,
            recorder: Recorder::new(),
            clock: self.clock,
            max_message_bytes: self.settings.max_message_bytes,
            first_message_timeout: self.settings.first_message_timeout,
            resolver_timeout: self.settings.resolver_timeout,
        };
        Ok(Guard::new(core, self.sink))
    }
}

fn entry(rule: Rule, frame: &mut Frame, types: &Types) -> Result<Entry, Error> {
    let gate = match rule.access {
        Access::Public => Gate::Public,
        Access::Policy { resource } => {
            Gate::Policy(Box::new(frame.gate(rule.rpc, resource, types)?))
        }
        Access::List { resource } => {
            Gate::List(Box::new(frame.list_gate(rule.rpc, resource, types)?))
        }
    };
    let Rule { rpc, max_staleness, streams_requests, .. } = rule;
    Ok(Entry { rpc, gate, max_staleness, streams_requests })
}
