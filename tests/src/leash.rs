//! Processes that never outlive this one, however it ends.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
};

use tokio::process::{Child, ChildStdin, Command};

/// What runs before the program, in the process that becomes the program. It
/// leaves a watcher behind that reads from a pipe which only this process holds
/// open: when the pipe ends, for whatever reason, so does the program. The
/// watcher is the program's own child; once it has another parent there is
/// nothing left to end, and the number may be somebody else's. A program that
/// does not heed the first signal is killed. Then the folder goes, where one is
/// named, and with it all that the program wrote.
const WATCH: &str = r#"
signal=$1 folder=$2
shift 2
exec 3<&0
{
    cat
    alive() { read -r _ _ _ parent _ </proc/self/stat && [ "$parent" = $$ ]; }
    alive && kill -s "$signal" $$ && kill -s CONT $$
    tries=0
    while alive && [ $tries -lt 50 ]; do sleep 0.1; tries=$((tries + 1)); done
    alive && kill -s KILL $$
    tries=0
    while [ -n "$folder" ] && ! rm -rf "$folder" && [ $tries -lt 50 ]; do
        sleep 0.1
        tries=$((tries + 1))
    done
} <&3 >/dev/null 2>&1 &
exec 3<&- </dev/null
exec "$@"
"#;

/// A program that ends with this process. Dropping it ends it, too.
#[derive(Debug)]
pub struct Leash {
    child: Child,
    /// Held for as long as the program may run.
    pipe: Option<ChildStdin>,
}

/// A new folder that goes with this process, and when it is dropped.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    _leash: Leash,
}

/// How a program is ended when nobody is left to end it.
#[derive(Clone, Copy, Debug)]
pub struct Ending<'a> {
    /// The signal, such as `KILL`.
    pub signal: &'a str,
    /// What is removed afterwards.
    pub folder: Option<&'a Path>,
}

impl Ending<'_> {
    /// At once, and nothing is removed.
    pub const KILL: Self = Self { signal: "KILL", folder: None };
}

impl Leash {
    /// Starts `program` with what `prepare` adds: arguments, environment,
    /// output. Its standard input is empty.
    ///
    /// # Panics
    /// There is no shell.
    pub fn start(program: &OsStr, ending: Ending<'_>, prepare: impl FnOnce(&mut Command)) -> Self {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", WATCH, "sh", ending.signal]);
        command.arg(ending.folder.map_or_else(|| OsStr::new(""), Path::as_os_str)).arg(program);
        prepare(&mut command);
        command.stdin(Stdio::piped());
        let mut child = command.spawn().expect("a shell starts");
        let pipe = child.stdin.take();
        Self { child, pipe }
    }

    /// The process itself, for its output.
    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// The number of the process; none where it has ended.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Waits for the end of the program.
    ///
    /// # Panics
    /// The system does not tell.
    pub async fn ended(&mut self) -> ExitStatus {
        let status = self.child.wait().await.expect("a child can be waited for");
        self.pipe = None;
        status
    }

    /// Sends a signal, such as `STOP`; false where the program has ended.
    ///
    /// # Panics
    /// There is no `kill`.
    pub async fn signal(&mut self, signal: &str) -> bool {
        let Some(id) = self.child.id() else { return false };
        let sent = Command::new("kill").args(["-s", signal, &id.to_string()]).status().await;
        sent.expect("kill runs").success()
    }

    /// Ends the program with a signal that it cannot hold off, and waits for it.
    pub async fn kill(&mut self) {
        self.signal("KILL").await;
        self.ended().await;
    }
}

impl Folder {
    /// A folder for this user alone, until it is given to another one.
    ///
    /// # Panics
    /// It cannot be made.
    #[must_use]
    pub fn new() -> Self {
        let path = tempfile::tempdir().expect("a temporary folder").keep();
        let ending = Ending { signal: "KILL", folder: Some(&path) };
        // A program only because a leash needs one: it does nothing for ever.
        let leash = Leash::start(OsStr::new("sleep"), ending, |command| {
            command.arg("2147483647").stdout(Stdio::null()).stderr(Stdio::null());
        });
        Self { path, _leash: leash }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Default for Folder {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncBufReadExt, BufReader};

    use super::*;

    #[tokio::test]
    async fn a_program_ends_with_its_leash_and_its_folder_goes() {
        let folder = tempfile::tempdir().unwrap().keep();
        let ending = Ending { signal: "TERM", folder: Some(&folder) };
        let mut leash = Leash::start(OsStr::new("/bin/sh"), ending, |command| {
            command.args(["-c", "echo up; while :; do sleep 1; done"]);
            command.stdout(Stdio::piped());
        });
        let stdout = leash.child().stdout.take().unwrap();
        let mut lines = BufReader::new(stdout).lines();
        assert_eq!(lines.next_line().await.unwrap().as_deref(), Some("up"));
        leash.pipe = None;
        leash.ended().await;
        while folder.exists() {
            tokio::task::yield_now().await;
        }
    }
}
