//! Users of a broker, as an operator makes them with `nsc`: tokens that are
//! signed from the operator down to the user, and a file with the user's own.

use std::{fs, path::Path};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use nkeys::KeyPair;
use serde_json::{Value, json};

/// An operator with one account, whose users may do everything in it.
#[derive(Debug)]
pub struct Operator {
    key: KeyPair,
    account: KeyPair,
    system: KeyPair,
}

impl Operator {
    /// A new one.
    #[must_use]
    pub fn new() -> Self {
        let (key, account) = (KeyPair::new_operator(), KeyPair::new_account());
        Self { key, account, system: KeyPair::new_account() }
    }

    /// The lines in the configuration of a server that trusts this operator.
    #[must_use]
    pub fn server_config(&self) -> String {
        let unlimited = json!({
            "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1,
            "wildcards": true, "conn": -1, "leaf": -1,
            "mem_storage": -1, "disk_storage": -1, "streams": -1, "consumer": -1,
        });
        let operator = token(&self.key, &self.key, &json!({ "type": "operator", "version": 2 }));
        let account = json!({ "type": "account", "version": 2, "limits": unlimited });
        let account = token(&self.account, &self.key, &account);
        let mut limits = unlimited;
        // What the server keeps for itself is not kept in streams.
        for name in ["mem_storage", "disk_storage", "streams", "consumer"] {
            limits[name] = json!(0);
        }
        let system = json!({ "type": "account", "version": 2, "limits": limits });
        let system = token(&self.system, &self.key, &system);
        let (account_id, system_id) = (self.account.public_key(), self.system.public_key());
        format!(
            "operator: \"{operator}\"\nsystem_account: \"{system_id}\"\nresolver: MEMORY\n\
             resolver_preload: {{ \"{account_id}\": \"{account}\", \"{system_id}\": \"{system}\" }}\n"
        )
    }

    /// Writes the credentials of a new user; the secret in them.
    ///
    /// # Panics
    /// The file cannot be written.
    pub fn write_user(&self, file: &Path) -> String {
        let user = KeyPair::new_user();
        let claims = json!({
            "type": "user", "version": 2, "pub": {}, "sub": {},
            "subs": -1, "data": -1, "payload": -1,
        });
        let token = token(&user, &self.account, &claims);
        let seed = user.seed().expect("a new key has a seed");
        let text = format!(
            "-----BEGIN NATS USER JWT-----\n{token}\n------END NATS USER JWT------\n\n\
             -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
        );
        fs::write(file, text).expect("the folder is there");
        seed
    }
}

impl Default for Operator {
    fn default() -> Self {
        Self::new()
    }
}

fn token(of: &KeyPair, by: &KeyPair, claims: &Value) -> String {
    let encode = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let head = encode(&json!({ "typ": "JWT", "alg": "ed25519-nkey" }));
    let body = encode(&json!({
        "jti": of.public_key(), "iat": 1_700_000_000, "iss": by.public_key(),
        "name": of.public_key(), "sub": of.public_key(), "nats": claims,
    }));
    let signed = format!("{head}.{body}");
    let signature = by.sign(signed.as_bytes()).expect("a key that signs");
    format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
}
