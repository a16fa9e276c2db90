//! The bus that the settings name.

use countersign_events::Bus;
use countersign_mesh::{Part, Task};

use crate::{Config, Error};

/// What health calls the connection to the broker. The whole is serving
/// without it: registrations and logins go on, and their events wait.
const CONDITION: &str = "countersign.bus";

/// The broker's bus where one is set, else one within the process.
///
/// # Errors
/// [`Error::Events`]: an address or file cannot be used. A broker that is away
/// is no error.
pub async fn open(config: &Config) -> Result<Bus, Error> {
    match config.bus.jetstream() {
        Some(options) => Ok(Bus::jetstream(options).await?),
        None => Ok(Bus::memory()),
    }
}

/// Refuses a service that would run alone and meet nobody.
///
/// # Errors
/// [`Error::NoBroker`].
pub const fn require(config: &Config, role: &'static str) -> Result<(), Error> {
    if config.bus.url.is_some() { Ok(()) } else { Err(Error::NoBroker(role)) }
}

/// What delivers, and tells whether the broker is there.
pub fn part(config: &Config, bus: Bus) -> Part {
    let connected = bus.connected();
    let part = Part::new("bus").task(Task::new("delivery", |cancel| bus.run(cancel)));
    // Within the process there is nothing to be away.
    if config.bus.url.is_some() { part.condition(CONDITION, connected) } else { part }
}
