//! Replicas that do the same at the same time: one of them does it.

use countersign::{AuthRole, Config};
use countersign_auth::admin;
use countersign_seal::{MasterKey, MasterKeys};
use countersign_tests::engines::{NewDatabase, shared};
use countersign_types::Clock;
use futures::future::join_all;
use uuid::Uuid;

#[tokio::test(flavor = "multi_thread")]
async fn replicas_that_start_first_at_the_same_time_end_with_one_master_key() {
    let broker = shared::nats().await;
    for round in 0..10 {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("master.key");
        let database = NewDatabase::create().await;
        let master_key_file = Some(file.clone());
        let mut config = Config { master_key_file, ..Config::default() };
        config.database.auth.url = Some(database.url().to_owned());
        config.bus.url = Some(broker.clone());
        config.bus.stream = Uuid::now_v7().to_string();
        config.bus.subject_prefix.clone_from(&config.bus.stream);
        let starts = (0..3).map(|_| {
            let config = config.clone();
            tokio::spawn(async move { AuthRole::build(&config, Clock::system()).await })
        });
        let roles = join_all(starts).await;
        // Each has compared its key with the one that the database was set up with.
        let roles: Vec<_> = roles.into_iter().map(|role| role.unwrap().unwrap()).collect();
        MasterKey::load(&file).unwrap_or_else(|error| panic!("round {round}: {error}"));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no draft is left over");

        // The same for the first signing key, and for a new one.
        let db = &roles[0].db;
        assert_eq!(admin::list_keys(db).await.unwrap().len(), 1);
        let masters = MasterKeys::load(&file).unwrap();
        let keeper = admin::Keeper::open(db, &CLOCK, masters).await.unwrap();
        let rotate = || keeper.rotate_signing_keys(&config.auth);
        let rotated = join_all((0..4).map(|_| rotate())).await;
        let new = rotated.into_iter().filter(|rotated| rotated.as_ref().unwrap().is_new).count();
        assert_eq!(new, 1);
        assert_eq!(admin::list_keys(db).await.unwrap().len(), 2);
        for role in roles {
            role.db.close().await.unwrap();
        }
        database.remove().await;
    }
}

static CLOCK: Clock = Clock::system();
