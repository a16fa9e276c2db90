//! Settings of TLS: the files of a server, and those of a client.

use std::{path::PathBuf, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::duration_in_range;
use crate::Error;

/// The certificate of the server. With a certificate and its key it speaks TLS and nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TlsConfig {
    /// File of the certificate with those that it is signed by (PEM), such as cert-manager's `tls.crt`. Read again when it changes, as are the others. Unset: no TLS.
    pub certificate_file: Option<PathBuf>,
    /// File of its private key (PEM), such as `tls.key`.
    pub key_file: Option<PathBuf>,
    /// File of the authorities that sign the certificates of clients (PEM), such as `ca.crt`. Set: a client has to have one.
    pub client_ca_file: Option<PathBuf>,
    /// Let clients without a certificate in as well; one that is shown has to be good all the same.
    pub client_certificate_optional: bool,
    /// How often the files are looked at, 100ms to 1h.
    #[serde(with = "super::duration")]
    #[schemars(with = "String", extend("format" = "duration"))]
    pub reload_interval: Duration,
}

/// The certificates of a client. With authorities for servers it speaks TLS and nothing else, but for servers whose address begins with `http://`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ClientTlsConfig {
    /// File of the authorities that sign the certificates of servers (PEM). Read again when it changes, as are the others. Unset: those of the system where an address begins with `https://`, and no TLS elsewhere.
    pub ca_file: Option<PathBuf>,
    /// File of the client's own certificate with those that it is signed by (PEM), for servers that ask for one.
    pub certificate_file: Option<PathBuf>,
    /// File of its private key (PEM).
    pub key_file: Option<PathBuf>,
    /// The name that stands in the certificates of the servers. Unset: the name of the target.
    pub server_name: Option<String>,
    /// How often the files are looked at, 100ms to 1h.
    #[serde(with = "super::duration")]
    #[schemars(with = "String", extend("format" = "duration"))]
    pub reload_interval: Duration,
}

impl Default for TlsConfig {
    fn default() -> Self {
        Self {
            certificate_file: None,
            key_file: None,
            client_ca_file: None,
            client_certificate_optional: false,
            reload_interval: Duration::from_secs(10),
        }
    }
}

impl Default for ClientTlsConfig {
    fn default() -> Self {
        Self {
            ca_file: None,
            certificate_file: None,
            key_file: None,
            server_name: None,
            reload_interval: Duration::from_secs(10),
        }
    }
}

impl TlsConfig {
    /// Checks that what belongs together is set together.
    pub(super) fn validate(&self, section: &str) -> Result<(), Error> {
        pair(section, self.certificate_file.as_ref(), self.key_file.as_ref())?;
        if self.certificate_file.is_none() && self.client_ca_file.is_some() {
            return Err(refused(section, "client_ca_file", "needs certificate_file and key_file"));
        }
        if self.client_ca_file.is_none() && self.client_certificate_optional {
            return Err(refused(section, "client_certificate_optional", "needs client_ca_file"));
        }
        interval(section, self.reload_interval)
    }
}

impl ClientTlsConfig {
    /// Checks that what belongs together is set together.
    pub(super) fn validate(&self, section: &str) -> Result<(), Error> {
        pair(section, self.certificate_file.as_ref(), self.key_file.as_ref())?;
        for (name, set) in [
            ("certificate_file", self.certificate_file.is_some()),
            ("server_name", self.server_name.is_some()),
        ] {
            if set && self.ca_file.is_none() {
                return Err(refused(section, name, "needs ca_file"));
            }
        }
        interval(section, self.reload_interval)
    }
}

fn pair(section: &str, one: Option<&PathBuf>, other: Option<&PathBuf>) -> Result<(), Error> {
    match (one, other) {
        (Some(_), None) => Err(refused(section, "certificate_file", "needs key_file")),
        (None, Some(_)) => Err(refused(section, "key_file", "needs certificate_file")),
        _ => Ok(()),
    }
}

fn interval(section: &str, interval: Duration) -> Result<(), Error> {
    let range = Duration::from_millis(100)..=Duration::from_secs(60 * 60);
    duration_in_range(&format!("{section}.reload_interval"), interval, &range)
}

fn refused(section: &str, name: &str, reason: &str) -> Error {
    Error::OutOfRange { key: format!("{section}.{name}"), reason: reason.to_owned() }
}
