//! The processes of a campaign, and the wires between them and the load.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use super::caller::{Doors, LONGEST};
use crate::{Executable, Ledger, Process, Proxy, Weather};

/// What the processes are told, so that only faults hold anybody up, and so
/// that a session that a fault interrupts is not taken for a stolen one.
const SETTINGS: [(&str, &str); 8] = [
    ("COUNTERSIGN_AUTH__HASHING__MEMORY_KIB", "7168"),
    ("COUNTERSIGN_AUTH__HASHING__ITERATIONS", "1"),
    ("COUNTERSIGN_AUTH__THROTTLE__REGISTRATIONS_PER_MINUTE", "100000"),
    ("COUNTERSIGN_AUTH__THROTTLE__OVERALL_PER_SECOND", "100000"),
    ("COUNTERSIGN_AUTH__SESSION__ACCESS_TOKEN_LIFETIME", "1h"),
    ("COUNTERSIGN_AUTH__SESSION__GRACE_WINDOW", "1m"),
    ("COUNTERSIGN_LOG__LEVEL", "warn"),
    ("COUNTERSIGN_SERVER__DRAIN_TIMEOUT", "2s"),
];

/// A process that is killed, stopped and started again.
struct Member {
    name: String,
    executable: Executable,
    process: Option<Process>,
    /// The wire in front of it: its own port changes, that of the wire does not.
    wire: usize,
}

struct Wire {
    name: String,
    proxy: Proxy,
}

/// The whole system.
pub(super) struct Fleet {
    members: Vec<Member>,
    wires: Vec<Wire>,
    /// Runs the commands of operators.
    operator: Executable,
    data: PathBuf,
    _folder: TempDir,
}

impl Fleet {
    /// Everything in one process.
    pub(super) async fn embedded() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let data = folder.path().join("data");
        let executable = SETTINGS
            .iter()
            .fold(Executable::on(&data), |executable, (name, value)| executable.with(name, value));
        let mut fleet = Self {
            members: Vec::new(),
            wires: Vec::new(),
            operator: executable.clone(),
            data,
            _folder: folder,
        };
        fleet.add("countersign", executable).await;
        fleet
    }

    async fn add(&mut self, name: &str, executable: Executable) {
        let (name, wire) = (name.to_owned(), self.wires.len());
        self.wires.push(Wire { name: name.clone(), proxy: Proxy::start(None).await });
        self.members.push(Member { name, executable, process: None, wire });
        self.start(self.members.len() - 1).await;
    }

    pub(super) fn doors(&self) -> Doors {
        let all: Vec<_> = self.wires.iter().map(|wire| wire.proxy.address()).collect();
        Doors { auth: all.clone(), user: all }
    }

    pub(super) async fn ledger(&self) -> Ledger {
        Ledger::open(&self.data).await
    }

    /// How many processes there are.
    pub(super) const fn members(&self) -> usize {
        self.members.len()
    }

    pub(super) fn member_name(&self, member: usize) -> &str {
        &self.members[member].name
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
        let member = &mut self.members[member];
        let deadline = Instant::now() + LONGEST;
        let process = loop {
            match member.executable.try_start().await {
                Ok(process) => break process,
                Err(said) if Instant::now() > deadline => {
                    panic!("{} does not start: {said}", member.name)
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        };
        self.wires[member.wire].proxy.lead_to(process.address());
        member.process = Some(process);
    }

    /// Ends a process with a signal that it cannot hold off.
    pub(super) async fn kill(&mut self, member: usize) {
        if let Some(process) = self.members[member].process.take() {
            process.kill().await;
        }
    }

    /// Starts a process and ends it in the midst of that.
    pub(super) async fn start_and_kill(&self, member: usize, after: Duration) {
        self.members[member].executable.start_and_kill(after).await;
    }

    /// Sends a signal to a process that runs.
    pub(super) async fn signal(&mut self, member: usize, signal: &str) {
        if let Some(process) = &mut self.members[member].process {
            process.signal(signal).await;
        }
    }

    pub(super) fn set(&self, wire: usize, weather: Weather) {
        self.wires[wire].proxy.set(weather);
    }

    pub(super) fn reset(&self, wire: usize) {
        self.wires[wire].proxy.reset();
    }

    /// Ends all processes in good order and starts them again; names those that
    /// did not leave in good order.
    pub(super) async fn restart(&mut self) -> Vec<String> {
        let mut unruly = Vec::new();
        for member in &mut self.members {
            if let Some(process) = member.process.take()
                && !process.stop().await
            {
                unruly.push(member.name.clone());
            }
        }
        for member in 0..self.members.len() {
            self.start(member).await;
        }
        unruly
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
