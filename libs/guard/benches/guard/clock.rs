//! Times things in turn, by the time that they had a processor: what others do
//! on the machine does not count, and what slows it down hits neighbours alike.

use std::{fs, sync::LazyLock, thread::yield_now, time::Instant};

const ROUNDS: usize = 21;

static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Microseconds that each takes, the median of rounds of `count`.
pub fn in_turn<const N: usize>(count: u32, mut things: [&mut dyn FnMut(); N]) -> [f64; N] {
    let mut rounds: [Vec<f64>; N] = std::array::from_fn(|_| Vec::new());
    for _ in 0..ROUNDS {
        for (thing, taken) in things.iter_mut().zip(&mut rounds) {
            let began = thread();
            (0..count).for_each(|_| thing());
            taken.push((thread() - began) * 1e6 / f64::from(count));
        }
    }
    rounds.map(median)
}

pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap()
}

/// Seconds that this thread has had a processor; where the system does not tell
/// (only Linux does), seconds that have gone by.
pub fn thread() -> f64 {
    // The system counts when a thread gives way.
    yield_now();
    had("/proc/thread-self/schedstat").unwrap_or_else(|| BEGAN.elapsed().as_secs_f64())
}

/// The same of all threads of the process together.
pub fn process() -> f64 {
    let threads = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let had = threads.map(|thread| had(&format!("{}/schedstat", thread.path().display())));
    had.sum::<Option<f64>>()
        .filter(|seconds| *seconds > 0.0)
        .unwrap_or_else(|| BEGAN.elapsed().as_secs_f64())
}

fn had(path: &str) -> Option<f64> {
    let told = fs::read_to_string(path).ok()?;
    told.split(' ').next()?.parse().ok().map(|nanoseconds: f64| nanoseconds / 1e9)
}
