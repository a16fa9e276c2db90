//! A real broker: nats-server on this machine, on ports of its own choice,
//! with a store that survives it.

use std::{
    env, fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use countersign_events::JetStreamOptions;
use tempfile::TempDir;

/// How long an engine gets to be there.
pub const START: Duration = Duration::from_secs(30);

/// One server, running or not.
pub struct Nats {
    folder: TempDir,
    port: Option<u16>,
    process: Option<Child>,
}

/// Three servers that are one.
pub struct Cluster {
    folder: TempDir,
    ports: Vec<u16>,
    processes: Vec<Option<Child>>,
}

impl Nats {
    pub fn new() -> Self {
        let mut nats = Self { folder: tempfile::tempdir().unwrap(), port: None, process: None };
        nats.start();
        nats
    }

    /// Starts it, again where it was before.
    pub fn start(&mut self) {
        let ports = self.folder.path().join("ports");
        let _ = fs::remove_dir_all(&ports);
        fs::create_dir_all(&ports).unwrap();
        let port = self.port.map_or("-1".to_owned(), |port| port.to_string());
        let process = server()
            .args(["-a", "127.0.0.1", "-p", &port, "-js", "-sd"])
            .arg(self.store())
            .arg("--ports_file_dir")
            .arg(&ports)
            .spawn()
            .unwrap();
        let ports = ports.join(format!("nats-server_{}.ports", process.id()));
        self.process = Some(process);
        let text = wait_for(|| fs::read_to_string(&ports).ok().filter(|text| text.contains('}')));
        let port = text.split("nats://127.0.0.1:").nth(1).unwrap();
        let port: String = port.chars().take_while(char::is_ascii_digit).collect();
        self.port = Some(port.parse().unwrap());
    }

    /// Ends it as a power cut would.
    pub fn kill(&mut self) {
        end(&mut self.process);
    }

    /// Stops it where it stands; its connections stay open.
    pub fn freeze(&mut self) {
        self.signal("-STOP");
    }

    /// Lets it go on.
    pub fn thaw(&mut self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let id = self.process.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    }

    /// Throws away everything that it keeps. It must not be running.
    pub fn forget(&self) {
        assert!(self.process.is_none());
        fs::remove_dir_all(self.store()).unwrap();
    }

    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port.unwrap())
    }

    pub fn options(&self) -> JetStreamOptions {
        options([self.url()])
    }

    fn store(&self) -> PathBuf {
        self.folder.path().join("store")
    }
}

impl Drop for Nats {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Cluster {
    pub fn new() -> Self {
        let free: Vec<TcpListener> =
            (0..6).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let ports = free.iter().map(|free| free.local_addr().unwrap().port()).collect();
        drop(free);
        let folder = tempfile::tempdir().unwrap();
        let mut cluster = Self { folder, ports, processes: vec![None, None, None] };
        for node in 0..3 {
            cluster.start(node);
        }
        cluster
    }

    pub fn start(&mut self, node: usize) {
        let routes = (3..6).map(|port| format!("nats-route://127.0.0.1:{}", self.ports[port]));
        let config = format!(
            "server_name: n{node}\nlisten: \"127.0.0.1:{}\"\n\
             jetstream {{ store_dir: \"{}\" }}\n\
             cluster {{ name: c, listen: \"127.0.0.1:{}\", routes: [{}] }}\n",
            self.ports[node],
            self.folder.path().join(format!("store{node}")).display(),
            self.ports[node + 3],
            routes.collect::<Vec<_>>().join(", "),
        );
        let file = self.folder.path().join(format!("n{node}.conf"));
        fs::write(&file, config).unwrap();
        self.processes[node] = Some(server().arg("-c").arg(file).spawn().unwrap());
    }

    pub fn kill(&mut self, node: usize) {
        end(&mut self.processes[node]);
    }

    pub fn options(&self) -> JetStreamOptions {
        options(self.ports.iter().take(3).map(|port| format!("nats://127.0.0.1:{port}")))
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for node in 0..3 {
            self.kill(node);
        }
    }
}

/// Tight limits, so that tests of faults are quick.
fn options(urls: impl IntoIterator<Item = String>) -> JetStreamOptions {
    JetStreamOptions {
        ack_wait: Duration::from_secs(2),
        request_timeout: Duration::from_secs(2),
        ..JetStreamOptions::new(urls)
    }
}

fn server() -> Command {
    let mut command = Command::new(tool("COUNTERSIGN_TEST_NATS_SERVER", "bin/nats-server"));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn end(process: &mut Option<Child>) {
    if let Some(mut process) = process.take() {
        let _ = process.kill();
        let _ = process.wait();
    }
}

/// A tool named by the environment, or below `.tools/venv` of the workspace.
pub fn tool(variable: &str, below: &str) -> PathBuf {
    if let Some(path) = env::var_os(variable) {
        return path.into();
    }
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
    let path = workspace.join(".tools/venv").join(below);
    assert!(path.exists(), "{} is missing: run `make tools`, or set {variable}", path.display());
    path
}

/// Asks again until there is an answer; an engine that is not up in time fails the test.
pub fn wait_for<T>(mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + START;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "an engine did not start in time");
        std::thread::sleep(Duration::from_millis(5));
    }
}
