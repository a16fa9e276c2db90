//! Changing a profile: masks, etags and the events that tell of it.

use countersign_contracts::{events::v1::ProfileUpdated, user::v1::Profile};
use countersign_tests::{TestApp, Topology, on_every_topology, refusal};
use tonic::Code;

fn profile() -> Profile {
    Profile {
        display_name: "Ada".to_owned(),
        bio: "first\nprogrammer".to_owned(),
        locale: "EN-gb".to_owned(),
        time_zone: "Europe/London".to_owned(),
        avatar_uri: "https://example.org/ada.png".to_owned(),
        metadata: [("team".to_owned(), "engines".to_owned())].into(),
        ..Profile::default()
    }
}

async fn masks_select_what_changes(topology: Topology) {
    let app = TestApp::on(topology).await;
    let ada = app.signed_in("ada").await;

    let first = ada.clients.update(profile(), &[]).await.unwrap();
    assert_eq!(first.locale, "en-GB", "stored in canonical form");
    assert_eq!(first.given_name, "");

    let given = Profile { given_name: "Augusta".to_owned(), ..Profile::default() };
    let second = ada.clients.update(given.clone(), &[]).await.unwrap();
    assert_eq!((second.display_name.as_str(), second.given_name.as_str()), ("Ada", "Augusta"));

    let third = ada.clients.update(Profile::default(), &["bio"]).await.unwrap();
    assert_eq!((third.display_name.as_str(), third.bio.as_str()), ("Ada", ""));

    let fourth = ada.clients.update(given, &["*"]).await.unwrap();
    assert_eq!((fourth.display_name.as_str(), fourth.given_name.as_str()), ("", "Augusta"));
    assert!(fourth.metadata.is_empty());
}

async fn entries_of_the_metadata_change_one_by_one(topology: Topology) {
    let app = TestApp::on(topology).await;
    let ada = app.signed_in("ada").await;
    ada.clients.update(profile(), &[]).await.unwrap();
    let entry = |key: &str, value: &str| Profile {
        metadata: [(key.to_owned(), value.to_owned())].into(),
        ..Profile::default()
    };
    let more = ada.clients.update(entry("org.desk", "7"), &["metadata.`org.desk`"]).await.unwrap();
    assert_eq!(more.metadata.len(), 2);
    let less = ada.clients.update(Profile::default(), &["metadata.team"]).await.unwrap();
    assert_eq!(less.metadata, entry("org.desk", "7").metadata);
}

async fn output_only_fields_stay_as_they_are(topology: Topology) {
    let app = TestApp::on(topology).await;
    let ada = app.signed_in("ada").await;
    let before = ada.clients.profile("me").await.unwrap();
    let forged = Profile {
        user_id: "somebody else".to_owned(),
        status: 0,
        create_time: None,
        ..Profile::default()
    };
    for mask in [&["status", "create_time", "user_id", "etag"][..], &["*"]] {
        assert_eq!(ada.clients.update(forged.clone(), mask).await.unwrap(), before);
    }
}

async fn an_etag_holds_back_who_comes_late(topology: Topology) {
    let app = TestApp::on(topology).await;
    let ada = app.signed_in("ada").await;
    let read = ada.clients.profile("me").await.unwrap();
    let with = |etag: &str, bio: &str| Profile {
        etag: etag.to_owned(),
        bio: bio.to_owned(),
        ..Profile::default()
    };
    let first = ada.clients.update(with(&read.etag, "one"), &["bio"]).await.unwrap();
    let late = refusal(ada.clients.update(with(&read.etag, "two"), &["bio"]).await);
    late.is(Code::Aborted, "ETAG_MISMATCH");
    assert_eq!(ada.clients.profile("me").await.unwrap(), first);
    assert!(ada.clients.update(with(&first.etag, "two"), &["bio"]).await.is_ok());
    assert!(ada.clients.update(with("", "three"), &["bio"]).await.is_ok());
}

async fn of_parallel_updates_with_one_etag_exactly_one_wins(topology: Topology) {
    let app = TestApp::on(topology).await;
    let ada = app.signed_in("ada").await;
    let etag = ada.clients.profile("me").await.unwrap().etag;
    let updates = (0..16).map(|n| {
        let profile = Profile { etag: etag.clone(), bio: n.to_string(), ..Profile::default() };
        let clients = ada.clients.clone();
        async move { clients.update(profile, &["bio"]).await }
    });
    let results = futures::future::join_all(updates).await;
    let (won, lost): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
    assert_eq!(won.len(), 1);
    for result in lost {
        refusal(result).is(Code::Aborted, "ETAG_MISMATCH");
    }
}

async fn a_change_makes_one_event_with_names_and_no_values(topology: Topology) {
    let app = TestApp::on(topology).await;
    let ada = app.signed_in("ada").await;
    let first = ada.clients.update(profile(), &[]).await.unwrap();
    let again = ada.clients.update(profile(), &[]).await.unwrap();
    assert_eq!(first, again, "nothing changed: the same etag and time");

    let events = app.ledger().await.events("ProfileUpdated").await;
    assert_eq!(events.len(), 1);
    let event: ProfileUpdated = events[0].event.decode().unwrap();
    let names = ["display_name", "bio", "avatar_uri", "locale", "time_zone", "metadata"];
    assert_eq!(
        (event.user_id.as_str(), event.fields),
        (ada.user_id.as_str(), names.map(str::to_owned).to_vec())
    );
    let data = &events[0].event.data;
    assert!(!data.windows(10).any(|window| window == b"programmer"));
}

on_every_topology![
    masks_select_what_changes,
    entries_of_the_metadata_change_one_by_one,
    output_only_fields_stay_as_they_are,
    an_etag_holds_back_who_comes_late,
    of_parallel_updates_with_one_etag_exactly_one_wins,
    a_change_makes_one_event_with_names_and_no_values,
];
