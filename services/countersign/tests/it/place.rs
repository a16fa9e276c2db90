//! A folder of its own, and the executable in it.

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

pub const PASSWORD: &str = "violet harbour sings at dawn";

pub struct Place {
    parent: tempfile::TempDir,
}

impl Place {
    pub fn new() -> Self {
        Self { parent: tempfile::tempdir().unwrap() }
    }

    pub fn folder(&self) -> &Path {
        self.parent.path()
    }

    pub fn data(&self) -> PathBuf {
        self.parent.path().join("data")
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
        command.args(arguments).env_clear().stdin(Stdio::null());
        command.env("COUNTERSIGN_DATA_DIR", self.data()).env("COUNTERSIGN_LISTEN", "127.0.0.1:0");
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Runs a command that reads `input`.
    pub fn pipe(&self, arguments: &[&str], input: &str) -> Output {
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The one sentence with which a command refuses.
pub fn refusal(output: &Output) -> String {
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.starts_with("countersign: ") && said.lines().count() == 1, "{said}");
    said
}

pub fn success(output: &Output) -> String {
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}
