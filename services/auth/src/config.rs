//! What can be set, and what holds where nothing is set. Every key is
//! documented here and nowhere else: the reference is generated from it.

mod capacity;
mod deletion;
mod limits;

use std::{path::PathBuf, time::Duration};

pub use deletion::DeletionConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The longest life that an access token can be given by any settings. Whatever
/// outlives the tokens of a session or a key reckons with this one: the tokens
/// that live may have been issued under other settings than those of today.
pub const ACCESS_TOKEN_LIFETIME_MAX: Duration = countersign_tokens::MAX_TOKEN_LIFE;

/// The settings of the auth service.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Rules for new passwords.
    pub password: PasswordConfig,
    /// How passwords are hashed, and how much of the machine that may take.
    pub hashing: HashingConfig,
    /// How attempts are slowed down.
    pub throttle: ThrottleConfig,
    /// How long sessions and tokens live.
    pub session: SessionConfig,
    /// How accounts are made.
    pub registration: RegistrationConfig,
    /// How accounts are deleted.
    pub deletion: DeletionConfig,
    /// The life of the keys that sign access tokens.
    pub signing_keys: SigningKeysConfig,
}

/// Rules for new passwords (NIST SP 800-63B-4, section 3.1.1.2).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PasswordConfig {
    /// The fewest characters (Unicode code points after NFKC), 8 to 64. NIST asks for 15
    /// where the password is the only factor.
    pub min_length: usize,
    /// The most characters (Unicode code points after NFKC), 128 to 1024. A request may
    /// hold 4,096 bytes in any case.
    pub max_length: usize,
    /// Whether common and easily guessed passwords are refused.
    pub block_list: bool,
    /// A file with further passwords to refuse, one a line, at most 64 MiB.
    pub block_list_file: Option<PathBuf>,
    /// Words that people here would guess first, such as the name of the company; the name
    /// of the service and the address of the person are always among them.
    pub context_words: Vec<String>,
}

/// Argon2id (RFC 9106) and the threads that compute it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HashingConfig {
    /// Memory of one hash in KiB, 7168 to 1048576. Raising it rehashes passwords at login.
    pub memory_kib: u32,
    /// Passes over the memory, 1 to 64. Raising it rehashes passwords at login.
    pub iterations: u32,
    /// Lanes of one hash, 1 to 16. Raising it rehashes passwords at login.
    pub parallelism: u32,
    /// Threads that hash, up to 256; 0 means one for each core.
    pub workers: usize,
    /// Hashes that may wait for a thread, 1 to 10000; beyond it calls are told to come back.
    pub queue: usize,
    /// How many of them may be of one network, up to `queue`; 0 means a quarter. A quarter
    /// of these is kept for devices that the account knows. Behind a proxy that hides the
    /// addresses of its clients, all of them are one network.
    pub network_queue: usize,
    /// A file with a secret of 16 to 1024 bytes that goes into every hash. Once used it
    /// can not be changed or left out: passwords would no longer verify.
    pub pepper_file: Option<PathBuf>,
}

/// Growing delays after failed logins, and limits on hashing. Nothing here locks an
/// account. Who sends the device token of an earlier login to the account is held to
/// `device` and `logins_per_minute` alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ThrottleConfig {
    /// Failures on one account from one network: the strict one.
    pub account_and_network: DelayConfig,
    /// Failures on one account from anywhere. It stays mild, because anybody can cause it.
    pub account: DelayConfig,
    /// Failures from one network (IPv4 address, IPv6 /64) on any account.
    pub network: DelayConfig,
    /// Failures with one device token.
    pub device: DelayConfig,
    /// How long a device token is good for after the last login with it, 1 day to 2 years.
    #[serde(with = "countersign_mesh::config::duration")]
    #[schemars(with = "String", extend("format" = "duration"))]
    pub device_lifetime: Duration,
    /// Logins per minute on one account, right ones too, 1 to 100000; three minutes' worth
    /// may come at once. Devices that the account knows have as many for themselves.
    pub logins_per_minute: u32,
    /// Logins and registrations per second from one network, right ones too, up to 100000;
    /// two seconds' worth may come at once; 0 means a quarter of `overall_per_second`.
    pub network_per_second: u32,
    /// Logins and registrations per second from everywhere, right ones too, up to 100000;
    /// two seconds' worth may come at once; 0 means 40 for each hashing thread that has a
    /// core, at the default cost of a hash: more of cheaper hashes, fewer of dearer ones.
    pub overall_per_second: u32,
    /// Registrations per minute from one network, 1 to 100000; three minutes' worth may come at once.
    pub registrations_per_minute: u32,
    /// So many accounts that fail from one network within ten minutes are told of as
    /// credential stuffing (`CredentialStuffingSuspected`), 3 to 1000.
    pub stuffing_accounts: u32,
    /// Accounts, networks and devices to remember, of each 1000 to 10000000. Whoever has
    /// to wait is not forgotten; of the others the least recent are.
    pub capacity: usize,
}

/// One growing delay: none up to `free` failures, then `base`, doubling up to `cap`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DelayConfig {
    /// Failures without any delay, and attempts that may be made at the same time, 1 to 10000.
    pub free: u32,
    /// The first delay, at least 50 milliseconds.
    #[serde(with = "countersign_mesh::config::duration")]
    #[schemars(with = "String", extend("format" = "duration"))]
    pub base: Duration,
    /// The longest delay, from `base` to 1 hour.
    #[serde(with = "countersign_mesh::config::duration")]
    #[schemars(with = "String", extend("format" = "duration"))]
    pub cap: Duration,
    /// The time in which one failure is forgiven; longer than `cap`, so that waiting for
    /// the delay does not undo it.
    #[serde(with = "countersign_mesh::config::duration")]
    #[schemars(with = "String", extend("format" = "duration"))]
    pub forgive_every: Duration,
}

/// How long sessions and tokens live.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SessionConfig {
    /// How long an access token is good for, 10 seconds to 1 hour.
    #[serde(with = "countersign_mesh::config::duration")]
    #[schemars(with = "String", extend("format" = "duration"))]
    pub access_token_lifetime: Duration,
    /// After which time without a refresh a session ends; at least `access_token_lifetime`.
    #[serde(with = "countersign_mesh::config::duration")]
    #[schemars(with = "String", extend("format" = "duration"))]
    pub idle_lifetime: Duration,
    /// After which time a session ends in any case; at least `idle_lifetime`.
    #[serde(with = "countersign_mesh::config::duration")]
    #[schemars(with = "String", extend("format" = "duration"))]
    pub absolute_lifetime: Duration,
    /// How long the predecessor of an unused refresh token still gets that same token,
    /// at most 1 minute.
    #[serde(with = "countersign_mesh::config::duration")]
    #[schemars(with = "String", extend("format" = "duration"))]
    pub grace_window: Duration,
    /// How long ended sessions are kept for inquiries, 1 hour to 5 years.
    #[serde(with = "countersign_mesh::config::duration")]
    #[schemars(with = "String", extend("format" = "duration"))]
    pub retention: Duration,
    /// Sessions of one account that live at a time, 1 to 1000: one more ends the oldest.
    pub max_per_account: u32,
}

/// How accounts are made.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RegistrationConfig {
    /// Whether registering a taken address gets the same answer as registering a free one.
    pub quiet: bool,
}

/// The life of the keys that sign access tokens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SigningKeysConfig {
    /// How long a key signs before the next one takes over, 1 hour to 2 years; at least twice
    /// `announce_period` and four times `poll_interval`, so that one key is announced at a time.
    #[serde(with = "countersign_mesh::config::duration")]
    #[schemars(with = "String", extend("format" = "duration"))]
    pub rotation_period: Duration,
    /// How long a key is published before it signs: longer than any verifier keeps the list
    /// of keys, at least 1 second.
    #[serde(with = "countersign_mesh::config::duration")]
    #[schemars(with = "String", extend("format" = "duration"))]
    pub announce_period: Duration,
    /// How often the server looks for keys that an operator or another replica made,
    /// at most `announce_period` and 1 minute.
    #[serde(with = "countersign_mesh::config::duration")]
    #[schemars(with = "String", extend("format" = "duration"))]
    pub poll_interval: Duration,
}

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl Default for PasswordConfig {
    fn default() -> Self {
        Self {
            min_length: 15,
            max_length: 256,
            block_list: true,
            block_list_file: None,
            context_words: Vec::new(),
        }
    }
}

// OWASP Password Storage Cheat Sheet: Argon2id with 19 MiB, two passes, one lane.
impl Default for HashingConfig {
    fn default() -> Self {
        Self {
            memory_kib: 19_456,
            iterations: 2,
            parallelism: 1,
            workers: 0,
            queue: 64,
            network_queue: 0,
            pepper_file: None,
        }
    }
}

impl Default for ThrottleConfig {
    fn default() -> Self {
        Self {
            account_and_network: DelayConfig {
                free: 5,
                base: SECOND,
                cap: 30 * SECOND,
                forgive_every: 10 * MINUTE,
            },
            account: DelayConfig {
                free: 20,
                base: SECOND / 4,
                cap: 4 * SECOND,
                forgive_every: MINUTE,
            },
            network: DelayConfig {
                free: 50,
                base: SECOND / 2,
                cap: 10 * SECOND,
                forgive_every: 20 * SECOND,
            },
            device: DelayConfig {
                free: 5,
                base: SECOND,
                cap: 30 * SECOND,
                forgive_every: 10 * MINUTE,
            },
            device_lifetime: 180 * DAY,
            logins_per_minute: 30,
            network_per_second: 0,
            overall_per_second: 0,
            registrations_per_minute: 60,
            stuffing_accounts: 10,
            capacity: 50_000,
        }
    }
}

impl Default for SessionConfig {
    fn default() -> Self {
        Self {
            access_token_lifetime: 5 * MINUTE,
            idle_lifetime: 14 * DAY,
            absolute_lifetime: 90 * DAY,
            grace_window: 10 * SECOND,
            retention: 30 * DAY,
            max_per_account: 50,
        }
    }
}

impl Default for SigningKeysConfig {
    fn default() -> Self {
        Self { rotation_period: 30 * DAY, announce_period: 10 * MINUTE, poll_interval: 2 * SECOND }
    }
}
