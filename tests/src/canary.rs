//! Personal data that is easily found again, wherever it has got to.

use std::{
    fs,
    path::{Path, PathBuf},
};

use countersign_contracts::{auth::v1::LoginRequest, user::v1::Profile};
use tonic::{Code, Status};

use crate::{Clients, Login, PASSWORD, Person};

/// Stands in every canary, and nowhere else.
pub const CANARY: &str = "kq7canry";

/// Somebody all of whose data has the canary in it.
#[derive(Clone)]
pub struct Canaries {
    /// The account.
    pub person: Person,
    /// A session of theirs.
    pub login: Login,
    /// Their profile.
    pub profile: Profile,
}

impl Canaries {
    /// Registers somebody, logs them in and fills their profile.
    ///
    /// # Panics
    /// Any of it is refused.
    pub async fn fly(clients: &Clients, settle: impl AsyncFn()) -> Self {
        let name = format!("{CANARY}-{}", uuid::Uuid::new_v4().simple());
        let person = clients.register(&name).await.expect("a registration");
        settle().await;
        let login = labelled(clients, &person).await.expect("a login");
        let profile = login.clients.update(profile(), &[]).await.expect("an update");
        assert!(profile.bio.contains(CANARY), "it is written");
        Self { person, login, profile }
    }
}

/// A session on a device with a canary for its name, as soon as the account is active.
async fn labelled(clients: &Clients, person: &Person) -> Result<Login, Status> {
    let request = || LoginRequest {
        email: person.email.clone(),
        password: PASSWORD.to_owned(),
        device_label: format!("the {CANARY} of Ada"),
        ..LoginRequest::default()
    };
    for _ in 1..500 {
        match clients.auth().login(request()).await {
            Err(status) if status.code() == Code::FailedPrecondition => {}
            done => return Ok(clients.signed_in(done?.into_inner())),
        }
    }
    Ok(clients.signed_in(clients.auth().login(request()).await?.into_inner()))
}

fn profile() -> Profile {
    let text = |what: &str| format!("{what} {CANARY}");
    Profile {
        display_name: text("Ada"),
        given_name: text("Augusta"),
        family_name: text("King"),
        bio: text("wrote the first program"),
        avatar_uri: format!("https://example.org/{CANARY}.png"),
        locale: format!("en-x-{CANARY}"),
        time_zone: "Europe/London".to_owned(),
        metadata: [(format!("a{CANARY}"), text("fact"))].into(),
        ..Profile::default()
    }
}

/// The files below a folder in which a text stands in the clear.
///
/// # Panics
/// The folder cannot be read.
#[must_use]
pub fn files_holding(folder: &Path, text: &str) -> Vec<PathBuf> {
    files_holding_bytes(folder, text.as_bytes())
}

/// The same of bytes.
///
/// # Panics
/// The folder cannot be read.
#[must_use]
pub fn files_holding_bytes(folder: &Path, sought: &[u8]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("the folder is readable") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files_holding_bytes(&path, sought));
        } else if holds(&fs::read(&path).unwrap_or_default(), sought) {
            found.push(path);
        }
    }
    found
}

fn holds(bytes: &[u8], sought: &[u8]) -> bool {
    let Some(first) = sought.first() else { return true };
    let mut rest = bytes;
    // `position` on bytes is fast where comparing each window is not.
    while let Some(at) = rest.iter().position(|byte| byte == first) {
        rest = rest.get(at..).unwrap_or_default();
        if rest.starts_with(sought) {
            return true;
        }
        rest = rest.get(1..).unwrap_or_default();
    }
    false
}
