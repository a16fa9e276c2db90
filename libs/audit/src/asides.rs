//! What belongs to no transaction, on its way into the trail: calls that were
//! denied or had to wait, and, where the settings let them, readings. Who has
//! something puts it into a channel, and a task writes what has gathered there.

use std::{collections::VecDeque, fmt, time::Duration};

use countersign_events::Outbox;
use countersign_types::Denial;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{Action, Entry, Error, Outcome, Value, record_all};

/// What waits for the next batch, of each kind; there is no room for one more.
const ROOM: usize = 1024;
/// What is written in one transaction.
const BATCH: usize = 256;
/// How long things gather before they are written.
const INTERVAL: Duration = Duration::from_secs(1);

/// Writes what belongs to no transaction to the trail of one service.
///
/// Of one batch, what is alike is one entry with its count: who asks a thousand
/// times does not write a thousand rows.
pub struct Asides {
    outbox: Outbox,
    denials: mpsc::Receiver<Denial>,
    entries: mpsc::Receiver<Entry>,
    /// Taken out of the channels and not committed yet.
    batch: VecDeque<Entry>,
}

/// Where asides are put.
pub(crate) struct Inlets {
    pub(crate) denials: mpsc::Sender<Denial>,
    pub(crate) entries: mpsc::Sender<Entry>,
}

impl Asides {
    pub(crate) fn new(outbox: Outbox) -> (Inlets, Self) {
        let (denials, denied) = mpsc::channel(ROOM);
        let (entries, further) = mpsc::channel(ROOM);
        let asides = Self { outbox, denials: denied, entries: further, batch: VecDeque::new() };
        (Inlets { denials, entries }, asides)
    }

    /// Writes up to 256 of what waits; returns how many. 0 means that all is in
    /// the trail.
    ///
    /// # Errors
    /// [`Error`]; they stay, and the next step tries again.
    pub async fn step(&mut self) -> Result<usize, Error> {
        while self.batch.len() < BATCH
            && let Some(next) = self.next()
        {
            self.batch.push_back(next);
        }
        if self.batch.is_empty() {
            return Ok(0);
        }
        let unit = self.outbox.begin().await?;
        record_all(&unit, grouped(&self.batch)).await?;
        unit.commit().await?;
        let written = self.batch.len();
        self.batch.clear();
        Ok(written)
    }

    /// Writes once a second until `cancel`, and then what is left.
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

    fn next(&mut self) -> Option<Entry> {
        self.entries.try_recv().ok().or_else(|| self.denials.try_recv().ok().map(entry))
    }

    /// Waits for something to write; false where nothing can come any more.
    async fn gather(&mut self, cancel: &CancellationToken) -> bool {
        if !self.batch.is_empty() {
            return true;
        }
        let first = tokio::select! {
            () = cancel.cancelled() => return true,
            Some(denial) = self.denials.recv() => entry(denial),
            Some(entry) = self.entries.recv() => entry,
            else => return false,
        };
        self.batch.push_back(first);
        true
    }

    /// Whether something was written, so that there may be more.
    async fn write(&mut self) -> bool {
        match self.step().await {
            Ok(written) => written > 0,
            Err(error) => {
                tracing::warn!(error = %error, trail = ?self.outbox, "audit entries wait");
                false
            }
        }
    }
}

fn entry(denial: Denial) -> Entry {
    let entry = Entry::new(Action::AuthzFail, Outcome::Failure)
        .actor(denial.user)
        .account(denial.user)
        .session(denial.session)
        .tenant(denial.tenant)
        .address(denial.address)
        .with("rpc", Value::Word(denial.rpc))
        .with("resource", Value::Word(denial.resource_type))
        .with("policies", Value::Names(denial.policies));
    Entry { subject: denial.resource, time: Some(denial.time), trace: denial.trace, ..entry }
}

/// What is alike but for its time, its trace and, of what was not done, its
/// subject, as one entry with its count. A reading says of whom.
fn grouped(batch: &VecDeque<Entry>) -> Vec<Entry> {
    let mut groups: Vec<(Entry, i64)> = Vec::new();
    for entry in batch {
        let keeps_subject = entry.outcome == Outcome::Success;
        let same = |group: &&mut (Entry, i64)| {
            let (first, _) = &**group;
            let Entry { time, trace, .. } = *first;
            let subject = if keeps_subject { entry.subject } else { first.subject };
            Entry { subject, time, trace, ..entry.clone() } == *first
        };
        if let Some((first, count)) = groups.iter_mut().find(same) {
            *count += 1;
            first.subject = first.subject.filter(|id| Some(*id) == entry.subject);
        } else {
            groups.push((entry.clone(), 1));
        }
    }
    let counted = |(entry, count): (Entry, _)| entry.with("count", Value::Number(count));
    groups.into_iter().map(counted).collect()
}

impl fmt::Debug for Asides {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Asides({:?})", self.outbox)
    }
}
