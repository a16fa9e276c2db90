//! The program on PostgreSQL and JetStream, two replicas of each service, restarted
//! replica by replica under constant load. A client that uses the mesh's channel
//! loses no call, and none is done twice.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use countersign_contracts::{
    auth::v1::{
        GetVerificationKeysRequest, LoginRequest, RefreshRequest, RegisterRequest,
        auth_service_client::AuthServiceClient,
    },
    user::v1::{
        GetProfileRequest, Profile, UpdateProfileRequest,
        profile_service_client::ProfileServiceClient,
    },
};
use countersign_mesh::{
    channel::{Channel, Target},
    config::ChannelConfig,
};
use countersign_seal::MasterKey;
use countersign_tests::{
    Executable, Ledger, PASSWORD, Process, email_of,
    engines::{NewDatabase, shared},
};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Request};
use uuid::Uuid;

const REPLICAS: usize = 2;
/// For a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(60);

const UPDATES: &str =
    "SELECT count(*) AS n FROM outbox WHERE kind = 'countersign.events.v1.ProfileUpdated'";

/// The replicas of one service, each with what starts it again where it was.
struct Replicas {
    processes: Vec<(Executable, Process)>,
    channel: Channel,
}

/// What somebody has done, as it was acknowledged.
struct Done {
    user_id: String,
    accounts: usize,
    updates: usize,
}

impl Replicas {
    async fn start(service: &str, executables: impl Iterator<Item = Executable>) -> Self {
        let mut processes = Vec::new();
        for executable in executables {
            let process = executable.start().await;
            let again = executable.with("COUNTERSIGN_LISTEN", &process.address().to_string());
            processes.push((again, process));
        }
        let target: Target = addresses(&processes, "").parse().unwrap();
        let config = ChannelConfig {
            timeout: PATIENCE,
            ready_timeout: PATIENCE,
            health_service: Some(service.to_owned()),
            ..ChannelConfig::default()
        };
        Self { processes, channel: Channel::new(target, &config).unwrap() }
    }

    /// One replica after the other, each while calls go on.
    async fn restart(&mut self, rounds: &AtomicUsize) {
        for place in 0..self.processes.len() {
            let before = rounds.load(Ordering::SeqCst);
            until(|| self.channel.available() == REPLICAS).await;
            until(|| rounds.load(Ordering::SeqCst) >= before + 10).await;
            let (executable, process) = self.processes.remove(place);
            assert!(process.stop().await, "it leaves in good order");
            let process = executable.start().await;
            self.processes.insert(place, (executable, process));
        }
    }

    async fn stop(self) {
        for (_, process) in self.processes {
            assert!(process.stop().await);
        }
    }
}

fn addresses(processes: &[(Executable, Process)], scheme: &str) -> String {
    let all: Vec<_> = processes.iter().map(|(_, p)| format!("{scheme}{}", p.address())).collect();
    all.join(",")
}

fn executable(
    folder: &Path,
    role: &str,
    database: &NewDatabase,
    events: &NewDatabase,
) -> Executable {
    Executable::on(&folder.join(Uuid::now_v7().to_string()))
        .in_role(role)
        .with("COUNTERSIGN_MASTER_KEY_FILE", &folder.join("master.key").display().to_string())
        .with(&format!("COUNTERSIGN_DATABASE__{}__URL", role.to_uppercase()), database.url())
        .with("COUNTERSIGN_BUS__STREAM", events.name())
        .with("COUNTERSIGN_BUS__SUBJECT_PREFIX", events.name())
        .with("COUNTERSIGN_AUTH__HASHING__MEMORY_KIB", "7168")
        .with("COUNTERSIGN_AUTH__HASHING__ITERATIONS", "1")
        .with("COUNTERSIGN_AUTH__THROTTLE__REGISTRATIONS_PER_MINUTE", "100000")
        .with("COUNTERSIGN_AUTH__THROTTLE__OVERALL_PER_SECOND", "100000")
}

/// Somebody who registers others, changes their own profile and looks at it. No
/// call is tried again here: that is the channel's affair.
async fn load(
    auth: Channel,
    user: Channel,
    rounds: Arc<AtomicUsize>,
    enough: CancellationToken,
) -> Done {
    let (mut auth, mut user) = (AuthServiceClient::new(auth), ProfileServiceClient::new(user));
    let email = email_of(&Uuid::now_v7().simple().to_string());
    let password = PASSWORD.to_owned();
    let own = RegisterRequest { email: email.clone(), password: password.clone() };
    let user_id = auth.register(own).await.unwrap().into_inner().account.unwrap().id;
    let mut login = loop {
        let login =
            LoginRequest { email: email.clone(), password: password.clone(), ..Default::default() };
        match auth.login(login).await {
            Ok(login) => break login.into_inner(),
            // Its profile is being made, which no deadline holds for.
            Err(status) => assert_eq!(status.code(), Code::FailedPrecondition, "{status}"),
        }
    };
    let mut done = Done { user_id, accounts: 1, updates: 0 };
    while !enough.is_cancelled() {
        let email = email_of(&Uuid::now_v7().simple().to_string());
        let person = RegisterRequest { email, password: password.clone() };
        auth.register(person).await.expect("a registration, which is never sent twice");
        done.accounts += 1;
        auth.get_verification_keys(GetVerificationKeysRequest {}).await.expect("the keys");
        let refresh = RefreshRequest { refresh_token: login.refresh_token.clone() };
        let refreshed = auth.refresh(refresh).await.expect("new tokens").into_inner();
        (login.access_token, login.refresh_token) =
            (refreshed.access_token, refreshed.refresh_token);

        let bio = format!("the {}th", done.updates);
        let profile = Some(Profile { bio: bio.clone(), ..Profile::default() });
        let update = UpdateProfileRequest { user_id: "me".to_owned(), profile, update_mask: None };
        let update = with_token(update, &login.access_token);
        user.update_profile(update).await.expect("an update, which is never sent twice");
        done.updates += 1;
        let question = GetProfileRequest { user_id: "me".to_owned() };
        let question = with_token(question, &login.access_token);
        let profile = user.get_profile(question).await.expect("the profile").into_inner().profile;
        assert_eq!(profile.unwrap().bio, bio);
        rounds.fetch_add(1, Ordering::SeqCst);
    }
    done
}

fn with_token<T>(message: T, token: &str) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    request
}

async fn until(holds: impl Fn() -> bool) {
    let asked = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, asked).await.expect("it holds in the end");
}

#[tokio::test]
async fn a_rolling_restart_of_every_replica_loses_no_call() {
    let folder = tempfile::tempdir().unwrap();
    MasterKey::create(folder.path().join("master.key")).unwrap();
    let (auth_db, user_db) = (NewDatabase::create().await, NewDatabase::create().await);
    let broker = shared::nats().await;
    let executable = |role: &str, database| {
        executable(folder.path(), role, database, &auth_db).with("COUNTERSIGN_BUS__URL", &broker)
    };
    let auth = (0..REPLICAS).map(|_| executable("auth", &auth_db));
    let mut auth = Replicas::start("countersign.auth.v1.AuthService", auth).await;
    let source = addresses(&auth.processes, "http://");
    let user = (0..REPLICAS)
        .map(|_| executable("user", &user_db).with("COUNTERSIGN_KEYS__SOURCE", &source));
    let mut user = Replicas::start("countersign.user.v1.ProfileService", user).await;

    let (rounds, enough) = (Arc::new(AtomicUsize::new(0)), CancellationToken::new());
    let loads: Vec<_> = (0..4)
        .map(|_| {
            let (auth, user) = (auth.channel.clone(), user.channel.clone());
            tokio::spawn(load(auth, user, Arc::clone(&rounds), enough.clone()))
        })
        .collect();
    for _ in 0..2 {
        auth.restart(&rounds).await;
        user.restart(&rounds).await;
    }
    enough.cancel();
    let mut accounts = 0;
    let ledger = Ledger::connect(auth_db.url(), user_db.url()).await;
    for load in loads {
        let done = load.await.unwrap();
        accounts += done.accounts;
        let updates = format!("{UPDATES} AND aggregate = '{}'", done.user_id);
        let updates = Ledger::number(&ledger.user, &updates).await;
        assert_eq!(usize::try_from(updates), Ok(done.updates), "each that was acknowledged, once");
    }
    let made = Ledger::number(&ledger.auth, "SELECT count(*) AS n FROM accounts").await;
    assert_eq!(usize::try_from(made), Ok(accounts), "as many as were acknowledged");
    auth.stop().await;
    user.stop().await;
    drop(ledger);
    auth_db.remove().await;
    user_db.remove().await;
}
