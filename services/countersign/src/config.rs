//! The whole configuration of a process: one struct, made of the sections of
//! the libraries and services.
//!
//! Owns where settings come from and which short names they have. What a
//! section means is documented where the section is declared.

use std::path::PathBuf;

use countersign_mesh::config::{
    self, ChannelConfig, DatabaseConfig, LogConfig, ServerConfig, Sources, TelemetryConfig,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Error, cli::Flags};

mod bus;
mod keys;
mod policies;
mod token;

pub use bus::BusConfig;
pub use keys::KeysConfig;
pub use policies::PoliciesConfig;
pub(crate) use policies::base_policies;
pub use token::TokenConfig;

/// Everything that can be set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Folder of the databases and of the master key; made at the first start (mode 0700).
    pub data_dir: PathBuf,
    /// File of the master keys (mode 0600, or 0640 where root owns it and the server is not root), one a line. Unset: `master.key` in the data folder. Made at the first start, where the database has no tables yet; later a missing one is an error.
    pub master_key_file: Option<PathBuf>,
    /// The same of the user service, where it has keys of its own, as it should in a process of its own: those of auth sign tokens. Unset: as `master_key_file`.
    pub user_master_key_file: Option<PathBuf>,
    /// How the server listens, and what it bears.
    pub server: ServerConfig,
    /// How other processes are called, and what is done when that fails.
    pub client: ChannelConfig,
    /// What is logged.
    pub log: LogConfig,
    /// What is told to collectors of traces and metrics.
    pub telemetry: TelemetryConfig,
    /// What access tokens say, and what the guard asks of them.
    pub token: TokenConfig,
    /// Policies of one's own.
    pub policies: PoliciesConfig,
    /// Where each service keeps its data.
    pub database: DatabasesConfig,
    /// Where events travel.
    pub bus: BusConfig,
    /// Where the user service learns which keys verify tokens.
    pub keys: KeysConfig,
    /// How the services keep their audit trails.
    pub audit: countersign_audit::Config,
    /// The auth service.
    pub auth: countersign_auth::Config,
    /// The user service.
    pub user: countersign_user::Config,
}

/// One database for each service; they never share one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DatabasesConfig {
    /// The database of the auth service.
    pub auth: DatabaseConfig,
    /// The database of the user service.
    pub user: DatabaseConfig,
    /// Whether a server brings its tables up to date when it starts. Otherwise it refuses to start until `countersign migrate` has.
    pub migrate_at_start: bool,
}

impl Default for DatabasesConfig {
    fn default() -> Self {
        let (auth, user) = (DatabaseConfig::default(), DatabaseConfig::default());
        Self { auth, user, migrate_at_start: true }
    }
}

/// Variables with a name that is easier to type.
const SHORT: [(&str, &str); 1] = [("COUNTERSIGN_LISTEN", "server.listen")];
/// Read by the command line.
const CONFIG_VARIABLE: &str = "COUNTERSIGN_CONFIG";

const REFERENCE: &str = "\
# Configuration

Every setting has a default: `countersign` starts without any. What is set in the file (TOML, named by
`--config` or `COUNTERSIGN_CONFIG`) overrides the default, the environment overrides the file, and a flag
overrides the environment. A key `a.b` stands in the file as `b = …` below `[a]`. An unknown key or
variable is refused, so that a misspelt one is noticed. Secrets are never values: a key that ends in
`_file` names a file that holds one.

`countersign config` prints what takes effect. This page is printed by `countersign config --reference`,
and a test fails when it is out of date.

";

impl Default for Config {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("data"),
            master_key_file: None,
            user_master_key_file: None,
            server: ServerConfig::default(),
            client: ChannelConfig::default(),
            log: LogConfig::default(),
            telemetry: TelemetryConfig::default(),
            token: TokenConfig::default(),
            policies: PoliciesConfig::default(),
            database: DatabasesConfig::default(),
            bus: BusConfig::default(),
            keys: KeysConfig::default(),
            audit: countersign_audit::Config::default(),
            auth: countersign_auth::Config::default(),
            user: countersign_user::Config::default(),
        }
    }
}

impl Config {
    /// The configuration of this process: defaults, file, environment, flags.
    ///
    /// # Errors
    /// [`Error::Mesh`] names the setting and its source.
    pub fn load(flags: &Flags) -> Result<Self, Error> {
        Self::from_sources(Sources::process(flags.config.as_deref()), flags)
    }

    /// The configuration from these sources; `flags` override them.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn from_sources(mut sources: Sources, flags: &Flags) -> Result<Self, Error> {
        sources.short.extend(SHORT);
        sources.ignored.push(CONFIG_VARIABLE);
        if let Some(folder) = &flags.data_dir {
            let folder = folder.to_str().ok_or_else(|| Error::NotText(folder.clone()))?;
            sources.overrides.push(("data_dir".to_owned(), folder.to_owned()));
        }
        if let Some(address) = flags.listen {
            sources.overrides.push(("server.listen".to_owned(), address.to_string()));
        }
        let config = config::load(&Self::default(), &sources)?;
        config.validate()?;
        Ok(config)
    }

    /// The reference of all settings, as committed in `docs/configuration.md`.
    #[must_use]
    pub fn reference() -> String {
        let table = config::reference(&Self::default(), &SHORT);
        format!("{REFERENCE}{}\n", table.trim_end())
    }

    /// The values in force as TOML, secrets hidden.
    ///
    /// # Errors
    /// [`Error::Mesh`] where TOML cannot express a value.
    pub fn effective(&self) -> Result<String, Error> {
        Ok(config::effective(self)?)
    }

    fn validate(&self) -> Result<(), Error> {
        self.server.validate("server")?;
        self.client.validate("client")?;
        self.log.validate("log")?;
        self.telemetry.validate("telemetry")?;
        self.token.validate("token")?;
        self.policies.validate("policies")?;
        self.database.auth.validate("database.auth")?;
        self.database.user.validate("database.user")?;
        self.bus.validate("bus")?;
        self.keys.validate("keys")?;
        self.audit.validate("audit")?;
        self.user.validate("user")?;
        self.auth.validate().map_err(|error| Error::Section("auth", error.to_string()))?;
        Ok(())
    }
}
