//! The processes that a process has started.

use std::fs;

use tokio::process::Command;

/// The children of a process, and how each calls itself: its command line.
pub(crate) fn children(parent: u32) -> Vec<(u32, String)> {
    let folders = fs::read_dir("/proc").expect("/proc can be read");
    let ids = folders.flatten().filter_map(|folder| folder.file_name().to_str()?.parse().ok());
    let children = ids.filter(|id| self::parent(*id) == Some(parent));
    children.filter_map(|id| Some((id, title(id)?))).collect()
}

/// Sends a signal, such as `STOP`, to processes; to those that are still there.
///
/// # Panics
/// There is no `kill`.
pub(crate) async fn signal(signal: &str, processes: &[u32]) {
    if !processes.is_empty() {
        let mut command = Command::new("kill");
        command.args(["-s", signal]).args(processes.iter().map(u32::to_string));
        command.output().await.expect("kill runs");
    }
}

fn parent(process: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // Behind its name, which may hold anything, stand its state and its parent.
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(1)?.parse().ok()
}

fn title(process: u32) -> Option<String> {
    let words = fs::read(format!("/proc/{process}/cmdline")).ok()?;
    Some(String::from_utf8_lossy(&words).replace('\0', " "))
}
