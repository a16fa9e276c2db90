//! Step 7: what the guard leaves behind: metrics, and a record of each denial.
//!
//! Nothing here waits: a record that finds no room is dropped and counted.

use countersign_types::{Timestamp, UserId};
use opentelemetry::{KeyValue, global, metrics::Counter};
use tokio::sync::mpsc;

/// A call that the policies did not permit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// The RPC.
    pub rpc: &'static str,
    /// Who called.
    pub user: UserId,
    /// Type of the resource.
    pub resource_type: &'static str,
    /// The `@id`s of the policies that forbade; empty when none permitted.
    pub policies: Vec<String>,
    /// When it was denied.
    pub time: Timestamp,
}

/// How a token was looked up.
#[derive(Clone, Copy)]
pub(crate) enum Lookup {
    Hit,
    Miss,
    Refused,
}

/// Writes down what the guard did. The instruments come from the global meter
/// provider, which has to be installed before the guard is built.
pub(crate) struct Recorder {
    decisions: Counter<u64>,
    tokens: Counter<u64>,
    unknown: Counter<u64>,
    dropped: Counter<u64>,
    sink: Option<mpsc::Sender<Denial>>,
}

impl Recorder {
    pub(crate) fn new(sink: Option<mpsc::Sender<Denial>>) -> Self {
        let meter = global::meter("countersign.guard");
        let counter = |name, description| {
            meter.u64_counter(name).with_description::<&str>(description).build()
        };
        Self {
            decisions: counter("countersign.guard.decisions", "decisions of the policies"),
            tokens: counter("countersign.guard.tokens", "access tokens by how they were looked up"),
            unknown: counter("countersign.guard.unknown_rpcs", "calls of RPCs without a rule"),
            dropped: counter("countersign.guard.dropped_denials", "denials without room"),
            sink,
        }
    }

    pub(crate) fn token(&self, lookup: Lookup) {
        let lookup = match lookup {
            Lookup::Hit => "hit",
            Lookup::Miss => "miss",
            Lookup::Refused => "refused",
        };
        self.tokens.add(1, &[KeyValue::new("cache", lookup)]);
    }

    /// The path is the client's to choose and is no label.
    pub(crate) fn unknown_rpc(&self) {
        self.unknown.add(1, &[]);
    }

    pub(crate) fn permitted(&self, rpc: &'static str) {
        self.decided(rpc, "permit");
    }

    pub(crate) fn denied(&self, denial: Denial) {
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
        if let Some(sink) = &self.sink
            && sink.try_send(denial).is_err()
        {
            self.dropped.add(1, &[]);
        }
    }

    fn decided(&self, rpc: &'static str, decision: &'static str) {
        let labels = [KeyValue::new("rpc.method", rpc), KeyValue::new("decision", decision)];
        self.decisions.add(1, &labels);
    }
}
