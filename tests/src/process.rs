//! The executable as a newcomer runs it, and as an accident ends it.

use std::{
    env,
    ffi::OsString,
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

use crate::{
    Clients,
    leash::{Ending, Leash},
};

/// The executable and the environment in which it runs.
#[derive(Clone, Debug)]
pub struct Executable {
    program: PathBuf,
    data: PathBuf,
    /// The words that say what it serves; none for everything.
    role: Vec<String>,
    environment: Vec<(String, String)>,
    /// Kilobytes that a file may have (`ulimit -f`, in blocks of 512 or 1024 bytes).
    file_limit: Option<u32>,
    /// The user as whom it runs, where that is another than the test's own.
    user: Option<u32>,
}

/// The user that owns nothing, by the custom of Unix systems.
const NOBODY: u32 = 65534;

/// Which build of the executable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edition {
    /// What was last released, as `make former` builds it.
    Former,
    /// What was built beside this test.
    Current,
}

/// A running server. Dropping it kills the process.
#[derive(Debug)]
pub struct Process {
    leash: Leash,
    address: SocketAddr,
    output: Arc<Mutex<String>>,
}

impl Edition {
    fn program(self) -> PathBuf {
        if self == Self::Former {
            let former = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.tools/former/countersign");
            assert!(former.is_file(), "the former release is not built: use `make former`");
            return former;
        }
        let tests = env::current_exe().expect("the path of this test");
        // Tests lie a folder deeper than programs.
        let mut folders =
            tests.ancestors().skip(1).take(2).map(|folder| folder.join("countersign"));
        let program = folders.find(|program| program.is_file());
        program.expect("the executable is not built: use `make test`")
    }
}

impl Executable {
    /// The executable that was built beside this test, on a data folder.
    ///
    /// # Panics
    /// There is none: `make test` builds it first.
    #[must_use]
    pub fn on(data: &Path) -> Self {
        Self {
            program: Edition::Current.program(),
            data: data.to_path_buf(),
            role: Vec::new(),
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

    /// The same of this build.
    ///
    /// # Panics
    /// There is none: `make test` builds it first.
    #[must_use]
    pub fn of(mut self, edition: Edition) -> Self {
        self.program = edition.program();
        self
    }

    /// The same in a role, such as `auth`, where it is started as a server.
    #[must_use]
    pub fn in_role(mut self, role: &str) -> Self {
        self.role = vec![role.to_owned()];
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
        self.try_start().await.unwrap_or_else(|said| panic!("the server ended: {said}"))
    }

    /// The same where it is no surprise that the server does not come up.
    ///
    /// # Errors
    /// What it said before it ended.
    ///
    /// # Panics
    /// The program does not run at all.
    pub async fn try_start(&self) -> Result<Process, String> {
        let words = self.words(&self.role);
        let (program, arguments) = words.split_first().expect("a program");
        let mut leash = Leash::start(program, Ending::KILL, |command| {
            command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
            self.dress(command);
        });
        let output = Arc::default();
        let (found, mut address) = watch::channel(None);
        let found = Arc::new(found);
        for pipe in pipes(leash.child()) {
            tokio::spawn(read(pipe, Arc::clone(&output), Arc::clone(&found)));
        }
        drop(found);
        // The senders are gone when both pipes are closed.
        let known = address.wait_for(Option::is_some).await.map(|address| *address);
        match known {
            Ok(Some(address)) => Ok(Process { leash, address, output }),
            _ => Err(text(&output)),
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

    /// Runs a command and kills it after a while; whether it had come to its end before.
    ///
    /// # Panics
    /// The program does not run at all.
    pub async fn run_and_kill(&self, arguments: &[&str], after: Duration) -> bool {
        let mut command = self.command(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.kill_on_drop(true).spawn().expect("the program runs");
        let ended = tokio::time::timeout(after, child.wait()).await.is_ok();
        child.kill().await.expect("the process can be killed");
        ended
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let arguments: Vec<_> = arguments.iter().map(|&argument| argument.to_owned()).collect();
        let words = self.words(&arguments);
        let (program, arguments) = words.split_first().expect("a program");
        let mut command = Command::new(program);
        command.args(arguments);
        self.dress(&mut command);
        command
    }

    /// The program and its arguments.
    fn words(&self, arguments: &[String]) -> Vec<OsString> {
        let mut words = Vec::new();
        if let Some(blocks) = self.file_limit {
            let script = format!("ulimit -f {blocks}; trap '' XFSZ; exec \"$@\"");
            words.extend(["/bin/sh", "-c", &script, "sh"].map(OsString::from));
        }
        words.push(self.program.clone().into_os_string());
        words.extend(arguments.iter().map(OsString::from));
        words
    }

    fn dress(&self, command: &mut Command) {
        if let Some(user) = self.user {
            command.uid(user).gid(user);
        }
        command.env_clear().env("PATH", "/usr/bin:/bin");
        command.env("COUNTERSIGN_DATA_DIR", &self.data).env("COUNTERSIGN_LISTEN", "127.0.0.1:0");
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
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
    pub async fn kill(mut self) {
        self.leash.kill().await;
    }

    /// Sends a signal, such as `STOP`; false where it has ended already.
    ///
    /// # Panics
    /// `kill` is not there.
    pub async fn signal(&mut self, signal: &str) -> bool {
        self.leash.signal(signal).await
    }

    /// Asks it to end (SIGTERM), and waits; returns whether it left in good order.
    ///
    /// # Panics
    /// It has ended before, or `kill` is not there.
    pub async fn stop(mut self) -> bool {
        assert!(self.leash.signal("TERM").await, "the process runs");
        self.leash.ended().await.success()
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

/// Where it says that it serves; other lines name other addresses.
fn address_in(line: &str) -> Option<SocketAddr> {
    let (_, rest) = line.split_once(" serves ")?;
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.' && c != ':');
    let address: SocketAddr = rest.get(..end.unwrap_or(rest.len()))?.parse().ok()?;
    (address.port() != 0).then_some(address)
}

fn text(output: &Mutex<String>) -> String {
    output.lock().unwrap_or_else(PoisonError::into_inner).clone()
}
