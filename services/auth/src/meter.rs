//! What an operator watches. Labels are fixed words of this program, never ids
//! or addresses.

use std::time::Duration;

use opentelemetry::{
    KeyValue, global,
    metrics::{Counter, Histogram, UpDownCounter},
};

use crate::Error;

const SCOPE: &str = "countersign.auth";

/// How a login or a refresh can come out.
const LOGINS: [&str; 8] =
    ["success", "invalid", "bad_credentials", "pending", "disabled", "throttled", "busy", "failed"];
const REFRESHES: [&str; 6] = ["success", "invalid", "reused", "ended", "disabled", "failed"];

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

/// Measures how busy the threads are that hash.
pub(crate) struct HashingMeter {
    waiting: UpDownCounter<i64>,
    wait: Histogram<f64>,
}

impl HashingMeter {
    pub(crate) fn new() -> Self {
        let meter = global::meter(SCOPE);
        let waiting = meter
            .i64_up_down_counter("countersign.auth.hashing.waiting")
            .with_unit("{hash}")
            .with_description("password hashes that wait for a thread")
            .build();
        waiting.add(0, &[]);
        let wait = meter
            .f64_histogram("countersign.auth.hashing.wait")
            .with_unit("s")
            .with_description("how long password hashes wait for a thread")
            .build();
        Self { waiting, wait }
    }

    pub(crate) fn queued(&self) {
        self.waiting.add(1, &[]);
    }

    pub(crate) fn taken(&self, waited: Duration) {
        self.waiting.add(-1, &[]);
        self.wait.record(waited.as_secs_f64(), &[]);
    }
}

impl Meter {
    pub(crate) fn new() -> Self {
        let meter = global::meter(SCOPE);
        let meter = Self {
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
        };
        // There from the start: an increase is seen from the first one on.
        for outcome in LOGINS {
            meter.logins.add(0, &[KeyValue::new("outcome", outcome)]);
        }
        for outcome in REFRESHES {
            meter.refreshes.add(0, &[KeyValue::new("outcome", outcome)]);
        }
        meter
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
