//! The threads that hash, and the bounded queue before them. Hashing takes
//! tens of milliseconds of a core: on an async worker it would stop every
//! other call, and without a bound a burst of logins would take all memory.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread,
    time::Duration,
};

use argon2::Block;
use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

use super::{Hasher, Password, Verdict};
use crate::{Error, config::HashingConfig};

/// How long an idle thread keeps its memory, so that a burst of logins does
/// not map and unmap it at each hash.
const KEEP_MEMORY: Duration = Duration::from_secs(5);

/// A handle to the threads; they stop when the last handle goes.
#[derive(Clone)]
pub(crate) struct HashingPool(Arc<Handle>);

type Job = Box<dyn FnOnce(&Hasher, &mut Vec<Block>) + Send>;

struct Handle {
    shared: Arc<Shared>,
}

struct Shared {
    hasher: Hasher,
    capacity: usize,
    queue: Mutex<Queue>,
    wake: Condvar,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    closed: bool,
}

impl HashingPool {
    /// Starts the threads.
    ///
    /// # Errors
    /// [`Error::Threads`] where the system gives no thread.
    pub(crate) fn start(hasher: Hasher, config: &HashingConfig) -> Result<Self, Error> {
        let workers = match config.workers {
            0 => thread::available_parallelism().map_or(1, usize::from),
            set => set,
        };
        let shared = Arc::new(Shared {
            hasher,
            capacity: config.queue,
            queue: Mutex::default(),
            wake: Condvar::new(),
        });
        // Made first: where a thread can not be had, dropping it stops the others.
        let pool = Self(Arc::new(Handle { shared: Arc::clone(&shared) }));
        for worker in 0..workers {
            let shared = Arc::clone(&shared);
            thread::Builder::new()
                .name(format!("hash-{worker}"))
                .spawn(move || shared.work())
                .map_err(Error::Threads)?;
        }
        Ok(pool)
    }

    /// The hash of a new password.
    ///
    /// # Errors
    /// [`Error::HashingBusy`] at once where the queue is full, [`Error::Hashing`].
    pub(crate) async fn hash(&self, password: Password) -> Result<String, Error> {
        self.run(move |hasher, memory| hasher.hash(&password, memory)).await?
    }

    /// Compares a password with a stored hash, or with a dummy that costs the same.
    ///
    /// # Errors
    /// As [`HashingPool::hash`], and [`Error::OtherPepper`].
    pub(crate) async fn verify(
        &self,
        password: Password,
        stored: Option<String>,
    ) -> Result<Verdict, Error> {
        self.run(move |hasher, memory| hasher.verify(&password, stored.as_deref(), memory)).await?
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Hasher, &mut Vec<Block>) -> T + Send + 'static,
    ) -> Result<T, Error> {
        let (answer, answered) = oneshot::channel();
        self.0.shared.push(Box::new(move |hasher, memory| {
            // A caller who has gone costs nothing more.
            if !answer.is_closed() {
                let _ = answer.send(work(hasher, memory));
            }
        }))?;
        answered.await.map_err(|_| Error::HashingStopped)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.queue.lock().closed = true;
        self.shared.wake.notify_all();
    }
}

impl Shared {
    fn push(&self, job: Job) -> Result<(), Error> {
        let mut queue = self.queue.lock();
        if queue.jobs.len() >= self.capacity {
            return Err(Error::HashingBusy);
        }
        queue.jobs.push_back(job);
        drop(queue);
        self.wake.notify_one();
        Ok(())
    }

    fn work(&self) {
        let mut memory = Vec::new();
        while let Some(job) = self.next(&mut memory) {
            let outcome = catch_unwind(AssertUnwindSafe(|| job(&self.hasher, &mut memory)));
            if outcome.is_err() {
                // The caller sees its answer's sender dropped; the thread lives on.
                tracing::error!("a password hash panicked");
            }
        }
    }

    fn next(&self, memory: &mut Vec<Block>) -> Option<Job> {
        let mut queue = self.queue.lock();
        loop {
            if let Some(job) = queue.jobs.pop_front() {
                return Some(job);
            }
            if queue.closed {
                return None;
            }
            if memory.is_empty() {
                self.wake.wait(&mut queue);
            } else if self.wake.wait_for(&mut queue, KEEP_MEMORY).timed_out() {
                *memory = Vec::new();
            }
        }
    }
}

#[cfg(test)]
#[path = "pool_tests.rs"]
mod tests;
