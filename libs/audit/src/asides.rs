//! Denied calls on their way into the trail. Nobody waits for it: who denies a
//! call puts it into a channel, and a task writes what has gathered there.

use std::{collections::VecDeque, fmt, time::Duration};

use countersign_events::Outbox;
use countersign_types::{Denial, UserId};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{Action, Entry, Error, Outcome, Value, record};

/// Denials that wait for the next batch; one more is dropped by who denied.
const ROOM: usize = 1024;
/// Denials that are written in one transaction.
const BATCH: usize = 256;
/// How long denials gather before they are written.
const INTERVAL: Duration = Duration::from_secs(1);

/// Writes denied calls to the trail of one service.
///
/// Of one batch, the calls of one person to one RPC are one entry with their
/// count: who asks a thousand times does not write a thousand rows into a trail
/// that nobody may shorten.
pub struct Denials {
    outbox: Outbox,
    incoming: mpsc::Receiver<Denial>,
    /// Taken out of the channel and not committed yet.
    batch: VecDeque<Denial>,
}

/// The calls of one person to one RPC, refused for the same reason.
struct Group {
    user: UserId,
    rpc: &'static str,
    resource_type: &'static str,
    /// The resource, where it was the same each time.
    resource: Option<Uuid>,
    policies: Vec<String>,
    count: i64,
}

impl Denials {
    /// The writer for the trail in the database of `outbox`, and where the
    /// guard of the service sends what it denies.
    #[must_use]
    pub fn new(outbox: Outbox) -> (mpsc::Sender<Denial>, Self) {
        let (sender, incoming) = mpsc::channel(ROOM);
        (sender, Self { outbox, incoming, batch: VecDeque::new() })
    }

    /// Writes up to 256 of the denials that wait; returns how many. 0 means that
    /// all are in the trail.
    ///
    /// # Errors
    /// [`Error`]; they stay, and the next step tries again.
    pub async fn step(&mut self) -> Result<usize, Error> {
        while self.batch.len() < BATCH
            && let Ok(denial) = self.incoming.try_recv()
        {
            self.batch.push_back(denial);
        }
        if self.batch.is_empty() {
            return Ok(0);
        }
        let unit = self.outbox.begin().await?;
        for group in groups(&self.batch) {
            record(&unit, &group.entry()).await?;
        }
        unit.commit().await?;
        let written = self.batch.len();
        self.batch.clear();
        Ok(written)
    }

    /// Writes denials once a second until `cancel`, and then what is left.
    pub async fn run(mut self, cancel: CancellationToken) {
        while !cancel.is_cancelled() && self.gather(&cancel).await {
            tokio::select! {
                () = cancel.cancelled() => {}
                () = tokio::time::sleep(INTERVAL) => {}
            }
            self.write().await;
        }
        while self.write().await {}
    }

    /// Waits for something to write; false where nothing can come any more.
    async fn gather(&mut self, cancel: &CancellationToken) -> bool {
        if !self.batch.is_empty() {
            return true;
        }
        tokio::select! {
            () = cancel.cancelled() => true,
            denial = self.incoming.recv() => {
                let more = denial.is_some();
                self.batch.extend(denial);
                more
            }
        }
    }

    /// Whether something was written, so that there may be more.
    async fn write(&mut self) -> bool {
        match self.step().await {
            Ok(written) => written > 0,
            Err(error) => {
                tracing::warn!(error = %error, trail = ?self.outbox, "denied calls wait");
                false
            }
        }
    }
}

fn groups(denials: &VecDeque<Denial>) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for denial in denials {
        let same = |group: &&mut Group| {
            (group.user, group.rpc) == (denial.user, denial.rpc)
                && group.policies == denial.policies
        };
        if let Some(group) = groups.iter_mut().find(same) {
            group.count += 1;
            group.resource = group.resource.filter(|id| Some(*id) == denial.resource);
        } else {
            groups.push(Group {
                user: denial.user,
                rpc: denial.rpc,
                resource_type: denial.resource_type,
                resource: denial.resource,
                policies: denial.policies.clone(),
                count: 1,
            });
        }
    }
    groups
}

impl Group {
    fn entry(self) -> Entry {
        let mut entry = Entry::new(Action::AuthzFail, Outcome::Failure)
            .actor(self.user)
            .with("rpc", Value::Word(self.rpc))
            .with("resource", Value::Word(self.resource_type))
            .with("policies", Value::Names(self.policies))
            .with("count", Value::Number(self.count));
        entry.subject = self.resource;
        entry
    }
}

impl fmt::Debug for Denials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Denials({:?})", self.outbox)
    }
}
