//! The bounds of every setting. A start with a setting out of bounds is
//! refused, naming the key and what it must be.

use std::{fmt::Debug, ops::RangeInclusive, time::Duration};

use super::{
    ACCESS_TOKEN_LIFETIME_MAX, Config, DelayConfig, DeletionConfig, HashingConfig, PasswordConfig,
    SECOND, SessionConfig, SigningKeysConfig, ThrottleConfig,
};
use crate::Error;

const HOUR: Duration = Duration::from_secs(60 * 60);
const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

impl Config {
    /// Checks every setting against its bounds.
    ///
    /// # Errors
    /// [`Error::Config`] with the first key that is out of bounds, as it is
    /// written below this service's section.
    pub fn validate(&self) -> Result<(), Error> {
        self.password.validate()?;
        self.hashing.validate()?;
        self.throttle.validate()?;
        self.session.validate()?;
        self.deletion.validate()?;
        self.signing_keys.validate()
    }
}

impl PasswordConfig {
    fn validate(&self) -> Result<(), Error> {
        within("password.min_length", self.min_length, 8..=64)?;
        within("password.max_length", self.max_length, 128..=1024)
    }
}

impl DeletionConfig {
    fn validate(&self) -> Result<(), Error> {
        within("deletion.waiting_time", self.waiting_time, Duration::ZERO..=YEAR / 4)
    }
}

impl HashingConfig {
    fn validate(&self) -> Result<(), Error> {
        within("hashing.memory_kib", self.memory_kib, 7_168..=1_048_576)?;
        within("hashing.iterations", self.iterations, 1..=64)?;
        within("hashing.parallelism", self.parallelism, 1..=16)?;
        within("hashing.workers", self.workers, 0..=256)?;
        within("hashing.queue", self.queue, 1..=10_000)?;
        within("hashing.network_queue", self.network_queue, 0..=self.queue)
    }
}

impl ThrottleConfig {
    fn validate(&self) -> Result<(), Error> {
        self.account_and_network.validate([
            "throttle.account_and_network.free",
            "throttle.account_and_network.base",
            "throttle.account_and_network.cap",
            "throttle.account_and_network.forgive_every",
        ])?;
        self.account.validate([
            "throttle.account.free",
            "throttle.account.base",
            "throttle.account.cap",
            "throttle.account.forgive_every",
        ])?;
        self.network.validate([
            "throttle.network.free",
            "throttle.network.base",
            "throttle.network.cap",
            "throttle.network.forgive_every",
        ])?;
        self.device.validate([
            "throttle.device.free",
            "throttle.device.base",
            "throttle.device.cap",
            "throttle.device.forgive_every",
        ])?;
        within("throttle.device_lifetime", self.device_lifetime, 24 * HOUR..=2 * YEAR)?;
        within("throttle.logins_per_minute", self.logins_per_minute, 1..=100_000)?;
        within("throttle.network_per_second", self.network_per_second, 0..=100_000)?;
        within("throttle.overall_per_second", self.overall_per_second, 0..=100_000)?;
        within("throttle.registrations_per_minute", self.registrations_per_minute, 1..=100_000)?;
        within("throttle.stuffing_accounts", self.stuffing_accounts, 3..=1_000)?;
        within("throttle.capacity", self.capacity, 1_000..=10_000_000)
    }
}

impl DelayConfig {
    fn validate(&self, [free, base, cap, forgive]: [&'static str; 4]) -> Result<(), Error> {
        within(free, self.free, 1..=10_000)?;
        // A delay of nothing would switch the throttle off without a word.
        within(base, self.base, SECOND / 20..=HOUR)?;
        within(cap, self.cap, self.base..=HOUR)?;
        within(forgive, self.forgive_every, self.cap..=24 * HOUR)
    }
}

impl SessionConfig {
    fn validate(&self) -> Result<(), Error> {
        let access = self.access_token_lifetime;
        within("session.access_token_lifetime", access, 10 * SECOND..=ACCESS_TOKEN_LIFETIME_MAX)?;
        within("session.idle_lifetime", self.idle_lifetime, access..=2 * YEAR)?;
        within("session.absolute_lifetime", self.absolute_lifetime, self.idle_lifetime..=5 * YEAR)?;
        within("session.grace_window", self.grace_window, Duration::ZERO..=60 * SECOND)?;
        let retention = ACCESS_TOKEN_LIFETIME_MAX..=5 * YEAR;
        within("session.retention", self.retention, retention)?;
        within("session.max_per_account", self.max_per_account, 1..=1_000)
    }
}

impl SigningKeysConfig {
    fn validate(&self) -> Result<(), Error> {
        let announce = self.announce_period;
        within("signing_keys.announce_period", announce, SECOND..=30 * 24 * HOUR)?;
        let slowest = announce.min(60 * SECOND);
        within("signing_keys.poll_interval", self.poll_interval, SECOND / 100..=slowest)?;
        // Twice the time from the row of a key to its first token, as `Periods` reckons it;
        // and every key verifies for an hour after its last.
        let least = (2 * (announce + 2 * self.poll_interval)).max(HOUR);
        within("signing_keys.rotation_period", self.rotation_period, least..=2 * YEAR)
    }
}

fn within<T: PartialOrd + Debug>(
    key: &'static str,
    value: T,
    bounds: RangeInclusive<T>,
) -> Result<(), Error> {
    if bounds.contains(&value) {
        return Ok(());
    }
    let (least, most) = bounds.into_inner();
    Err(Error::Config {
        key,
        problem: format!("is {value:?} and must be from {least:?} to {most:?}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_within_their_bounds() {
        assert!(Config::default().validate().is_ok());
    }

    #[test]
    fn a_setting_out_of_bounds_is_named_with_its_bounds() {
        let mut config = Config::default();
        config.password.min_length = 4;
        let error = config.validate().unwrap_err().to_string();
        assert_eq!(error, "setting password.min_length is 4 and must be from 8 to 64");

        let mut config = Config::default();
        config.throttle.device.base = Duration::ZERO;
        let error = config.validate().unwrap_err().to_string();
        assert!(error.contains("throttle.device.base"), "{error}");

        let mut config = Config::default();
        config.session.idle_lifetime = config.session.absolute_lifetime * 2;
        let error = config.validate().unwrap_err().to_string();
        assert!(error.contains("session.absolute_lifetime"), "{error}");
    }

    #[test]
    fn settings_read_back_what_they_wrote() {
        let text = serde_json::to_string(&Config::default()).unwrap();
        assert_eq!(serde_json::from_str::<Config>(&text).unwrap(), Config::default());
    }
}
