//! Clocks that are off: a process started with one sees the time of the wall
//! so many seconds earlier or later, and the product knows nothing of it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use tokio::process::Command;

use crate::Executable;

/// What stands between a process and the clock.
const SOURCE: &str = include_str!("clock.c");

/// What the C compiler made of it, for any number of clocks.
#[derive(Debug)]
pub struct Clockwork {
    folder: PathBuf,
    library: PathBuf,
}

/// The clock of one process, also of its next lives.
#[derive(Clone, Debug)]
pub struct WallClock {
    library: PathBuf,
    offset: PathBuf,
}

impl Clockwork {
    /// Compiles it into `folder`.
    ///
    /// # Panics
    /// There is no C compiler `cc`.
    pub async fn build(folder: &Path) -> Self {
        let (source, library) = (folder.join("clock.c"), folder.join("clock.so"));
        fs::write(&source, SOURCE).expect("the folder can be written");
        let mut command = Command::new("cc");
        command.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(&source);
        let done = command.output().await;
        let done = done.unwrap_or_else(|error| {
            panic!("clocks cannot be put off: there is no C compiler `cc` ({error})")
        });
        assert!(done.status.success(), "cc fails: {}", String::from_utf8_lossy(&done.stderr));
        Self { folder: folder.to_path_buf(), library }
    }

    /// A clock that is right until it is set.
    ///
    /// # Panics
    /// The folder cannot be written.
    #[must_use]
    pub fn clock(&self, name: &str) -> WallClock {
        let offset = self.folder.join(format!("{name}.clock"));
        let clock = WallClock { library: self.library.clone(), offset };
        clock.set(0);
        clock
    }
}

impl WallClock {
    /// Puts it so many seconds ahead, or back where that is negative; at once,
    /// also for a process that runs.
    ///
    /// # Panics
    /// The folder cannot be written.
    pub fn set(&self, seconds: i64) {
        // Written over in place: whoever runs has the file in its memory.
        let mut options = fs::OpenOptions::new();
        let file = options.create(true).truncate(false).write(true).open(&self.offset);
        let written = file.and_then(|mut file| {
            use std::io::Write;
            file.write_all(&seconds.to_ne_bytes())
        });
        written.expect("the folder can be written");
    }

    /// How far it is ahead.
    ///
    /// # Panics
    /// The folder cannot be read.
    #[must_use]
    pub fn seconds(&self) -> i64 {
        let offset = fs::read(&self.offset).expect("the offset can be read");
        i64::from_ne_bytes(offset.try_into().expect("eight bytes"))
    }

    /// A program that looks at this clock.
    #[must_use]
    pub fn before(&self, executable: Executable) -> Executable {
        executable
            .with("LD_PRELOAD", &self.library.display().to_string())
            .with("CLOCK_OFFSET_FILE", &self.offset.display().to_string())
    }
}

#[cfg(test)]
mod tests {
    use std::time::{SystemTime, UNIX_EPOCH};

    use super::*;
    use crate::Folder;

    #[tokio::test]
    async fn a_process_sees_another_time_and_again_the_right_one() {
        let folder = Folder::new();
        let clock = Clockwork::build(folder.path()).await.clock("somebody");
        let ahead = async || {
            let mut command = Command::new("date");
            command.arg("+%s").env("LD_PRELOAD", &clock.library);
            let output = command.env("CLOCK_OFFSET_FILE", &clock.offset).output().await.unwrap();
            let seen: u64 = String::from_utf8(output.stdout).unwrap().trim().parse().unwrap();
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
            seen.cast_signed() - now.cast_signed()
        };
        for (seconds, seen) in [(100_000, 90_000..=100_001), (-100_000, -200_000..=-99_999)] {
            clock.set(seconds);
            let ahead = ahead().await;
            assert!(seen.contains(&ahead), "{ahead}");
        }
        clock.set(0);
        assert!(ahead().await.abs() < 10_000);
    }
}
