//! What each step of the guard costs, against the goals of the design.
//!
//! `make bench-guard` runs it, `make bench-guard ONLY="steps calls"` some parts
//! of it. Each line is `name value unit goal ok|short`; a goal of `-` is none.
//! Whatever is compared is measured in turn, in one run: on a machine that
//! others use as well, only ratios count. docs/performance.md explains the lines.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measurement that can not be taken ends, and its table is what it is for"
)]

mod calls;
mod clock;
mod decisions;
mod loading;
mod stage;
mod steps;

/// The parts, in the order in which a call meets them.
const PARTS: [(&str, fn()); 4] = [
    ("steps", steps::measure),
    ("decisions", decisions::measure),
    ("loading", loading::measure),
    ("calls", calls::measure),
];

fn main() {
    let asked: Vec<_> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    for (name, measure) in PARTS {
        if asked.is_empty() || asked.iter().any(|word| word == name) {
            measure();
        }
    }
}

/// One line of the table.
fn line(name: &str, value: f64, unit: &str, goal: Option<(String, bool)>) {
    let (goal, met) = match goal {
        Some((goal, true)) => (goal, "ok"),
        Some((goal, false)) => (goal, "short"),
        None => ("-".to_owned(), "-"),
    };
    println!("{name:<52} {value:>10.2} {unit:<4} {goal:>7} {met}");
}

fn told(name: &str, value: f64, unit: &str) {
    line(name, value, unit, None);
}

fn at_most(name: &str, value: f64, unit: &str, goal: f64) {
    line(name, value, unit, Some((format!("<={goal}"), value <= goal)));
}

fn at_least(name: &str, value: f64, unit: &str, goal: f64) {
    line(name, value, unit, Some((format!(">={goal}"), value >= goal)));
}
