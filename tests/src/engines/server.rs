//! A program that says on its standard error when it is ready.

use std::{
    collections::VecDeque,
    ffi::OsStr,
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
};

use crate::leash::{Ending, Leash};

/// Lines that are kept of what it says.
const KEPT: usize = 200;

/// A running engine.
#[derive(Debug)]
pub(super) struct Server {
    pub leash: Leash,
    said: Arc<Mutex<VecDeque<String>>>,
}

impl Server {
    /// Starts it and waits for a line with `ready` in it.
    ///
    /// # Errors
    /// What it said before it ended.
    pub(super) async fn start(
        program: &OsStr,
        signal: &str,
        ready: &str,
        prepare: impl FnOnce(&mut Command),
    ) -> Result<Self, String> {
        let ending = Ending { signal, folder: None };
        let mut leash = Leash::start(program, ending, |command| {
            prepare(command);
            command.stdout(Stdio::null()).stderr(Stdio::piped());
        });
        let stderr = leash.child().stderr.take().expect("standard error is piped");
        let mut lines = BufReader::new(stderr).lines();
        let said: Arc<Mutex<VecDeque<String>>> = Arc::default();
        let mut is_ready = false;
        while !is_ready {
            let Ok(Some(line)) = lines.next_line().await else { break };
            is_ready = line.contains(ready);
            keep(&said, line);
        }
        let server = Self { leash, said: Arc::clone(&said) };
        if !is_ready {
            return Err(server.said());
        }
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                keep(&said, line);
            }
        });
        Ok(server)
    }

    /// The last lines that it said.
    pub(super) fn said(&self) -> String {
        let lines = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().map(|line| format!("{line}\n")).collect()
    }

    /// What stands behind `mark` in the first line that has it.
    pub(super) fn behind(&self, mark: &str) -> Option<String> {
        let lines = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let line = lines.iter().find_map(|line| line.split_once(mark));
        line.map(|(_, rest)| rest.trim().to_owned())
    }
}

fn keep(said: &Mutex<VecDeque<String>>, line: String) {
    let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
    if said.len() == KEPT {
        said.pop_front();
    }
    said.push_back(line);
}
