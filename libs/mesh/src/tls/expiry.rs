//! Tells how long a certificate is good: always as a gauge, and in the log when
//! it should have been renewed.

use std::time::{Duration, Instant, SystemTime};

use opentelemetry::{KeyValue, global, metrics::Gauge};

use super::certificate::Validity;

/// How often the log repeats it.
const REPEAT: Duration = Duration::from_secs(60 * 60);

/// The end of one certificate, as it is renewed.
pub(super) struct Expiry {
    gauge: Gauge<i64>,
    role: &'static str,
    told: Option<Instant>,
}

impl Expiry {
    /// Of the certificate of a `server` or of a `client`.
    pub(super) fn of(role: &'static str) -> Self {
        let gauge = global::meter("countersign.mesh")
            .i64_gauge("countersign.tls.certificate_expiry")
            .with_description("when the certificate in use expires, since the epoch")
            .with_unit("s")
            .build();
        Self { gauge, role, told: None }
    }

    /// Another certificate is in use.
    pub(super) fn renewed(&mut self) {
        self.told = None;
    }

    /// Tells what there is to tell now.
    pub(super) fn tell(&mut self, validity: Validity, now: SystemTime) {
        let end = i64::try_from(validity.end().as_secs()).unwrap_or(i64::MAX);
        self.gauge.record(end, &[KeyValue::new("role", self.role)]);
        if !validity.is_ending(now) || self.told.is_some_and(|told| told.elapsed() < REPEAT) {
            return;
        }
        self.told = Some(Instant::now());
        let (role, left) = (self.role, validity.left(now).as_secs());
        if left == 0 {
            tracing::error!(tls.role = role, "the certificate has expired");
        } else {
            tracing::warn!(
                tls.role = role,
                tls.seconds_left = left,
                "the certificate expires soon and was not renewed"
            );
        }
    }
}
