//! Takes over what changes in a folder of policies while calls are served.
//!
//! The folder is read again and again: no notice of a change is waited for,
//! because none comes over every file system, and a missed one would leave old
//! rights in force. Nothing here runs on a thread that serves calls.

use std::{fmt, sync::Arc, time::Duration};

use opentelemetry::{KeyValue, global, metrics::Counter};
use tokio::{sync::Notify, task::spawn_blocking, time::sleep};

use super::{PolicyFile, PolicyFolder, Problem, Shadow, Snapshot, live::Set};
use crate::{Error, Guard};

/// A change counts when two readings in a row show the same, so long apart at
/// the least: whoever copies file by file is not taken at half the way.
const SETTLE: Duration = Duration::from_millis(200);

/// Watches a folder of policies, and puts in force what is in it.
pub struct PolicyWatch {
    guard: Guard,
    set: Set,
    base: Vec<PolicyFile>,
    folder: PolicyFolder,
    interval: Duration,
    nudge: Arc<Notify>,
    /// What was last taken or refused.
    judged: Option<[u8; 32]>,
    /// A change that has been seen once.
    seen: Option<[u8; 32]>,
    /// Why the folder could not be read when it was last looked at.
    failing: Option<String>,
    /// The same, as far as the log knows.
    told: Option<String>,
    reloads: Counter<u64>,
}

/// What one look at the folder has led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing has changed.
    Unchanged,
    /// Something has changed, and has to be seen once more.
    Settling,
    /// The new policies are in force, or on trial.
    Applied,
    /// The new policies do not hold, or cannot be read: the old ones stay.
    Refused,
}

impl Guard {
    /// Watches `folder`, whose policies as read in `snapshot` are in force
    /// beside `base`, and looks at it every `interval`.
    #[must_use]
    pub fn watch_policies(
        &self,
        base: Vec<PolicyFile>,
        folder: PolicyFolder,
        snapshot: &Snapshot,
        interval: Duration,
    ) -> PolicyWatch {
        self.watch(Set::Live, base, folder, Some(snapshot.digest), interval)
    }

    /// Tries out the policies of `folder` beside the live ones: what they would
    /// decide, with `base`, on the calls that come, is compared, counted and
    /// told, and changes no answer. A guard has one candidate at the most.
    #[must_use]
    pub fn shadow_policies(
        &self,
        base: Vec<PolicyFile>,
        folder: PolicyFolder,
        interval: Duration,
    ) -> (PolicyWatch, Shadow) {
        (self.watch(Set::Candidate, base, folder, None, interval), self.shadow())
    }

    fn watch(
        &self,
        set: Set,
        base: Vec<PolicyFile>,
        folder: PolicyFolder,
        judged: Option<[u8; 32]>,
        interval: Duration,
    ) -> PolicyWatch {
        let meter = global::meter("countersign.guard");
        let reloads = meter.u64_counter("countersign.guard.policy_reloads");
        let reloads = reloads.with_description("changes of the policies, by outcome").build();
        // There from the start: an increase is seen from the first one on.
        reloads.add(0, &labels(set, "refused"));
        PolicyWatch {
            guard: self.clone(),
            set,
            base,
            folder,
            interval,
            nudge: Arc::default(),
            judged,
            seen: None,
            failing: None,
            told: None,
            reloads,
        }
    }
}

impl PolicyWatch {
    /// Makes the watch look at once whenever it is notified.
    #[must_use]
    pub fn nudge(&self) -> Arc<Notify> {
        Arc::clone(&self.nudge)
    }

    /// Looks again and again, until `stop` is over.
    pub async fn run(mut self, stop: impl Future<Output = ()>) {
        let nudge = self.nudge();
        let watching = async {
            loop {
                let pause = match self.step().await {
                    Step::Settling => SETTLE.min(self.interval),
                    _ => self.interval,
                };
                tokio::select! {
                    () = sleep(pause) => {}
                    () = nudge.notified() => {}
                }
            }
        };
        tokio::select! {
            () = watching => {}
            () = stop => {}
        }
    }

    /// Looks once.
    pub async fn step(&mut self) -> Step {
        let folder = self.folder.clone();
        let read = off_path(move || folder.read()).await;
        let snapshot = match read {
            Ok(snapshot) => snapshot,
            Err(error) => return self.unreadable(&error),
        };
        (self.failing, self.told) = (None, None);
        if self.judged == Some(snapshot.digest) {
            self.seen = None;
            return Step::Unchanged;
        }
        if self.seen != Some(snapshot.digest) {
            self.seen = Some(snapshot.digest);
            return Step::Settling;
        }
        self.judge(snapshot).await
    }

    async fn judge(&mut self, snapshot: Snapshot) -> Step {
        (self.judged, self.seen) = (Some(snapshot.digest), None);
        let (core, set) = (Arc::clone(&self.guard.core), self.set);
        let files = [self.base.clone(), snapshot.files].concat();
        match off_path(move || core.policies.replace(set, &files)).await {
            Ok(count) => {
                let folder = self.folder.path().display();
                tracing::info!(
                    policies.folder = %folder,
                    policies.set = self.set.name(),
                    policies.count = count,
                    "new policies are loaded"
                );
                self.count("applied");
                Step::Applied
            }
            Err(error) => self.refuse(&error),
        }
    }

    /// What is replaced at the very moment may be missing once. One line in the
    /// log for each reason, however often it is met.
    fn unreadable(&mut self, error: &Error) -> Step {
        let reason = error.to_string();
        if self.told.as_ref() == Some(&reason) {
            return Step::Refused;
        }
        if self.failing.as_ref() != Some(&reason) {
            self.failing = Some(reason);
            return Step::Settling;
        }
        self.told = Some(reason);
        self.refuse(error)
    }

    fn refuse(&self, error: &Error) -> Step {
        let folder = self.folder.path().display();
        tracing::error!(
            policies.folder = %folder,
            policies.set = self.set.name(),
            "new policies are refused, the former ones stay in force: {error}"
        );
        self.count("refused");
        Step::Refused
    }

    fn count(&self, outcome: &'static str) {
        self.reloads.add(1, &labels(self.set, outcome));
    }
}

fn labels(set: Set, outcome: &'static str) -> [KeyValue; 2] {
    [KeyValue::new("set", set.name()), KeyValue::new("outcome", outcome)]
}

impl Set {
    const fn name(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Candidate => "candidate",
        }
    }
}

impl fmt::Debug for PolicyWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PolicyWatch({})", self.folder.path().display())
    }
}

/// Files and Cedar's checks take their time: not on the threads of the calls.
async fn off_path<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    spawn_blocking(work).await.unwrap_or_else(|_| {
        let reason = "looking at the policies has panicked".to_owned();
        Err(Error::Policies(vec![Problem { file: String::new(), line: 0, reason }]))
    })
}
