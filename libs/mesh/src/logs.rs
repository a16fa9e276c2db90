//! Logs: one subscriber for the process, to stderr.
//!
//! It makes sure that no level, however low, lets a library print headers,
//! statements or the text of a panic.

use std::{
    fmt,
    io::{self, IsTerminal},
    panic,
    time::{SystemTime, UNIX_EPOCH},
};

use tracing::Level;
use tracing_subscriber::{
    EnvFilter, Layer, Registry,
    filter::{FilterExt, filter_fn},
    fmt::{format::Writer, layer as lines, time::FormatTime},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

use crate::{
    Error,
    config::{LogConfig, LogFormat},
};

/// Below `info` these print headers (with their tokens), frames or statements.
const TALKATIVE: [&str; 9] = [
    "h2",
    "hyper",
    "hyper_util",
    "rustls",
    "sea_orm",
    "sea_orm_migration",
    "sqlx",
    "tonic",
    "tower",
];

/// What becomes of spans and lines.
pub(crate) type Layers = Box<dyn Layer<Registry> + Send + Sync>;

/// UTC, to the millisecond; whoever keeps logs as text adds the day.
struct TimeOfDay;

/// Sends the logs of this process to stderr, panics into the logs, and spans to
/// `traces` where there is a collector.
///
/// # Errors
/// [`Error::Logs`] when the level can not be read, or when logs are set up already.
pub(crate) fn init(config: &LogConfig, traces: Option<Layers>) -> Result<(), Error> {
    let level = filter(config)?;
    // The spans of libraries hold statements, and what the database said of them.
    let quiet = level.and(filter_fn(|of| {
        is_safe(of.target(), *of.level()) && (of.is_event() || is_own(of.target()))
    }));
    let stderr = lines().with_writer(io::stderr);
    let lines: Layers = match config.format {
        LogFormat::Text => {
            let colours = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            stderr
                .compact()
                .with_timer(TimeOfDay)
                .with_target(false)
                .with_ansi(colours)
                // Each line of a call says what a person has to know of it.
                .with_filter(quiet.and(filter_fn(|of| of.is_event())))
                .boxed()
        }
        LogFormat::Json => stderr
            .json()
            .flatten_event(true)
            // The ids by which the lines of a call, and its trace, are found.
            .with_current_span(true)
            .with_span_list(false)
            .with_filter(quiet)
            .boxed(),
    };
    let layers: Vec<_> = [Some(lines), traces].into_iter().flatten().collect();
    let registry = tracing_subscriber::registry().with(layers);
    registry.try_init().map_err(|error| Error::Logs(error.to_string()))?;
    panic::set_hook(Box::new(report_panic));
    Ok(())
}

/// Reads the level.
pub(crate) fn filter(config: &LogConfig) -> Result<EnvFilter, Error> {
    EnvFilter::builder()
        .parse(&config.level)
        .map_err(|error| Error::Logs(format!("{:?} is not a level: {error}", config.level)))
}

/// Whether it is this program's own.
pub(crate) fn is_own(target: &str) -> bool {
    target.starts_with("countersign")
}

/// Whether a line of this target and level can not hold what must stay inside.
fn is_safe(target: &str, level: Level) -> bool {
    let krate = target.split("::").next().unwrap_or_default();
    let most = match krate {
        // Its every start is worth a line to it, and says nothing.
        "sea_orm_migration" => Level::WARN,
        _ => Level::INFO,
    };
    level <= most || !TALKATIVE.contains(&krate)
}

impl FormatTime for TimeOfDay {
    fn format_time(&self, line: &mut Writer<'_>) -> fmt::Result {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let (seconds, millis) = (since.as_secs() % 86_400, since.subsec_millis());
        let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        write!(line, "{hours:02}:{minutes:02}:{seconds:02}.{millis:03}")
    }
}

/// The message of a panic can hold anything, so only its place is reported.
fn report_panic(panic: &panic::PanicHookInfo<'_>) {
    let place = panic.location().map(ToString::to_string);
    let thread = std::thread::current();
    tracing::error!(
        panic.location = place.as_deref().unwrap_or("unknown"),
        panic.thread = thread.name().unwrap_or("unnamed"),
        "a thread panicked"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_level_lets_a_library_print_headers_or_statements() {
        for target in ["h2::codec::framed_read", "hyper", "sqlx::query", "tonic::transport"] {
            assert!(is_safe(target, Level::WARN), "{target}");
            assert!(!is_safe(target, Level::DEBUG), "{target}");
            assert!(!is_safe(target, Level::TRACE), "{target}");
        }
        assert!(is_safe("countersign_mesh::server", Level::TRACE));
    }
}
