//! What is logged, for tests to read.

use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use tracing::subscriber::DefaultGuard;
use tracing_subscriber::fmt::MakeWriter;

/// What was logged.
#[derive(Clone, Default)]
pub struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    /// What this thread logs until the guard is dropped.
    pub fn of_this_thread() -> (Self, DefaultGuard) {
        let lines = Self::default();
        let log = tracing_subscriber::fmt().with_ansi(false).with_writer(lines.clone());
        (lines, tracing::subscriber::set_default(log.finish()))
    }

    /// Waits until a line has both texts.
    pub async fn until(&self, one: &str, other: &str) {
        let logged = || self.text().lines().any(|l| l.contains(one) && l.contains(other));
        let asked = async {
            while !logged() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let in_time = tokio::time::timeout(Duration::from_secs(30), asked).await;
        assert!(in_time.is_ok(), "no line with {one:?} and {other:?}:\n{}", self.text());
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
