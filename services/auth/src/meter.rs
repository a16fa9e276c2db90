//! What an operator watches. Labels are fixed words of this program, never ids
//! or addresses.

use opentelemetry::{KeyValue, global, metrics::Counter};

use crate::Error;

const SCOPE: &str = "countersign.auth";

/// Counts how logins and refreshes come out.
pub(crate) struct Meter {
    logins: Counter<u64>,
    refreshes: Counter<u64>,
    signals: Counter<u64>,
}

/// What somebody who watches should look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    /// A login with a device that the account did not know.
    NewDevice,
    /// A login from a network that it was not used from.
    NewNetwork,
    /// Many accounts failed from one network.
    CredentialStuffing,
    /// A session was ended because there were too many.
    SessionLimit,
}

impl Meter {
    pub(crate) fn new() -> Self {
        let meter = global::meter(SCOPE);
        Self {
            logins: meter
                .u64_counter("countersign.auth.logins")
                .with_description("logins by their outcome")
                .build(),
            refreshes: meter
                .u64_counter("countersign.auth.refreshes")
                .with_description("refreshes by their outcome")
                .build(),
            signals: meter
                .u64_counter("countersign.auth.signals")
                .with_description("what somebody should look at, by its kind")
                .build(),
        }
    }

    pub(crate) fn login<T>(&self, result: &Result<T, Error>) {
        self.logins.add(1, &[outcome(result)]);
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let word = match signal {
            Signal::NewDevice => "new_device",
            Signal::NewNetwork => "new_network",
            Signal::CredentialStuffing => "credential_stuffing",
            Signal::SessionLimit => "session_limit",
        };
        self.signals.add(1, &[KeyValue::new("kind", word)]);
    }

    pub(crate) fn refresh<T>(&self, result: &Result<T, Error>) {
        self.refreshes.add(1, &[outcome(result)]);
    }
}

fn outcome<T>(result: &Result<T, Error>) -> KeyValue {
    let word = match result {
        Ok(_) => "success",
        Err(Error::Invalid(_)) => "invalid",
        Err(Error::BadCredentials) => "bad_credentials",
        Err(Error::AccountPending) => "pending",
        Err(Error::AccountDisabled) => "disabled",
        Err(Error::Throttled { .. }) => "throttled",
        Err(Error::HashingBusy) => "busy",
        Err(Error::RefreshInvalid) => "invalid",
        Err(Error::RefreshReused) => "reused",
        Err(Error::SessionEnded) => "ended",
        Err(_) => "failed",
    };
    KeyValue::new("outcome", word)
}
