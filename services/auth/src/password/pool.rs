//! The threads that hash, and the bounded queue before them. Hashing takes
//! tens of milliseconds of a core: on an async worker it would stop every
//! other call, and without a bound a burst of logins would take all memory. No
//! network may fill the queue for the others, and nobody in a network may fill
//! its part for the devices that an account knows.

use std::{
    collections::{HashMap, VecDeque},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

use super::{Hasher, Password, Verdict, memory::Memory};
use crate::{
    Error,
    config::HashingConfig,
    meter::HashingMeter,
    network::{Network, Origin},
};

/// How long an idle thread keeps its memory, so that a burst of logins does
/// not map and unmap it at each hash.
const KEEP_MEMORY: Duration = Duration::from_secs(5);

/// A handle to the threads; they stop when the last handle goes.
#[derive(Clone)]
pub(crate) struct HashingPool(Arc<Handle>);

type Job = Box<dyn FnOnce(&Hasher, &mut Memory) + Send>;

struct Handle {
    shared: Arc<Shared>,
}

struct Shared {
    hasher: Hasher,
    capacity: usize,
    /// How many of the waiting jobs may be of one network.
    share: usize,
    queue: Mutex<Queue>,
    wake: Condvar,
    meter: HashingMeter,
}

#[derive(Default)]
struct Queue {
    /// With the time since when each waits.
    jobs: VecDeque<(Network, Instant, Job)>,
    /// How many of them are of each network that has any.
    waiting: HashMap<Network, usize>,
    closed: bool,
}

impl HashingPool {
    /// Starts the threads.
    ///
    /// # Errors
    /// [`Error::Threads`] where the system gives no thread.
    pub(crate) fn start(hasher: Hasher, config: &HashingConfig) -> Result<Self, Error> {
        let shared = Arc::new(Shared {
            hasher,
            capacity: config.queue,
            share: config.network_queue(),
            queue: Mutex::default(),
            wake: Condvar::new(),
            meter: HashingMeter::new(),
        });
        // Made first: where a thread can not be had, dropping it stops the others.
        let pool = Self(Arc::new(Handle { shared: Arc::clone(&shared) }));
        for worker in 0..config.workers() {
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
    /// [`Error::HashingBusy`] at once where the queue, or the part of it that this
    /// origin may fill, is full; [`Error::Hashing`].
    pub(crate) async fn hash(&self, origin: Origin, password: Password) -> Result<String, Error> {
        self.run(origin, move |hasher, memory| hasher.hash(&password, memory)).await?
    }

    /// Compares a password with a stored hash, or with a dummy that costs the same.
    ///
    /// # Errors
    /// As [`HashingPool::hash`], and [`Error::OtherPepper`].
    pub(crate) async fn verify(
        &self,
        origin: Origin,
        password: Password,
        stored: Option<String>,
    ) -> Result<Verdict, Error> {
        let work = move |hasher: &Hasher, memory: &mut Memory| {
            hasher.verify(&password, stored.as_deref(), memory)
        };
        self.run(origin, work).await?
    }

    async fn run<T: Send + 'static>(
        &self,
        origin: Origin,
        work: impl FnOnce(&Hasher, &mut Memory) -> T + Send + 'static,
    ) -> Result<T, Error> {
        let (answer, answered) = oneshot::channel();
        let job = move |hasher: &Hasher, memory: &mut Memory| {
            // A caller who has gone costs nothing more.
            if !answer.is_closed() {
                let _ = answer.send(work(hasher, memory));
            }
        };
        self.0.shared.push(origin, Box::new(job))?;
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
    fn push(&self, origin: Origin, job: Job) -> Result<(), Error> {
        let Origin { network, known } = origin;
        let share = if known { self.share } else { self.share - self.share / 4 };
        let mut queue = self.queue.lock();
        let waiting = queue.waiting.get(&network).copied().unwrap_or_default();
        if queue.jobs.len() >= self.capacity || waiting >= share {
            return Err(Error::HashingBusy);
        }
        queue.waiting.insert(network, waiting + 1);
        queue.jobs.push_back((network, Instant::now(), job));
        drop(queue);
        self.meter.queued();
        self.wake.notify_one();
        Ok(())
    }

    fn work(&self) {
        let mut memory = Memory::default();
        while let Some(job) = self.next(&mut memory) {
            let outcome = catch_unwind(AssertUnwindSafe(|| job(&self.hasher, &mut memory)));
            if outcome.is_err() {
                // The caller sees its answer's sender dropped; the thread lives on.
                tracing::error!("a password hash panicked");
            }
        }
    }

    fn next(&self, memory: &mut Memory) -> Option<Job> {
        let mut queue = self.queue.lock();
        loop {
            if let Some((since, job)) = queue.pop() {
                drop(queue);
                self.meter.taken(since.elapsed());
                return Some(job);
            }
            if queue.closed {
                return None;
            }
            if memory.is_empty() {
                self.wake.wait(&mut queue);
            } else if self.wake.wait_for(&mut queue, KEEP_MEMORY).timed_out() {
                memory.release();
            }
        }
    }
}

impl Queue {
    fn pop(&mut self) -> Option<(Instant, Job)> {
        let (network, since, job) = self.jobs.pop_front()?;
        match self.waiting.get_mut(&network) {
            Some(waiting) if *waiting > 1 => *waiting -= 1,
            _ => drop(self.waiting.remove(&network)),
        }
        Some((since, job))
    }
}

#[cfg(test)]
#[path = "pool_tests.rs"]
mod tests;
