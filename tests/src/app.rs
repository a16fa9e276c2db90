//! The whole system in this process, over a real socket.

mod keeping;
mod running;
mod topology;

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use countersign::Config;
use countersign_auth::admin::Keeper;
use countersign_types::{Clock, ClockHand, Timestamp};
use sea_orm::ConnectionTrait;
use tonic::Code;

use crate::{Clients, Ledger, Login, PASSWORD, Person, email_of, refusal};
use running::Running;
use topology::Place;

pub use topology::{Surroundings, Topology};

/// Registrations that no test is about are not held up.
const MANY: u32 = 100_000;
/// When the tests take place: 2026-11-23T00:00:00Z.
const START: Timestamp = Timestamp::from_seconds(1_795_392_000);

/// How long a revocation may take to another process. The design promises a
/// second; a machine that is busy with other tests gets more.
const REVOCATION: Duration = Duration::from_secs(15);

/// How long a restart of several processes takes, by the clock of the test.
const RESTART: Duration = Duration::from_secs(60);

/// A system of its own, on its own data, at its own time. Dropping it asserts
/// that no event is left over.
pub struct TestApp {
    shape: Option<Shape>,
    running: Option<Running>,
    dead_letters_allowed: bool,
}

/// What stays when the system starts again.
struct Shape {
    place: Place,
    config: Config,
    clock: Clock,
    hand: ClockHand,
    skew: Option<Duration>,
}

impl TestApp {
    /// Starts on new data, in one process whose events move when the test says so.
    ///
    /// # Panics
    /// It does not start.
    pub async fn start() -> Self {
        Self::start_with(|_| ()).await
    }

    /// The same with other settings than the tests have.
    ///
    /// # Panics
    /// It does not start.
    pub async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        Self::launch_new(Topology::Embedded, Surroundings::default(), change).await
    }

    /// Starts on new data, spread out like this.
    ///
    /// # Panics
    /// It does not start.
    pub async fn on(topology: Topology) -> Self {
        Self::launch_new(topology, Surroundings::default(), |_| ()).await
    }

    /// The same with other settings than the tests have.
    ///
    /// # Panics
    /// It does not start.
    pub async fn on_with(topology: Topology, change: impl FnOnce(&mut Config)) -> Self {
        Self::launch_new(topology, Surroundings::default(), change).await
    }

    /// The same among engines of its own.
    ///
    /// # Panics
    /// It does not start.
    pub async fn among(
        around: Surroundings,
        topology: Topology,
        change: impl FnOnce(&mut Config),
    ) -> Self {
        Self::launch_new(topology, around, change).await
    }

    async fn launch_new(
        topology: Topology,
        around: Surroundings,
        change: impl FnOnce(&mut Config),
    ) -> Self {
        let skew = around.skew;
        let place = Place::new(topology, around).await;
        let mut config = settings();
        place.settle_in(&mut config);
        change(&mut config);
        // A broker has its own clock: there, time starts with that one.
        let start = if topology == Topology::Embedded { START } else { Clock::system().now() };
        let (clock, hand) = Clock::manual(start);
        Self::launch(Shape { place, config, clock, hand, skew }, false).await
    }

    async fn launch(shape: Shape, dead_letters_allowed: bool) -> Self {
        let clocks = shape.skew.map_or_else(|| [shape.clock.clone(), shape.clock.clone()], apart);
        let running = Running::start(&shape.place, shape.config.clone(), clocks).await;
        Self { shape: Some(shape), running: Some(running), dead_letters_allowed }
    }

    /// The same, and dead letters may be left over at the end.
    #[must_use]
    pub fn with_dead_letters(mut self) -> Self {
        self.dead_letters_allowed = true;
        self
    }

    /// Dies where it stands, as a process does that is killed, and starts again
    /// on the same data: at the same time on one process, a minute later on several.
    ///
    /// # Panics
    /// It does not start again.
    pub async fn crash_and_restart(self) -> Self {
        self.restart_with(|_| ()).await
    }

    /// The same with other settings.
    ///
    /// # Panics
    /// It does not start again.
    pub async fn restart_with(mut self, change: impl FnOnce(&mut Config)) -> Self {
        self.take().crash().await;
        let mut shape = self.shape.take().expect("the system has a place");
        if shape.place.topology != Topology::Embedded {
            // What the dead replicas had in hand is theirs until their time is over.
            shape.hand.advance(RESTART);
        }
        change(&mut shape.config);
        Self::launch(shape, self.dead_letters_allowed).await
    }

    /// Where auth listens; on one process, everything.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.running().addresses().0[0]
    }

    /// Where the replicas of auth listen, and those of user.
    #[must_use]
    pub fn replicas(&self) -> (&[SocketAddr], &[SocketAddr]) {
        self.running().addresses()
    }

    /// Where user listens.
    #[must_use]
    pub fn user_address(&self) -> SocketAddr {
        self.running().addresses().1[0]
    }

    /// Where each replica of user listens; on one process, everything.
    #[must_use]
    pub fn user_addresses(&self) -> &[SocketAddr] {
        self.running().addresses().1
    }

    /// Clients without a token, on connections of their own, to any replica.
    #[must_use]
    pub fn clients(&self) -> Clients {
        let (auth, user) = self.running().addresses();
        Clients::to(auth, user)
    }

    /// The settings of the system, such as where its broker is.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.shape().config
    }

    /// The hand of the system's clock.
    #[must_use]
    pub fn clock(&self) -> &ClockHand {
        &self.shape().hand
    }

    /// What the databases say.
    ///
    /// # Panics
    /// They cannot be opened.
    pub async fn ledger(&self) -> Ledger {
        self.shape().place.ledger().await
    }

    /// Brings every event that is due to everybody, and what follows from it.
    ///
    /// # Panics
    /// It never comes to rest, or a database fails.
    pub async fn settle(&self) {
        self.running().settle(&self.shape().place).await;
    }

    /// Publishes one batch of the auth service's events.
    ///
    /// # Panics
    /// The database fails.
    pub async fn step_auth(&self) -> usize {
        self.running().steps().auth.step().await.expect("the relay of auth steps")
    }

    /// Publishes one batch of the user service's events.
    ///
    /// # Panics
    /// The database fails.
    pub async fn step_user(&self) -> usize {
        self.running().steps().user.step().await.expect("the relay of user steps")
    }

    /// Lets each service look once whether it can take calls.
    pub async fn probe(&self) {
        for probe in &self.running().steps().probes {
            probe.step().await;
        }
    }

    /// Lets nobody write to the database of the auth service, or everybody
    /// again. For a system that has one connection to it.
    ///
    /// # Panics
    /// The database fails.
    pub async fn set_auth_read_only(&self, read_only: bool) {
        let pragma = format!("PRAGMA query_only = {}", u8::from(read_only));
        let set = self.running().auth_database().execute_unprepared(&pragma).await;
        set.expect("the database takes a setting");
    }

    /// Somebody whose account is active.
    ///
    /// # Panics
    /// Registering is refused.
    pub async fn active(&self, name: &str) -> Person {
        let person = self.clients().register(name).await.expect("a new person can register");
        self.settle().await;
        person
    }

    /// A new session of somebody.
    ///
    /// # Panics
    /// Logging in is refused.
    pub async fn login(&self, person: &Person) -> Login {
        self.clients().login(&person.email).await.expect("an active person can log in")
    }

    /// Somebody new with a session.
    ///
    /// # Panics
    /// Registering or logging in is refused.
    pub async fn signed_in(&self, name: &str) -> Login {
        let person = self.active(name).await;
        self.login(&person).await
    }

    /// A session of somebody new with the role `admin`, made as an operator does it.
    ///
    /// # Panics
    /// Making the account or logging in is refused.
    pub async fn admin(&self, name: &str) -> Login {
        self.made(name, &["admin"], "default").await
    }

    /// A session of somebody new with these roles, in a tenant, made as an
    /// operator does it.
    ///
    /// # Panics
    /// Making the account or logging in is refused.
    pub async fn made(&self, name: &str, roles: &[&str], tenant: &str) -> Login {
        let (config, clock) = (&self.shape().config, &self.shape().clock);
        let (db, email) = (self.running().auth_database(), email_of(name));
        let roles = roles.iter().map(|&role| role.to_owned()).collect();
        let tenant = tenant.parse().expect("the name of a tenant");
        let password = PASSWORD.to_owned();
        let keeper = Keeper::open(db, clock, self.masters()).await.expect("the vault opens");
        let made = keeper.create_account(&config.auth, email.clone(), password, roles, tenant);
        let user_id = made.await.expect("an account can be made").to_string();
        self.settle().await;
        self.login(&Person { email, user_id }).await
    }

    /// Asserts that the session of these clients is refused by every guard: at
    /// once in one process, soon in others.
    ///
    /// # Panics
    /// One lets it in.
    pub async fn shut_out(&self, clients: &Clients) {
        self.refused_everywhere(clients, &["SESSION_REVOKED"]).await;
    }

    /// Asserts the same of a token that was issued before the account was changed.
    ///
    /// # Panics
    /// One lets it in.
    pub async fn outdated(&self, clients: &Clients) {
        self.refused_everywhere(clients, &["TOKEN_OUTDATED"]).await;
    }

    /// Asserts the same of an account that may not come in: that its sessions
    /// have ended and that it was changed reaches a guard in any order.
    ///
    /// # Panics
    /// One lets it in.
    pub async fn locked_out(&self, clients: &Clients) {
        self.refused_everywhere(clients, &["SESSION_REVOKED", "TOKEN_OUTDATED"]).await;
    }

    async fn refused_everywhere(&self, clients: &Clients, reasons: &[&str]) {
        let (auth, user) = self.running().addresses();
        let soon = self.shape().place.topology != Topology::Embedded;
        let deadline = Instant::now() + if soon { REVOCATION } else { Duration::ZERO };
        let guards = auth.iter().map(|at| (at, true)).chain(user.iter().map(|at| (at, false)));
        for (&address, is_auth) in guards {
            let clients = clients.at(address);
            let refused = loop {
                let answer = match is_auth {
                    true => clients.account("me").await.map(drop),
                    false => clients.profile("me").await.map(drop),
                };
                if answer.is_err() || Instant::now() > deadline {
                    break refusal(answer);
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            };
            assert_eq!(refused.code, Code::Unauthenticated, "{refused:?}");
            assert!(reasons.contains(&refused.reason.as_str()), "{refused:?}");
        }
    }

    fn shape(&self) -> &Shape {
        self.shape.as_ref().expect("the system has a place")
    }

    fn running(&self) -> &Running {
        self.running.as_ref().expect("the system runs")
    }

    fn take(&mut self) -> Running {
        self.running.take().expect("the system runs")
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        let Some((running, shape)) = self.running.take().zip(self.shape.take()) else { return };
        let allowed = self.dead_letters_allowed;
        let failed = std::thread::panicking();
        // On a thread of its own: here may be no place to wait.
        let last = std::thread::spawn(move || running.end(shape.place, allowed, failed)).join();
        if let Err(left) = last
            && !failed
        {
            std::panic::resume_unwind(left);
        }
    }
}

/// The clock of this machine, and one that is so far ahead until it is set right.
fn apart(skew: Duration) -> [Clock; 2] {
    let ahead = Clock::system().correctable();
    ahead.correct(ahead.now().plus(skew));
    [Clock::system(), ahead]
}

/// The defaults, but for hashing, which is as cheap as is allowed, and the
/// throttle, which would count all tests as one network.
fn settings() -> Config {
    let mut config = Config::default();
    config.auth.hashing.memory_kib = 7168;
    config.auth.hashing.iterations = 1;
    config.auth.hashing.workers = 2;
    config.auth.throttle.registrations_per_minute = MANY;
    config.auth.throttle.overall_per_second = MANY;
    config.auth.throttle.network_per_second = MANY;
    config.auth.throttle.logins_per_minute = MANY;
    config.auth.hashing.network_queue = config.auth.hashing.queue;
    config
}
