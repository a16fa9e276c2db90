//! Why the broker does not let us in, as a sentence that says what to set. Said
//! once for each reason, and without anything of the credentials.

use std::sync::{Mutex, PoisonError};

use async_nats::Server;

/// What was said last.
#[derive(Default)]
pub(super) struct Complaint(Mutex<Option<&'static str>>);

impl Complaint {
    /// Looks at why the last tries failed.
    pub(super) fn look(&self, servers: &[Server]) {
        let reason = servers.iter().find_map(|server| advice(server.last_error.as_deref()?));
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(advice) = reason
            && *said != reason
        {
            tracing::error!("the broker does not let this process in: {advice}");
        }
        *said = reason;
    }
}

/// What helps; nothing where the broker is only away.
fn advice(error: &str) -> Option<&'static str> {
    let error = error.to_lowercase();
    let has = |text: &str| error.contains(text);
    if has("authorization violation") || has("signing nonce") {
        Some(
            "it does not know the credentials; name a file with those of one of its users in \
             bus.credentials_file (COUNTERSIGN_BUS__CREDENTIALS_FILE)",
        )
    } else if has("certificate required") || has("certificaterequired") {
        Some(
            "it asks for a certificate of ours; name one in bus.certificate_file and its key in \
             bus.key_file",
        )
    } else if has("alert") {
        Some(
            "it does not take the certificate of ours; name one that its authority has signed in \
             bus.certificate_file, and its key in bus.key_file",
        )
    } else if has("certificate") || has("unknownissuer") {
        Some(
            "its certificate is not to be trusted; name the file of the authority that signed it \
             in bus.ca_file (COUNTERSIGN_BUS__CA_FILE), and the host as the certificate does in \
             bus.url",
        )
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_its_advice_and_being_away_has_none() {
        for (error, setting) in [
            ("authorization violation", "bus.credentials_file"),
            ("IO error: invalid peer certificate: UnknownIssuer", "bus.ca_file"),
            ("IO error: received fatal alert: CertificateRequired", "bus.certificate_file"),
            ("IO error: received fatal alert: DecryptError", "bus.certificate_file"),
        ] {
            assert!(advice(error).is_some_and(|advice| advice.contains(setting)), "{error}");
        }
        assert_eq!(advice("IO error: Connection refused (os error 111)"), None);
    }
}
