//! One process of a campaign, that is killed, stopped and started again.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use crate::{
    Edition, Executable, Process, WallClock,
    engines::{Nats, Postgres},
};

/// A process and its name in the history.
pub(super) struct Member {
    pub name: String,
    pub program: Program,
    /// What it said in former lives.
    said: String,
}

/// What it runs.
pub(super) enum Program {
    Server { executable: Executable, clock: Option<WallClock>, process: Option<Process> },
    Nats(Box<Nats>),
    Postgres(Postgres),
}

impl Member {
    pub(super) fn new(name: &str, program: Program) -> Self {
        Self { name: name.to_owned(), program, said: String::new() }
    }

    /// A process of ours.
    pub(super) fn server(name: &str, executable: Executable, clock: Option<WallClock>) -> Self {
        Self::new(name, Program::Server { executable, clock, process: None })
    }

    /// The clock that can be off, if it is a process of ours that has one.
    pub(super) const fn clock(&self) -> Option<&WallClock> {
        match &self.program {
            Program::Server { clock, .. } => clock.as_ref(),
            _ => None,
        }
    }

    /// What it has said so far, in all its lives.
    pub(super) fn said(&self) -> String {
        format!("{}\n== {}\n{}", self.said, self.name, self.says())
    }

    /// What it has said in this life.
    fn says(&self) -> String {
        match &self.program {
            Program::Server { process, .. } => process.as_ref().map(Process::said),
            Program::Nats(nats) => Some(nats.said()),
            Program::Postgres(postgres) => Some(postgres.said()),
        }
        .unwrap_or_default()
    }

    /// Which build of our server it is from its next start on.
    pub(super) fn turn_into(&mut self, edition: Edition) {
        if let Program::Server { executable, .. } = &mut self.program {
            *executable = executable.clone().of(edition);
        }
    }

    /// Lets go of the server's process, which runs on.
    pub(super) const fn leave_running(&mut self) -> Option<Process> {
        match &mut self.program {
            Program::Server { process, .. } => process.take(),
            Program::Nats(_) | Program::Postgres(_) => None,
        }
    }

    /// Starts it; returns where it listens now.
    pub(super) async fn start(&mut self, deadline: Instant) -> SocketAddr {
        match &mut self.program {
            Program::Server { executable, process, .. } => {
                let started = loop {
                    match executable.try_start().await {
                        Ok(started) => break started,
                        Err(said) if Instant::now() > deadline => {
                            panic!("{} does not start: {said}", self.name)
                        }
                        Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
                    }
                };
                process.insert(started).address()
            }
            Program::Nats(nats) => {
                nats.restart().await;
                nats.address()
            }
            Program::Postgres(postgres) => {
                postgres.restart().await;
                postgres.address()
            }
        }
    }

    pub(super) async fn kill(&mut self) {
        self.said = self.said();
        match &mut self.program {
            Program::Server { process, .. } => {
                if let Some(process) = process.take() {
                    process.kill().await;
                }
            }
            Program::Nats(nats) => nats.kill().await,
            Program::Postgres(postgres) => postgres.kill().await,
        }
    }

    /// Makes it stand still.
    pub(super) async fn freeze(&mut self) {
        match &mut self.program {
            Program::Postgres(postgres) => postgres.freeze().await,
            _ => self.signal("STOP").await,
        }
    }

    /// Lets it go on.
    pub(super) async fn thaw(&mut self) {
        match &mut self.program {
            Program::Postgres(postgres) => postgres.thaw().await,
            _ => self.signal("CONT").await,
        }
    }

    async fn signal(&mut self, signal: &str) {
        match &mut self.program {
            Program::Server { process: Some(process), .. } => process.signal(signal).await,
            Program::Server { process: None, .. } => false,
            Program::Nats(nats) => nats.signal(signal).await,
            Program::Postgres(postgres) => postgres.signal(signal).await,
        };
    }

    /// Ends it in good order; false where it did not.
    pub(super) async fn stop(&mut self) -> bool {
        self.said = self.said();
        match &mut self.program {
            Program::Server { process, .. } => match process.take() {
                Some(process) => process.stop().await,
                None => true,
            },
            Program::Nats(nats) => {
                nats.stop().await;
                true
            }
            Program::Postgres(postgres) => {
                postgres.stop().await;
                true
            }
        }
    }
}
