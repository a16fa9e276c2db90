//! What was asked, answered and done to the system, in the order of this
//! process; and what was found to be wrong.

use std::{
    fmt::{Display, Write},
    io,
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

/// Findings that are told in full; a thousand of them say nothing more.
const TOLD: usize = 20;

/// Lines of a person's part that are told: how it began, and how it ended.
const FIRST: usize = 20;
const LAST: usize = 40;

/// What may not happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Harm {
    /// Something that was acknowledged, or follows from it, is not there.
    Lost,
    /// Something is there, or happened, more often than once.
    Doubled,
    /// Somebody was refused, or let in, against the rules.
    Wronged,
    /// The system did not come back to work in time.
    Stuck,
}

/// The history of a campaign.
#[derive(Debug)]
pub(super) struct History {
    start: Instant,
    lines: Mutex<Vec<Line>>,
    findings: Mutex<Vec<Finding>>,
    acknowledged: AtomicU64,
}

#[derive(Debug)]
struct Line {
    micros: u128,
    who: String,
    what: String,
}

/// Something that is wrong, and with whom.
#[derive(Clone, Debug)]
pub(super) struct Finding {
    pub harm: Harm,
    pub who: String,
    pub what: String,
}

impl History {
    pub(super) fn new() -> Self {
        Self {
            start: Instant::now(),
            lines: Mutex::default(),
            findings: Mutex::default(),
            acknowledged: AtomicU64::new(0),
        }
    }

    /// Notes what somebody did, or what was done.
    pub(super) fn note(&self, who: &str, what: impl Display) {
        let micros = self.start.elapsed().as_micros();
        let line = Line { micros, who: who.to_owned(), what: what.to_string() };
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }

    /// Counts an operation that was answered.
    pub(super) fn acknowledge(&self, who: &str, what: impl Display) {
        self.acknowledged.fetch_add(1, Ordering::Relaxed);
        self.note(who, format_args!("{what}: done"));
    }

    pub(super) fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::Relaxed)
    }

    /// Notes what is wrong.
    pub(super) fn find(&self, harm: Harm, who: &str, what: impl Display) {
        let what = what.to_string();
        self.note(who, format_args!("FOUND {harm:?}: {what}"));
        let finding = Finding { harm, who: who.to_owned(), what };
        self.findings.lock().unwrap_or_else(PoisonError::into_inner).push(finding);
    }

    /// Whether anything is wrong so far: then there is no sense in going on.
    pub(super) fn is_marred(&self) -> bool {
        !self.findings.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    pub(super) fn findings(&self) -> Vec<Finding> {
        self.findings.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The findings, each with all that its person did and met, and what was
    /// done to the system meanwhile.
    pub(super) fn report(&self) -> String {
        let findings = self.findings();
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let mut report = String::new();
        for finding in findings.iter().take(TOLD) {
            let Finding { harm, who, what } = finding;
            let _ = writeln!(report, "\n{harm:?}: {who}: {what}");
            let own = lines.iter().filter(|line| line.who == *who);
            let span = own.clone().map(|line| line.micros);
            let (first, last) = (span.clone().min().unwrap_or(0), span.max().unwrap_or(0));
            let done = lines.iter().filter(|line| {
                line.who == *who
                    || (line.who == super::SCHEDULE && (first..=last).contains(&line.micros))
            });
            let done: Vec<_> = done.collect();
            let left_out = done.len().saturating_sub(FIRST + LAST);
            for (place, line) in done.into_iter().enumerate() {
                if left_out > 0 && place == FIRST {
                    let _ = writeln!(report, "  … {left_out} lines");
                }
                if !(FIRST..FIRST + left_out).contains(&place) {
                    let _ = writeln!(report, "  {line}");
                }
            }
        }
        if findings.len() > TOLD {
            let _ = writeln!(report, "\nand {} more", findings.len() - TOLD);
        }
        report
    }

    /// Writes every line to a file in `folder`, and beside it what the processes
    /// said; returns where.
    pub(super) fn keep(&self, folder: &Path, seed: u64, said: &str) -> io::Result<PathBuf> {
        let path = folder.join(format!("crash-{seed}.history"));
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        std::fs::write(&path, text)?;
        std::fs::write(path.with_extension("log"), said)?;
        Ok(path)
    }
}

impl Display for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { micros, who, what } = self;
        write!(f, "{:>5}.{:06} {who}: {what}", micros / 1_000_000, micros % 1_000_000)
    }
}
