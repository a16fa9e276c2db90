//! Policies on trial: a candidate set decides again what the live one has
//! decided, and only the difference is told.
//!
//! It never comes near an answer: calls leave a note in a bounded channel, and
//! a task of its own evaluates both sets over it, so many a second at the most.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use countersign_types::Timestamp;
use opentelemetry::{KeyValue, global, metrics::Counter};
use tokio::{
    sync::mpsc,
    task::yield_now,
    time::{MissedTickBehavior, interval},
};

use super::{Generation, Policies, PolicyGate};
use crate::{
    Attributes, Guard, PeerCertificate,
    decision::{Case, Verdict},
    principal::Principal,
};

/// Decisions that are looked at in one turn; calls beyond it are counted only.
pub const SHADOWED_PER_TURN: usize = 100;
/// The length of a turn.
pub const TURN: Duration = Duration::from_millis(100);
/// Differences that the log tells of in one turn; all are counted.
const TOLD_PER_TURN: usize = 5;

/// A call that was decided.
pub(crate) struct Observation {
    guard: Guard,
    rpc: &'static str,
    gate: PolicyGate,
    principal: Arc<Principal>,
    id: String,
    peer: Option<PeerCertificate>,
    live: Arc<Generation>,
    time: Timestamp,
}

/// Where calls leave their notes.
pub(crate) struct Notes {
    sender: mpsc::Sender<Observation>,
    skipped: Counter<u64>,
}

/// Evaluates a candidate beside the live policies.
pub struct Shadow {
    notes: mpsc::Receiver<Observation>,
    decisions: Counter<u64>,
}

/// What a candidate would have changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Decided the same way.
    pub same: usize,
    /// Decided differently: as it is, and as the candidate has it. Both may ask
    /// for a step-up, each for another.
    pub changed: BTreeMap<(Said, Said), usize>,
    /// Not comparable: what the policies read of the resource was not to be had.
    pub unknown: usize,
}

/// What policies say to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Said {
    /// It is permitted.
    Permit,
    /// It is denied, also because a policy cannot be evaluated.
    Deny,
    /// It is denied until the caller brings what is needed.
    StepUp,
}

/// What one set of policies says.
struct Opinion {
    said: Said,
    /// What a step-up needs.
    needs: Option<String>,
    /// Those that have decided; where some cannot be evaluated, those.
    policies: Vec<String>,
}

impl Guard {
    /// Has calls leave notes for a candidate. Only the first one of a guard gets
    /// any.
    pub(super) fn shadow(&self) -> Shadow {
        let meter = global::meter("countersign.guard");
        let counter = |name, about| meter.u64_counter(name).with_description::<&str>(about).build();
        let (sender, notes) = mpsc::channel(SHADOWED_PER_TURN);
        let skipped =
            counter("countersign.guard.shadow_skipped", "decisions that no candidate looked at");
        self.core.policies.note_in(Notes { sender, skipped });
        let about = "decisions of the candidate policies, by what they would change";
        Shadow { notes, decisions: counter("countersign.guard.shadow_decisions", about) }
    }

    /// Leaves a note of a call that is being decided. It waits for nothing.
    pub(crate) fn observe(
        &self,
        rpc: &'static str,
        gate: &PolicyGate,
        principal: &Arc<Principal>,
        id: &str,
        peer: Option<&PeerCertificate>,
    ) {
        let Some(notes) = self.core.policies.notes() else { return };
        match notes.sender.try_reserve() {
            Ok(room) => room.send(Observation {
                guard: self.clone(),
                rpc,
                gate: gate.clone(),
                principal: Arc::clone(principal),
                id: id.to_owned(),
                peer: peer.cloned(),
                live: self.core.policies.current(),
                time: self.core.clock.now(),
            }),
            Err(_) => notes.skipped.add(1, &[]),
        }
    }
}

impl Shadow {
    /// Evaluates turn by turn, until `stop` is over.
    pub async fn run(mut self, stop: impl Future<Output = ()>) {
        let mut turns = interval(TURN);
        turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let working = async {
            loop {
                turns.tick().await;
                self.step().await;
            }
        };
        tokio::select! {
            () = working => {}
            () = stop => {}
        }
    }

    /// Evaluates what calls have left.
    pub async fn step(&mut self) -> Tally {
        let (mut tally, mut told) = (Tally::default(), 0);
        for _ in 0..SHADOWED_PER_TURN {
            let Ok(note) = self.notes.try_recv() else { break };
            let Some(candidate) = note.guard.core.policies.candidate() else { continue };
            let mut labels = vec![KeyValue::new("rpc.method", note.rpc)];
            let outcome = match note.opinions(&candidate).await {
                None => {
                    tally.unknown += 1;
                    "unknown"
                }
                Some((live, shadow)) => {
                    labels.push(KeyValue::new("decision", live.said.word()));
                    labels.push(KeyValue::new("candidate.decision", shadow.said.word()));
                    if live.agrees(&shadow) {
                        tally.same += 1;
                        "same"
                    } else {
                        told += 1;
                        if told <= TOLD_PER_TURN {
                            tell(note.rpc, &live, &shadow);
                        }
                        *tally.changed.entry((live.said, shadow.said)).or_default() += 1;
                        "changed"
                    }
                }
            };
            labels.push(KeyValue::new("outcome", outcome));
            self.decisions.add(1, &labels);
            // Calls on this thread come first.
            yield_now().await;
        }
        tally
    }
}

impl Observation {
    /// What both say, over the same attributes.
    async fn opinions(&self, candidate: &Generation) -> Option<(Opinion, Opinion)> {
        let (live, shadow) = (self.live.of(&self.gate), candidate.of(&self.gate));
        let reads = live.read_resource() || shadow.read_resource();
        let attributes = match reads {
            true => Some(self.guard.attributes(self.rpc, &self.gate, &self.id).await.ok()?),
            false => None,
        };
        Some((self.opinion(live, &attributes)?, self.opinion(shadow, &attributes)?))
    }

    fn opinion(
        &self,
        policies: &Policies,
        attributes: &Option<Option<Attributes>>,
    ) -> Option<Opinion> {
        let attributes = match attributes {
            // What does not exist is denied, where a policy asks for it.
            Some(None) if policies.read_resource() => {
                return Some(Opinion { said: Said::Deny, needs: None, policies: Vec::new() });
            }
            Some(Some(attributes)) if policies.read_resource() => Some(attributes),
            _ => None,
        };
        let Self { gate, principal, id, time: now, .. } = self;
        let peer = self.peer.as_ref();
        let case = Case { gate, principal, id, attributes, peer, now: *now };
        let (said, needs, mut policies) = match self.guard.judge(&case, policies).ok()? {
            Verdict::Permits(policies) => (Said::Permit, None, policies),
            Verdict::Denies(policies) | Verdict::Fails(policies) => (Said::Deny, None, policies),
            Verdict::AsksFor { needs, policies } => (Said::StepUp, Some(needs), policies),
        };
        policies.sort();
        Some(Opinion { said, needs, policies })
    }
}

impl Opinion {
    /// Other policies that lead to the same answer are no difference.
    fn agrees(&self, other: &Self) -> bool {
        self.said == other.said && self.needs == other.needs
    }
}

impl Said {
    const fn word(self) -> &'static str {
        match self {
            Self::Permit => "permit",
            Self::Deny => "deny",
            Self::StepUp => "step_up",
        }
    }
}

/// Names no caller and no resource.
fn tell(rpc: &'static str, live: &Opinion, shadow: &Opinion) {
    tracing::info!(
        target: "countersign::shadow",
        decision = live.said.word(),
        rpc.method = rpc,
        policies = ?live.policies,
        step_up = live.needs,
        candidate.decision = shadow.said.word(),
        candidate.step_up = shadow.needs,
        candidate.policies = ?shadow.policies,
        "the candidate policies decide differently"
    );
}

impl fmt::Debug for Shadow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shadow")
    }
}
