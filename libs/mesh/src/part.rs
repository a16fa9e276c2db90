//! What a service hands to the server: routes, tasks and whether it is ready.

use std::{convert::Infallible, fmt, future::Future};

use countersign_contracts::Guarded;
use futures::{FutureExt, future::BoxFuture};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::{body::Body, server::NamedService, service::RoutesBuilder};

use crate::{database::Presence, server::Priority};

/// Adds the services of a part to the routes of a server.
pub type Routes = Box<dyn FnOnce(&mut RoutesBuilder) + Send>;

/// One service's share of a process.
pub struct Part {
    /// What logs call it, such as `auth`.
    pub name: &'static str,
    /// Full names of the gRPC services it serves; health and reflection know them by these.
    pub services: Vec<&'static str>,
    /// The RPCs that the guards before these services have rules for. The server
    /// compares them with the contracts before it starts.
    pub rpcs: Vec<&'static str>,
    /// Those of them whose clients stream requests.
    pub streaming: Vec<&'static str>,
    /// Mounts these services.
    pub routes: Routes,
    /// RPCs, such as `countersign.user.v1.ProfileService/GetProfile`, that are turned
    /// away sooner than others where places become few.
    pub priorities: Vec<(&'static str, Priority)>,
    /// What runs beside the calls, until the server has drained.
    pub tasks: Vec<Task>,
    /// What all has to hold for calls to be taken.
    pub ready: Vec<Readiness>,
    /// The database that its services need, if they do: their calls are refused
    /// at once while its server is away.
    pub storage: Option<Presence>,
    /// What health tells beside its services, by name: trouble with it is worth
    /// knowing, and no reason to send calls elsewhere.
    pub conditions: Vec<(&'static str, Readiness)>,
}

/// Something that runs for as long as the server does.
pub struct Task {
    /// What logs call it, such as `relay`.
    pub name: &'static str,
    /// The work. It returns soon after the token is cancelled.
    pub run: Box<dyn FnOnce(CancellationToken) -> BoxFuture<'static, ()> + Send>,
}

/// Whether a part can take calls; follows the sender it was made from.
#[derive(Clone)]
pub struct Readiness(watch::Receiver<bool>);

impl Part {
    /// A part without services or tasks, ready from the start.
    #[must_use]
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            services: Vec::new(),
            rpcs: Vec::new(),
            streaming: Vec::new(),
            routes: Box::new(|_| ()),
            priorities: Vec::new(),
            tasks: Vec::new(),
            ready: Vec::new(),
            storage: None,
            conditions: Vec::new(),
        }
    }

    /// The same part with one more gRPC service, behind its guard. There is no
    /// way to mount one without.
    #[must_use]
    pub fn service<S>(mut self, service: Guarded<S>) -> Self
    where
        S: tower::Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible>
            + NamedService
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send + 'static,
    {
        self.services.push(S::NAME);
        self.rpcs.extend(service.rpcs());
        self.streaming.extend(service.streaming());
        let before = self.routes;
        self.routes = Box::new(move |routes| {
            before(routes);
            routes.add_service(service);
        });
        self
    }

    /// The same part, whose RPCs of these names have this priority.
    #[must_use]
    pub fn priority(mut self, priority: Priority, rpcs: &[&'static str]) -> Self {
        self.priorities.extend(rpcs.iter().map(|rpc| (*rpc, priority)));
        self
    }

    /// The same part with one more task.
    #[must_use]
    pub fn task(mut self, task: Task) -> Self {
        self.tasks.push(task);
        self
    }

    /// The same part, whose services keep their data there.
    #[must_use]
    pub fn storage(mut self, presence: Presence) -> Self {
        self.storage = Some(presence);
        self
    }

    /// The same part with a condition that health tells by this name.
    #[must_use]
    pub fn condition(mut self, name: &'static str, holds: impl Into<Readiness>) -> Self {
        self.conditions.push((name, holds.into()));
        self
    }

    /// The same part, ready only when `ready` says so, too.
    #[must_use]
    pub fn ready(mut self, ready: impl Into<Readiness>) -> Self {
        self.ready.push(ready.into());
        self
    }
}

impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, services, rpcs, streaming, priorities, tasks, .. } = self;
        let Self { ready, storage, conditions, .. } = self;
        f.debug_struct("Part")
            .field("name", name)
            .field("services", services)
            .field("rpcs", rpcs)
            .field("streaming", streaming)
            .field("priorities", priorities)
            .field("tasks", tasks)
            .field("ready", ready)
            .field("storage", storage)
            .field("conditions", conditions)
            .finish()
    }
}

impl Task {
    /// A task that runs until it is done or the token it gets is cancelled.
    pub fn new<F, R>(name: &'static str, run: F) -> Self
    where
        F: FnOnce(CancellationToken) -> R + Send + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        Self { name, run: Box::new(|cancel| run(cancel).boxed()) }
    }
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Task({})", self.name)
    }
}

impl Readiness {
    /// Ready from the start and for good.
    #[must_use]
    pub fn always() -> Self {
        // A receiver keeps the last value when its sender is gone.
        Self(watch::channel(true).1)
    }

    /// Ready when the sender says `true`; starts as `ready`.
    #[must_use]
    pub fn new(ready: bool) -> (watch::Sender<bool>, Self) {
        let (sender, receiver) = watch::channel(ready);
        (sender, Self(receiver))
    }

    /// Whether it is ready now.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        *self.0.borrow()
    }

    /// Whether it is ready now; [`changed`](Self::changed) waits for the next change after this.
    pub(crate) fn look(&mut self) -> bool {
        *self.0.borrow_and_update()
    }

    /// Waits for a change; for ever when none can come.
    pub(crate) async fn changed(&mut self) {
        if self.0.changed().await.is_err() {
            futures::future::pending::<()>().await;
        }
    }
}

impl From<watch::Receiver<bool>> for Readiness {
    fn from(receiver: watch::Receiver<bool>) -> Self {
        Self(receiver)
    }
}

impl fmt::Debug for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Readiness({})", self.is_ready())
    }
}
