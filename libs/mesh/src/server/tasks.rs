//! The tasks of all parts. A task that ends is done; one that panics is a bug,
//! after which the process must not go on as if nothing were missing.

use std::{collections::HashMap, time::Duration};

use tokio::{
    task::{Id, JoinError, JoinSet},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use crate::Part;

/// Part and task.
type Name = (&'static str, &'static str);

pub(super) struct Tasks {
    running: JoinSet<()>,
    names: HashMap<Id, Name>,
    cancel: CancellationToken,
    panicked: Option<Name>,
}

impl Tasks {
    pub(super) fn start(parts: Vec<Part>) -> Self {
        let cancel = CancellationToken::new();
        let mut running = JoinSet::new();
        let mut names = HashMap::new();
        for part in parts {
            for task in part.tasks {
                let handle = running.spawn((task.run)(cancel.clone()));
                names.insert(handle.id(), (part.name, task.name));
            }
        }
        Self { running, names, cancel, panicked: None }
    }

    /// Waits until a task panics.
    pub(super) async fn failed(&mut self) {
        while self.panicked.is_none() {
            match self.running.join_next_with_id().await {
                Some(ended) => self.ended(ended),
                None => std::future::pending().await,
            }
        }
    }

    /// Tells the tasks to stop, waits for as long as `limit`, then cuts them off.
    /// Names those that had to be.
    pub(super) async fn stop(&mut self, limit: Duration) -> Vec<String> {
        self.cancel.cancel();
        let all_ended = timeout(limit, async {
            while let Some(ended) = self.running.join_next_with_id().await {
                self.ended(ended);
            }
        });
        if all_ended.await.is_ok() {
            return Vec::new();
        }
        self.running.abort_all();
        let mut cut = Vec::new();
        while let Some(ended) = self.running.join_next_with_id().await {
            if let Err(error) = &ended
                && error.is_cancelled()
                && let Some((part, task)) = self.names.get(&error.id())
            {
                tracing::warn!(part, task, "a task was cut off");
                cut.push(format!("{part}/{task}"));
            }
            self.ended(ended);
        }
        cut
    }

    /// The task that panicked first.
    pub(super) fn into_panicked(self) -> Option<Name> {
        self.panicked
    }

    fn ended(&mut self, ended: Result<(Id, ()), JoinError>) {
        let (id, panicked) = match &ended {
            Ok((id, ())) => (*id, false),
            Err(error) => (error.id(), error.is_panic()),
        };
        let Some((part, task)) = self.names.get(&id).copied() else { return };
        if panicked {
            tracing::error!(part, task, "a task panicked, the process stops");
            self.panicked.get_or_insert((part, task));
        } else {
            tracing::debug!(part, task, "a task ended");
        }
    }
}
