//! The program, restarted replica by replica under constant load. A client that
//! uses the mesh's channel loses no call, and none is done twice.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use countersign_contracts::auth::v1::{
    GetVerificationKeysRequest, RegisterRequest, auth_service_client::AuthServiceClient,
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
use uuid::Uuid;

const REPLICAS: usize = 2;
/// For a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(60);

fn executable(folder: &Path, database: &NewDatabase, broker: &str, replica: usize) -> Executable {
    Executable::on(&folder.join(replica.to_string()))
        .in_role("auth")
        .with("COUNTERSIGN_MASTER_KEY_FILE", &folder.join("master.key").display().to_string())
        .with("COUNTERSIGN_DATABASE__AUTH__URL", database.url())
        .with("COUNTERSIGN_BUS__URL", broker)
        .with("COUNTERSIGN_BUS__STREAM", database.name())
        .with("COUNTERSIGN_BUS__SUBJECT_PREFIX", database.name())
        .with("COUNTERSIGN_AUTH__HASHING__MEMORY_KIB", "7168")
        .with("COUNTERSIGN_AUTH__HASHING__ITERATIONS", "1")
        .with("COUNTERSIGN_AUTH__THROTTLE__REGISTRATIONS_PER_MINUTE", "100000")
        .with("COUNTERSIGN_AUTH__THROTTLE__OVERALL_PER_SECOND", "100000")
}

/// Registers one person after the other, and reads the keys in between.
async fn load(channel: Channel, done: Arc<AtomicI64>, enough: CancellationToken) {
    let mut client = AuthServiceClient::new(channel);
    while !enough.is_cancelled() {
        let email = email_of(&Uuid::now_v7().simple().to_string());
        let person = RegisterRequest { email, password: PASSWORD.to_owned() };
        client.register(person).await.expect("a registration, which is never sent twice");
        done.fetch_add(1, Ordering::SeqCst);
        client.get_verification_keys(GetVerificationKeysRequest {}).await.expect("the keys");
    }
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
    let (database, broker) = (NewDatabase::create().await, shared::nats().await);
    let mut processes: Vec<(Executable, Process)> = Vec::new();
    for replica in 0..REPLICAS {
        let executable = executable(folder.path(), &database, &broker, replica);
        let process = executable.start().await;
        let again = executable.with("COUNTERSIGN_LISTEN", &process.address().to_string());
        processes.push((again, process));
    }
    let addresses: Vec<_> = processes.iter().map(|(_, p)| p.address().to_string()).collect();
    let target: Target = addresses.join(",").parse().unwrap();
    let config = ChannelConfig {
        timeout: PATIENCE,
        ready_timeout: PATIENCE,
        health_service: Some("countersign.auth.v1.AuthService".to_owned()),
        ..ChannelConfig::default()
    };
    let channel = Channel::new(target, &config).unwrap();
    let (done, enough) = (Arc::new(AtomicI64::new(0)), CancellationToken::new());
    let loads: Vec<_> = (0..4)
        .map(|_| tokio::spawn(load(channel.clone(), Arc::clone(&done), enough.clone())))
        .collect();

    for _ in 0..2 {
        for place in 0..REPLICAS {
            let before = done.load(Ordering::SeqCst);
            until(|| channel.available() == REPLICAS).await;
            until(|| done.load(Ordering::SeqCst) >= before + 10).await;
            let (executable, process) = processes.remove(place);
            assert!(process.stop().await, "it leaves in good order");
            let process = executable.start().await;
            processes.insert(place, (executable, process));
        }
    }
    enough.cancel();
    for load in loads {
        load.await.unwrap();
    }
    let ledger = Ledger::connect(database.url(), database.url()).await;
    let accounts = Ledger::number(&ledger.auth, "SELECT count(*) AS n FROM accounts").await;
    assert_eq!(accounts, done.load(Ordering::SeqCst), "as many as were acknowledged");
    for (_, process) in processes {
        assert!(process.stop().await);
    }
    drop(ledger);
    database.remove().await;
}
