//! Where events travel: within the process, or through a broker.

use std::{path::PathBuf, time::Duration};

use countersign_events::JetStreamOptions;
use countersign_mesh::{
    Error,
    config::{duration_in_range, in_range},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The bus, the same for all processes of an environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BusConfig {
    /// NATS servers with JetStream, `nats://HOST:PORT` or `tls://HOST:PORT`, those of a cluster with commas between them. Unset: events stay within the process, which then has to be the only one.
    pub url: Option<String>,
    /// A credentials file as `nsc` writes it.
    pub credentials_file: Option<PathBuf>,
    /// A PEM file with the authorities that sign the servers' certificates. Unset: those of the system.
    pub ca_file: Option<PathBuf>,
    /// A PEM file with the certificate to show to the servers; needs `key_file`.
    pub certificate_file: Option<PathBuf>,
    /// A PEM file with the key of `certificate_file`.
    pub key_file: Option<PathBuf>,
    /// The stream, one for all services of an environment.
    pub stream: String,
    /// What the subjects of the stream begin with.
    pub subject_prefix: String,
    /// Copies of the stream, 1 to 5; 0 means 3 where the cluster has three servers or more, otherwise 1.
    pub replicas: u32,
    /// How long the stream keeps an event, 1d to 365d: longer than any service is ever away.
    #[serde(with = "countersign_mesh::config::duration")]
    #[schemars(with = "String", extend("format" = "duration"))]
    pub max_age: Duration,
    /// Whether a stream or consumer that is configured otherwise is corrected; it is reported in any case.
    pub reconcile: bool,
}

impl Default for BusConfig {
    fn default() -> Self {
        let options = JetStreamOptions::new([""]);
        Self {
            url: None,
            credentials_file: None,
            ca_file: None,
            certificate_file: None,
            key_file: None,
            stream: options.stream,
            subject_prefix: options.subject_prefix,
            replicas: 0,
            max_age: options.max_age,
            reconcile: options.reconcile,
        }
    }
}

impl BusConfig {
    /// Checks every value; `section` is where these settings stand.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] for the first value that can not be used.
    pub fn validate(&self, section: &str) -> Result<(), Error> {
        let key = |name: &str| format!("{section}.{name}");
        let refuse = |name: &str, reason: &str| {
            Err(Error::OutOfRange { key: key(name), reason: reason.to_owned() })
        };
        for url in self.urls() {
            let rest = url.strip_prefix("nats://").or_else(|| url.strip_prefix("tls://"));
            match rest {
                Some(rest) if rest.contains('@') => {
                    return refuse(
                        "url",
                        &format!(
                            "must not hold a password or token: name a credentials file in {}",
                            key("credentials_file")
                        ),
                    );
                }
                Some(host) if !host.is_empty() => {}
                _ => return refuse("url", "must be nats://HOST:PORT or tls://HOST:PORT"),
            }
        }
        if self.certificate_file.is_some() != self.key_file.is_some() {
            return refuse(
                "certificate_file",
                "and the key_file beside it are set both or neither",
            );
        }
        for (name, value) in [("stream", &self.stream), ("subject_prefix", &self.subject_prefix)] {
            let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            if value.is_empty() || value.len() > 64 || !value.chars().all(fits) {
                return refuse(name, "must be 1 to 64 letters, digits, - and _");
            }
        }
        in_range(&key("replicas"), &self.replicas, &(0..=5))?;
        duration_in_range(&key("max_age"), self.max_age, &(DAY..=365 * DAY))
    }

    /// How to reach the broker; `None` where events stay within the process.
    #[must_use]
    pub fn jetstream(&self) -> Option<JetStreamOptions> {
        self.url.as_ref()?;
        let certificate = self.certificate_file.clone().zip(self.key_file.clone());
        Some(JetStreamOptions {
            credentials_file: self.credentials_file.clone(),
            ca_file: self.ca_file.clone(),
            client_certificate: certificate,
            stream: self.stream.clone(),
            subject_prefix: self.subject_prefix.clone(),
            replicas: usize::try_from(self.replicas).ok().filter(|&replicas| replicas > 0),
            max_age: self.max_age,
            reconcile: self.reconcile,
            ..JetStreamOptions::new(self.urls())
        })
    }

    fn urls(&self) -> impl Iterator<Item = &str> {
        self.url.iter().flat_map(|urls| urls.split(',')).map(str::trim)
    }
}
