//! The executable as a newcomer runs it, and as an accident ends it.

use std::{
    env,
    fs::Permissions,
    net::SocketAddr,
    os::unix::fs::{MetadataExt, PermissionsExt, chown},
    path::{Path, PathBuf},
    process::{Output, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    process::{Child, Command},
    sync::watch,
};

use crate::Clients;

/// The executable and the environment in which it runs.
#[derive(Clone, Debug)]
pub struct Executable {
    program: PathBuf,
    data: PathBuf,
    environment: Vec<(String, String)>,
    /// Kilobytes that a file may have (`ulimit -f`, in blocks of 512 or 1024 bytes).
    file_limit: Option<u32>,
    /// The user as whom it runs, where that is another than the test's own.
    user: Option<u32>,
}

/// The user that owns nothing, by the custom of Unix systems.
const NOBODY: u32 = 65534;

/// A running server. Dropping it kills the process.
#[derive(Debug)]
pub struct Process {
    child: Child,
    address: SocketAddr,
    output: Arc<Mutex<String>>,
}

impl Executable {
    /// The executable that was built beside this test, on a data folder.
    ///
    /// # Panics
    /// There is none: `make test` builds it first.
    #[must_use]
    pub fn on(data: &Path) -> Self {
        let tests = env::current_exe().expect("the path of this test");
        let program = tests.ancestors().nth(2).expect("target/debug").join("countersign");
        assert!(program.is_file(), "{} is not built: use `make test`", program.display());
        Self {
            program,
            data: data.to_path_buf(),
            environment: Vec::new(),
            file_limit: None,
            user: None,
        }
    }

    /// The same with one more variable in its environment.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same with files that cannot grow beyond so many blocks of `ulimit -f`.
    #[must_use]
    pub fn with_file_limit(mut self, blocks: u32) -> Self {
        self.file_limit = Some(blocks);
        self
    }

    /// The same as a user for whom the modes of files count: for root they do not.
    /// The folder around the data is given to that user.
    ///
    /// # Panics
    /// The folder does not exist, or cannot be given away.
    #[must_use]
    pub fn unprivileged(mut self) -> Self {
        let around = self.data.parent().expect("a folder around the data");
        if around.metadata().expect("the folder exists").uid() == 0 {
            chown(around, Some(NOBODY), Some(NOBODY)).expect("root gives folders away");
            self.user = Some(NOBODY);
        }
        self
    }

    /// Runs a command to its end.
    ///
    /// # Panics
    /// The program does not run at all.
    pub async fn run(&self, arguments: &[&str]) -> Output {
        let mut command = self.command(arguments);
        command.stdin(Stdio::null()).kill_on_drop(true);
        command.output().await.expect("the program runs")
    }

    /// Runs a command that reads `input`.
    ///
    /// # Panics
    /// The program does not run at all.
    pub async fn run_with_input(&self, arguments: &[&str], input: &str) -> Output {
        use tokio::io::AsyncWriteExt;
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.kill_on_drop(true).spawn().expect("the program runs");
        if let Some(mut stdin) = child.stdin.take() {
            // A program that does not read is told by what it prints.
            let _ = stdin.write_all(input.as_bytes()).await;
        }
        child.wait_with_output().await.expect("the program runs")
    }

    /// Starts the server and waits until it names its address.
    ///
    /// # Panics
    /// It ends before that; the panic shows what it said.
    pub async fn start(&self) -> Process {
        let mut command = self.command(&[]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.kill_on_drop(true).spawn().expect("the program runs");
        let output = Arc::default();
        let (found, mut address) = watch::channel(None);
        let found = Arc::new(found);
        for pipe in pipes(&mut child) {
            tokio::spawn(read(pipe, Arc::clone(&output), Arc::clone(&found)));
        }
        drop(found);
        // The senders are gone when both pipes are closed.
        let known = address.wait_for(Option::is_some).await.map(|address| *address);
        match known {
            Ok(Some(address)) => Process { child, address, output },
            _ => panic!("the server ended: {}", text(&output)),
        }
    }

    /// Starts the server and kills it so soon that it may not have come up.
    ///
    /// # Panics
    /// The program does not run at all.
    pub async fn start_and_kill(&self, after: Duration) {
        let mut command = self.command(&[]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.kill_on_drop(true).spawn().expect("the program runs");
        // Not to wait for something: to hit another moment each time.
        tokio::time::sleep(after).await;
        child.kill().await.expect("the process can be killed");
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = match self.file_limit {
            None => Command::new(&self.program),
            Some(blocks) => {
                let mut shell = Command::new("sh");
                let script = format!("ulimit -f {blocks}; trap '' XFSZ; exec \"$@\"");
                shell.args(["-c", &script, "sh"]).arg(&self.program);
                shell
            }
        };
        if let Some(user) = self.user {
            command.uid(user).gid(user);
        }
        command.args(arguments).env_clear().env("PATH", "/usr/bin:/bin");
        command.env("COUNTERSIGN_DATA_DIR", &self.data).env("COUNTERSIGN_LISTEN", "127.0.0.1:0");
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }
}

impl Process {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Clients without a token.
    #[must_use]
    pub fn clients(&self) -> Clients {
        Clients::of(self.address)
    }

    /// All that it has printed so far, to both streams.
    #[must_use]
    pub fn said(&self) -> String {
        text(&self.output)
    }

    /// Kills it with a signal that no process can hold off, and waits for its end.
    ///
    /// # Panics
    /// It cannot be killed.
    pub async fn kill(mut self) {
        self.child.kill().await.expect("the process can be killed");
    }

    /// Asks it to end (SIGTERM), and waits; returns whether it left in good order.
    ///
    /// # Panics
    /// `kill` is not there.
    pub async fn stop(mut self) -> bool {
        let id = self.child.id().expect("the process runs").to_string();
        let sent = Command::new("kill").args(["-TERM", &id]).status().await.expect("kill runs");
        assert!(sent.success());
        self.child.wait().await.expect("the process ends").success()
    }
}

/// Makes a file or folder readable and writable as `mode` says.
///
/// # Panics
/// It does not exist.
pub fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, Permissions::from_mode(mode)).expect("the file exists");
}

fn pipes(child: &mut Child) -> Vec<Box<dyn AsyncRead + Send + Unpin>> {
    let mut pipes: Vec<Box<dyn AsyncRead + Send + Unpin>> = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        pipes.push(Box::new(stdout));
    }
    if let Some(stderr) = child.stderr.take() {
        pipes.push(Box::new(stderr));
    }
    pipes
}

async fn read(
    pipe: Box<dyn AsyncRead + Send + Unpin>,
    output: Arc<Mutex<String>>,
    found: Arc<watch::Sender<Option<SocketAddr>>>,
) {
    let mut lines = BufReader::new(pipe).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if found.borrow().is_none()
            && let Some(address) = address_in(&line)
        {
            found.send_replace(Some(address));
        }
        let mut output = output.lock().unwrap_or_else(PoisonError::into_inner);
        output.push_str(&line);
        output.push('\n');
    }
}

fn address_in(line: &str) -> Option<SocketAddr> {
    let start = line.find("127.0.0.1:")?;
    let rest = line.get(start..)?;
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.' && c != ':');
    let address: SocketAddr = rest.get(..end.unwrap_or(rest.len()))?.parse().ok()?;
    (address.port() != 0).then_some(address)
}

fn text(output: &Mutex<String>) -> String {
    output.lock().unwrap_or_else(PoisonError::into_inner).clone()
}
