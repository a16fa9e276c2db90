//! What a call costs: bare tonic against the server stack, with its lines and
//! metrics, with the guard, and over the channel.
//!
//! `make bench-mesh` runs it. Each line is `name value unit goal ok|short`; a goal
//! of `-` is none. The servers are processes of their own, so that their time and
//! memory are theirs alone. All are measured in turn, in many rounds, so that a busy
//! machine slows them all alike; a value is the median of its rounds.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measurement that can not be taken ends, and its table is what it is for"
)]

mod cost;
mod load;
mod served;
mod stage;

use std::time::Duration;

use load::{Round, Way};
use served::{Kind, Served};

const ROUNDS: usize = 9;
/// Calls in a second of the open loop.
const RATE: u32 = 1000;
const OPEN: Duration = Duration::from_secs(2);
const CLOSED: Duration = Duration::from_millis(700);

/// What is compared: a server, how it is called, and what it is called here.
const COMPARED: [(&str, Kind, bool); 6] = [
    ("bare tonic", Kind::Bare, false),
    ("stack", Kind::Stack, false),
    ("stack, lines and metrics", Kind::Telling, false),
    ("the same, guard", Kind::Guarded, false),
    ("the same, guard, channel", Kind::Guarded, true),
    ("bare tonic, channel", Kind::Bare, true),
];

fn main() {
    let mut arguments = std::env::args().skip(1);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    match arguments.next().as_deref() {
        Some("serve") => {
            let kind = arguments.next().unwrap().parse().unwrap();
            runtime.block_on(stage::serve(kind));
        }
        _ => compare(&runtime),
    }
}

fn compare(runtime: &tokio::runtime::Runtime) {
    let mut ways: Vec<(Served, Way, Vec<Round>)> = Vec::new();
    for (_, kind, ours) in COMPARED {
        let served = Served::start(kind);
        let way = runtime.block_on(Way::to(&served, ours));
        ways.push((served, way, Vec::new()));
    }
    for _ in 0..ROUNDS {
        for (served, way, rounds) in &mut ways {
            rounds.push(load::round(runtime, served, way));
        }
    }
    let mut table = Vec::new();
    for ((name, _, _), (served, _, rounds)) in COMPARED.into_iter().zip(&ways) {
        let of = |value: fn(&Round) -> f64| median(rounds.iter().map(value).collect());
        let row = Round {
            rate: of(|round| round.rate),
            server_cpu: of(|round| round.server_cpu),
            client_cpu: of(|round| round.client_cpu),
            p50: of(|round| round.p50),
            p99: of(|round| round.p99),
        };
        line(&format!("{name}: server CPU a call"), row.server_cpu, "us", None);
        line(&format!("{name}: client CPU a call"), row.client_cpu, "us", None);
        line(&format!("{name}: p50"), row.p50, "us", None);
        line(&format!("{name}: p99"), row.p99, "us", None);
        line(&format!("{name}: calls, 32 at a time"), row.rate, "1/s", None);
        let memory = cost::memory(served.process());
        line(&format!("{name}: memory of the server"), memory, "MB", None);
        table.push((row, memory));
    }
    let [bare, _, telling, guarded, whole, channel] = <[_; 6]>::try_from(table).ok().unwrap();
    // What Istio publishes for one sidecar of version 1.24: docs/performance.md.
    at_most(
        "server CPU that the stack and the guard add",
        guarded.0.server_cpu - bare.0.server_cpu,
        "us",
        200.0,
    );
    at_most(
        "client CPU that the channel adds",
        channel.0.client_cpu - bare.0.client_cpu,
        "us",
        200.0,
    );
    at_most("memory of the guarded server", guarded.1, "MB", 60.0);
    line("p50 that all of it adds", whole.0.p50 - bare.0.p50, "us", None);
    line("p99 that all of it adds", whole.0.p99 - bare.0.p99, "us", None);
    let ratio = guarded.0.rate / telling.0.rate;
    line("calls with / without the guard", ratio, "x", Some((">=0.85", ratio >= 0.85)));
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap()
}

fn at_most(name: &str, value: f64, unit: &str, goal: f64) {
    line(name, value, unit, Some((&format!("<={goal}"), value <= goal)));
}

/// One line of the table.
fn line(name: &str, value: f64, unit: &str, goal: Option<(&str, bool)>) {
    let (goal, met) = match goal {
        Some((goal, true)) => (goal, "ok"),
        Some((goal, false)) => (goal, "short"),
        None => ("-", "-"),
    };
    println!("{name:<50} {value:>10.1} {unit:<5} {goal:>8} {met}");
}
