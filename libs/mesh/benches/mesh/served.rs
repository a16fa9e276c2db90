//! A server in a process of its own.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    str::FromStr,
};

/// What stands between the socket and the handler.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// tonic's own server.
    Bare,
    /// The stack, which says nothing.
    Stack,
    /// The stack, with a line of the log and measures of each call.
    Telling,
    /// The same behind a guard that asks 500 policies.
    Guarded,
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let all = [Self::Bare, Self::Stack, Self::Telling, Self::Guarded];
        all.into_iter().find(|kind| format!("{kind:?}") == text).ok_or_else(|| text.to_owned())
    }
}

/// A server that runs until this is dropped.
pub struct Served {
    child: Child,
    /// Where it listens.
    pub address: String,
    /// Somebody's token, and their id.
    pub token: String,
    pub id: String,
}

impl Served {
    pub fn start(kind: Kind) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["serve", &format!("{kind:?}")])
            .stdout(Stdio::piped())
            // Its lines are made, and read by nobody.
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut said = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut said).unwrap();
        let mut words = said.split_whitespace().map(str::to_owned);
        let mut word = || words.next().unwrap();
        Self { address: word(), token: word(), id: word(), child }
    }

    pub fn process(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
