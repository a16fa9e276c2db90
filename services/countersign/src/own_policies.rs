//! Policies of one's own: read at the start, and watched from then on.

use countersign_guard::{
    Guard, GuardBuilder,
    policies::{PolicyFolder, PolicyWatch, Shadow, Snapshot},
};
use countersign_mesh::{Part, Task};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::{Error, config::PoliciesConfig};

/// What the folder of one's own policies held at the start.
pub struct OwnPolicies {
    config: PoliciesConfig,
    found: Option<(PolicyFolder, Snapshot)>,
}

/// What runs beside the calls for the sake of policies; nothing where no folder
/// is set.
#[derive(Debug, Default)]
pub struct PolicyTasks {
    watches: Vec<PolicyWatch>,
    shadow: Option<Shadow>,
}

impl OwnPolicies {
    /// Reads the folder, where one is set.
    ///
    /// # Errors
    /// [`Error::Guard`] names the file that cannot be read.
    pub fn read(config: &PoliciesConfig) -> Result<Self, Error> {
        let found = match config.folder() {
            Some(folder) => {
                let snapshot = folder.read()?;
                Some((folder, snapshot))
            }
            None => None,
        };
        Ok(Self { config: config.clone(), found })
    }

    /// Has a guard decide by these policies and the base policies, as set.
    pub fn put_into(&self, builder: GuardBuilder) -> GuardBuilder {
        let own = self.found.iter().flat_map(|(_, snapshot)| snapshot.files.clone());
        builder.more_policies(self.config.base()).more_policies(own)
    }

    /// What keeps the guard up to date with the folders.
    pub fn watch(self, guard: &Guard) -> PolicyTasks {
        let Self { config, found } = self;
        let mut watches = Vec::new();
        if let Some((folder, snapshot)) = found {
            let interval = config.poll_interval;
            watches.push(guard.watch_policies(config.base(), folder, &snapshot, interval));
        }
        let mut shadow = None;
        if let Some(folder) = &config.shadow_dir {
            let folder = PolicyFolder::new(folder);
            let (watch, evaluates) =
                guard.shadow_policies(config.base(), folder, config.poll_interval);
            watches.push(watch);
            shadow = Some(evaluates);
        }
        PolicyTasks { watches, shadow }
    }
}

impl PolicyTasks {
    /// A part without services that does all of it.
    #[must_use]
    pub fn into_part(self) -> Part {
        let Self { watches, shadow } = self;
        let mut part = Part::new("policies");
        for watch in watches {
            part = part.task(Task::new("reload", |cancel| run(watch, cancel)));
        }
        match shadow {
            Some(shadow) => {
                part.task(Task::new("shadow", |cancel| shadow.run(cancel.cancelled_owned())))
            }
            None => part,
        }
    }
}

async fn run(watch: PolicyWatch, cancel: CancellationToken) {
    let nudge = watch.nudge();
    let listening = async {
        // Where the system delivers no signals, the folder is looked at in time.
        let Ok(mut hangup) = signal(SignalKind::hangup()) else { return };
        while hangup.recv().await.is_some() {
            tracing::info!(signal = "SIGHUP", "looking at the policies");
            nudge.notify_one();
        }
    };
    tokio::select! {
        () = watch.run(cancel.cancelled_owned()) => {}
        () = async { listening.await; std::future::pending().await } => {}
    }
}
