//! The processes of a campaign, and the wires between them and the load.

mod member;
mod plan;

use std::{
    net::SocketAddr,
    path::PathBuf,
    time::{Duration, Instant},
};

use countersign_mesh::health::v1::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use super::caller::{Doors, LONGEST};
use crate::{Clients, Edition, Executable, Folder, Ledger, Proxy, Weather};
use member::{Member, Program};

pub use plan::Layout;

/// The whole system.
pub(super) struct Fleet {
    members: Vec<Member>,
    wires: Vec<Wire>,
    /// Those that never have a fault, for who looks from outside.
    sound: Vec<Wire>,
    /// Runs the commands of operators.
    operator: Executable,
    place: Place,
    _folder: Folder,
}

/// A connection that can have a fault.
struct Wire {
    /// From where to where.
    name: String,
    proxy: Proxy,
    /// The member at its end.
    to: usize,
    /// Whose callers come through it: the load, or other processes.
    door: Option<super::caller::Service>,
}

/// Where the databases are.
enum Place {
    Folder(PathBuf),
    /// The URLs of auth and user, through a sound wire.
    Server {
        auth: String,
        user: String,
    },
}

impl Fleet {
    /// The addresses that the load calls.
    pub(super) fn doors(&self) -> Doors {
        use super::caller::Service::{Auth, User};
        let to = |service| {
            let doors = self.wires.iter().filter(|wire| wire.door == Some(service));
            doors.map(|wire| wire.proxy.address()).collect::<Vec<_>>()
        };
        let (auth, mut user) = (to(Auth), to(User));
        if user.is_empty() {
            user.clone_from(&auth);
        }
        Doors { auth, user }
    }

    pub(super) async fn ledger(&self) -> Ledger {
        match &self.place {
            Place::Folder(data) => Ledger::open(data).await,
            Place::Server { auth, user } => Ledger::connect(auth, user).await,
        }
    }

    /// How many processes there are.
    pub(super) const fn members(&self) -> usize {
        self.members.len()
    }

    pub(super) fn member_name(&self, member: usize) -> &str {
        &self.members[member].name
    }

    /// The brokers among the processes.
    pub(super) fn brokers(&self) -> Vec<usize> {
        let members = self.members.iter().enumerate();
        let brokers = members.filter(|(_, member)| matches!(member.program, Program::Nats(_)));
        brokers.map(|(at, _)| at).collect()
    }

    /// Our own servers among the processes.
    pub(super) fn servers(&self) -> Vec<usize> {
        let members = self.members.iter().enumerate();
        let servers =
            members.filter(|(_, member)| matches!(member.program, Program::Server { .. }));
        servers.map(|(at, _)| at).collect()
    }

    /// How many wires there are.
    pub(super) const fn wires(&self) -> usize {
        self.wires.len()
    }

    pub(super) fn wire_name(&self, wire: usize) -> &str {
        &self.wires[wire].name
    }

    /// Starts a process that has ended, and again where it does not come up: what
    /// it needs may be away for a moment.
    ///
    /// # Panics
    /// It never comes up.
    pub(super) async fn start(&mut self, member: usize) {
        let address = self.members[member].start(Instant::now() + LONGEST).await;
        self.lead_to(member, address);
    }

    fn lead_to(&self, member: usize, address: SocketAddr) {
        for wire in self.wires.iter().chain(&self.sound).filter(|wire| wire.to == member) {
            wire.proxy.lead_to(address);
        }
    }

    /// Ends a process with a signal that it cannot hold off.
    pub(super) async fn kill(&mut self, member: usize) {
        self.members[member].kill().await;
    }

    /// Starts a process and ends it in the midst of that, where it is one of ours.
    pub(super) async fn start_and_kill(&self, member: usize, after: Duration) {
        if let Program::Server { executable, .. } = &self.members[member].program {
            executable.start_and_kill(after).await;
        }
    }

    /// Ends one of the processes of the database that serve connections.
    pub(super) async fn kill_backend(&self, number: usize) {
        for member in &self.members {
            if let Program::Postgres(postgres) = &member.program {
                postgres.kill_backend(number).await;
            }
        }
    }

    /// Makes a process stand still, with all that belong to it.
    pub(super) async fn freeze(&mut self, member: usize) {
        self.members[member].freeze().await;
    }

    /// Lets it go on.
    pub(super) async fn thaw(&mut self, member: usize) {
        self.members[member].thaw().await;
    }

    /// The processes whose clocks can be off.
    pub(super) fn clocks(&self) -> Vec<usize> {
        let members = self.members.iter().enumerate();
        members.filter(|(_, member)| member.clock().is_some()).map(|(at, _)| at).collect()
    }

    /// Starts a process anew with a clock that is off by so much, and any other
    /// with one that is right: that far may one be off, not two in different
    /// ways. Names those that did not leave in good order.
    pub(super) async fn set_clock(&mut self, member: usize, seconds: i64) -> Vec<String> {
        let mut unruly = Vec::new();
        for at in self.clocks() {
            let seconds = if at == member { seconds } else { 0 };
            let clock = self.members[at].clock().filter(|clock| clock.seconds() != seconds);
            if let Some(clock) = clock.cloned() {
                // While nobody looks at it: a clock that is off runs evenly.
                let orderly = self.members[at].stop().await;
                clock.set(seconds);
                self.start(at).await;
                unruly.extend((!orderly).then(|| self.members[at].name.clone()));
            }
        }
        unruly
    }

    /// Waits until a broker has everything that the others have.
    ///
    /// # Panics
    /// It never has.
    pub(super) async fn has_caught_up(&self, broker: usize) {
        if let Program::Nats(nats) = &self.members[broker].program {
            nats.has_caught_up().await;
        }
    }

    /// Takes up all the room on the disk of a broker.
    pub(super) fn fill_disk(&self, broker: usize) {
        if let Program::Nats(nats) = &self.members[broker].program {
            nats.fill_disk();
        }
    }

    /// Gives it back.
    pub(super) fn free_disk(&self, broker: usize) {
        if let Program::Nats(nats) = &self.members[broker].program {
            nats.free_disk();
        }
    }

    /// Removes what brokers that have ended had stored.
    pub(super) fn lose_store(&self, member: usize) {
        if let Program::Nats(nats) = &self.members[member].program {
            nats.lose_store();
        }
    }

    pub(super) fn set(&self, wire: usize, weather: Weather) {
        self.wires[wire].proxy.set(weather);
    }

    pub(super) fn reset(&self, wire: usize) {
        self.wires[wire].proxy.reset();
    }

    /// Ends all processes in good order and starts them again; names those that
    /// did not leave in good order. Engines end last and start first.
    pub(super) async fn restart(&mut self) -> Vec<String> {
        let mut unruly = Vec::new();
        for member in &mut self.members {
            if !member.stop().await {
                unruly.push(member.name.clone());
            }
        }
        for member in (0..self.members.len()).rev() {
            self.start(member).await;
        }
        unruly
    }

    /// Replaces a server as a rolling upgrade does: the new one serves before
    /// the wires lead there, and only then the old one is asked to leave. Returns
    /// whether that left in good order.
    pub(super) async fn replace(&mut self, member: usize, edition: Edition) -> bool {
        let Some(old) = self.members[member].leave_running() else { return true };
        self.members[member].turn_into(edition);
        let deadline = Instant::now() + LONGEST;
        let address = self.members[member].start(deadline).await;
        while !serves(address).await {
            assert!(Instant::now() < deadline, "{} does not serve", self.members[member].name);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.lead_to(member, address);
        old.stop().await
    }

    /// The same with one process.
    pub(super) async fn restart_one(&mut self, member: usize) -> Vec<String> {
        let orderly = self.members[member].stop().await;
        self.start(member).await;
        if orderly { Vec::new() } else { vec![self.members[member].name.clone()] }
    }

    /// What the processes have said in all their lives.
    pub(super) fn said(&self) -> String {
        self.members.iter().map(Member::said).collect()
    }

    /// Runs a command of operators; returns what it printed.
    ///
    /// # Errors
    /// What it said where it failed.
    pub(super) async fn operate(&self, arguments: &[&str]) -> Result<String, String> {
        let output = self.operator.run(arguments).await;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }
}

/// Whether the server says that it takes calls, as an orchestrator asks it.
async fn serves(address: SocketAddr) -> bool {
    let mut health = HealthClient::new(Clients::of(address).channel());
    let answer = health.check(HealthCheckRequest::default()).await;
    answer.is_ok_and(|answer| answer.into_inner().status() == ServingStatus::Serving)
}
