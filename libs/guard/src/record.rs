//! Step 7: what the guard leaves behind: metrics, and a record of each denial.
//!
//! Nothing here waits: a record that finds no room is dropped and counted.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use countersign_types::Denial;
use opentelemetry::{KeyValue, global, metrics::Counter};
use tokio::sync::mpsc;

/// How often the log says that denials were dropped. They are dropped by the
/// thousand or not at all.
const TELL_INTERVAL: Duration = Duration::from_secs(60);

/// How a token was looked up.
#[derive(Clone, Copy)]
pub(crate) enum Lookup {
    Hit,
    Miss,
    Refused,
    /// Not looked at, because its sender has sent too many bad ones.
    Shed,
}

/// Writes down what the guard did. The instruments come from the global meter
/// provider, which has to be installed before the guard is built.
pub(crate) struct Recorder {
    decisions: Counter<u64>,
    tokens: Counter<u64>,
    unknown: Counter<u64>,
    dropped: Counter<u64>,
    policy_errors: Counter<u64>,
}

/// Where the denials of a handle of the guard go, besides log and metrics.
#[derive(Clone)]
pub(crate) struct Sink(Arc<SinkInner>);

struct SinkInner {
    denials: mpsc::Sender<Denial>,
    untold: Mutex<Untold>,
}

/// Denials that were dropped since the log last said so.
struct Untold {
    count: u64,
    told: Option<Instant>,
}

impl Recorder {
    pub(crate) fn new() -> Self {
        let meter = global::meter("countersign.guard");
        let counter = |name, description| {
            meter.u64_counter(name).with_description::<&str>(description).build()
        };
        let dropped = counter("countersign.guard.dropped_denials", "denials without room");
        // There from the start: an increase is seen from the first one on.
        dropped.add(0, &[]);
        Self {
            decisions: counter("countersign.guard.decisions", "decisions of the policies"),
            tokens: counter("countersign.guard.tokens", "access tokens by how they were looked up"),
            unknown: counter("countersign.guard.unknown_rpcs", "calls of RPCs without a rule"),
            dropped,
            policy_errors: counter(
                "countersign.guard.policy_errors",
                "policies that failed to evaluate; any is a reason to look",
            ),
        }
    }

    pub(crate) fn token(&self, lookup: Lookup) {
        let lookup = match lookup {
            Lookup::Hit => "hit",
            Lookup::Miss => "miss",
            Lookup::Refused => "refused",
            Lookup::Shed => "shed",
        };
        self.tokens.add(1, &[KeyValue::new("cache", lookup)]);
    }

    /// The path is the client's to choose and is no label.
    pub(crate) fn unknown_rpc(&self) {
        self.unknown.add(1, &[]);
    }

    /// Policies that failed to evaluate: the call is denied, and somebody has
    /// to hear of it.
    pub(crate) fn erred(&self, rpc: &'static str, policies: &[String]) {
        for policy in policies {
            let label = KeyValue::new("policy.id", policy.clone());
            self.policy_errors.add(1, &[label, KeyValue::new("rpc.method", rpc)]);
        }
        tracing::error!(
            target: "countersign::decision",
            ?policies,
            rpc.method = rpc,
            "policies failed to evaluate"
        );
    }

    pub(crate) fn permitted(&self, rpc: &'static str) {
        self.decided(rpc, "permit");
    }

    pub(crate) fn denied(&self, denial: Denial, sink: Option<&Sink>) {
        self.decided(denial.rpc, "deny");
        tracing::info!(
            target: "countersign::decision",
            decision = "deny",
            rpc.method = denial.rpc,
            user.id = %denial.user,
            resource.type = denial.resource_type,
            policies = ?denial.policies,
            "call denied"
        );
        if let Some(sink) = sink
            && !sink.take(denial)
        {
            self.dropped.add(1, &[]);
        }
    }

    fn decided(&self, rpc: &'static str, decision: &'static str) {
        let labels = [KeyValue::new("rpc.method", rpc), KeyValue::new("decision", decision)];
        self.decisions.add(1, &labels);
    }
}

impl Sink {
    pub(crate) fn new(denials: mpsc::Sender<Denial>) -> Self {
        let untold = Mutex::new(Untold { count: 0, told: None });
        Self(Arc::new(SinkInner { denials, untold }))
    }

    /// Whether there was room for it.
    fn take(&self, denial: Denial) -> bool {
        let taken = self.0.denials.try_send(denial).is_ok();
        if !taken {
            self.tell(Instant::now());
        }
        taken
    }

    fn tell(&self, now: Instant) {
        let mut untold = self.0.untold.lock().unwrap_or_else(PoisonError::into_inner);
        untold.count += 1;
        if untold.told.is_none_or(|told| now.duration_since(told) >= TELL_INTERVAL) {
            tracing::warn!(
                denials.dropped = untold.count,
                "denied calls were not recorded: there was no room for them"
            );
            *untold = Untold { count: 0, told: Some(now) };
        }
    }
}
