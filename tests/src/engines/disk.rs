//! A disk of a size of its own, to be filled: a file system in memory, in a
//! mount namespace that a sleeping process holds. Whoever enters the namespace
//! has the disk there; for everybody else the folder is empty.

use std::{
    ffi::{OsStr, OsString},
    fs::{self, File},
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
    process::Stdio,
};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};

use crate::leash::{Ending, Leash};

/// What takes up the room on a disk that is full.
const BALLAST: &str = "ballast";

/// Needs no rights where users may make namespaces of their own.
const MOUNT: &str =
    r#"mount -t tmpfs -o "size=$2m" tmpfs "$1" && echo mounted && exec sleep 2147483647"#;

/// A disk, for as long as this lives.
#[derive(Debug)]
pub(super) struct Disk {
    mounted: PathBuf,
    holder: u32,
    _leash: Leash,
}

impl Disk {
    /// Mounts a disk of so many MiB at a folder, which is made.
    ///
    /// # Panics
    /// This machine lets nobody do that: the panic says what is missing.
    pub(super) async fn mount(at: &Path, mebibytes: u32) -> Self {
        fs::create_dir_all(at).expect("the folder can be made");
        let mut leash = Leash::start(OsStr::new("unshare"), Ending::KILL, |command| {
            command.args(["--mount", "--map-root-user", "/bin/sh", "-c", MOUNT, "sh"]);
            command.arg(at).arg(mebibytes.to_string());
            command.stdout(Stdio::piped()).stderr(Stdio::piped());
        });
        let stdout = leash.child().stdout.take().expect("standard output is piped");
        let said = BufReader::new(stdout).lines().next_line().await;
        if said.ok().flatten().as_deref() != Some("mounted") {
            let mut why = String::new();
            if let Some(mut stderr) = leash.child().stderr.take() {
                let _ = stderr.read_to_string(&mut why).await;
            }
            panic!(
                "no disk can be filled here, as `unshare --mount --map-root-user` and `mount` \
                 (util-linux) do not work: {}; allow user namespaces (sysctl \
                 kernel.unprivileged_userns_clone=1, kernel.apparmor_restrict_unprivileged_userns=0; \
                 in a container: --security-opt seccomp=unconfined)",
                why.trim()
            );
        }
        let holder = leash.child().id().expect("the holder runs");
        Self { mounted: at.to_path_buf(), holder, _leash: leash }
    }

    /// What starts a program that has the disk: a program, and its arguments
    /// before the name of the one to start.
    pub(super) fn entrance(&self) -> (&'static OsStr, Vec<OsString>) {
        let holder = self.holder.to_string();
        let arguments = ["--target", &holder, "--user", "--mount", "--preserve-credentials", "--"];
        (OsStr::new("nsenter"), arguments.map(OsString::from).into())
    }

    /// Where the disk is for those who have not entered.
    pub(super) fn path(&self) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.holder));
        root.join(self.mounted.strip_prefix("/").unwrap_or(&self.mounted))
    }

    /// Takes up all the room there is.
    ///
    /// # Panics
    /// It fails otherwise than for lack of room.
    pub(super) fn fill(&self) {
        let mut ballast = File::create(self.path().join(BALLAST)).expect("a file can be made");
        for size in [1 << 20, 1 << 12, 1] {
            let chunk = vec![0; size];
            loop {
                match ballast.write(&chunk) {
                    Ok(written) if written == size => {}
                    Ok(_) => break,
                    Err(error) if error.kind() == ErrorKind::StorageFull => break,
                    Err(error) => panic!("the disk cannot be filled: {error}"),
                }
            }
        }
    }

    /// Gives the room back.
    ///
    /// # Panics
    /// The ballast cannot be removed.
    pub(super) fn free(&self) {
        fs::remove_file(self.path().join(BALLAST)).expect("the ballast can be removed");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Folder;

    #[tokio::test]
    async fn a_full_disk_takes_nothing_until_there_is_room_again() {
        let folder = Folder::new();
        let disk = Disk::mount(&folder.path().join("disk"), 2).await;
        fs::write(disk.path().join("before"), b"x").unwrap();
        disk.fill();
        let full = fs::write(disk.path().join("after"), b"x").unwrap_err();
        assert_eq!(full.kind(), ErrorKind::StorageFull);
        disk.free();
        fs::write(disk.path().join("after"), b"x").unwrap();
        assert!(!folder.path().join("disk/before").exists(), "it is a disk of its own");
    }
}
