//! What a process has used, as the kernel counts it.

use std::fs;

/// Seconds of CPU of all threads that the process has now.
pub fn cpu(process: u32) -> f64 {
    let threads = fs::read_dir(format!("/proc/{process}/task")).unwrap();
    threads.map(|thread| run_time(&thread.unwrap().path().join("schedstat"))).sum()
}

/// Seconds of CPU of this thread.
pub fn own_cpu() -> f64 {
    run_time("/proc/thread-self/schedstat".as_ref())
}

/// The first number is nanoseconds on a CPU (Documentation/scheduler/sched-stats.rst).
fn run_time(path: &std::path::Path) -> f64 {
    let text = fs::read_to_string(path).unwrap();
    text.split(' ').next().unwrap().parse::<f64>().unwrap() / 1e9
}

/// Megabytes that are in memory.
pub fn memory(process: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
}
