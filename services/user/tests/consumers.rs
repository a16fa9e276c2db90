//! What the service does about events, through the bus as in production.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use countersign_contracts::{
    BASE_POLICIES, CEDAR_SCHEMA, RULES,
    events::v1::{UserCreated, UserDeleted, UserLoggedOut},
};
use countersign_events::{
    Bus, Event,
    admin::{self, Filter},
};
use countersign_guard::{Guard, Settings};
use countersign_mesh::{config::DatabaseConfig, database};
use countersign_seal::MasterKey;
use countersign_types::{Clock, ClockHand, EventId, Timestamp, UserId};
use countersign_user::{Config, Deps, Error, Service, build};
use prost::{Message, Name};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement};

const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

struct User {
    service: Service,
    db: DatabaseConnection,
    bus: Bus,
    hand: ClockHand,
}

async fn user() -> User {
    let db = database::connect(&DatabaseConfig::default(), "sqlite::memory:").await.unwrap();
    start(db, MasterKey::generate().unwrap()).await.unwrap()
}

async fn start(db: DatabaseConnection, master: MasterKey) -> Result<User, Error> {
    let (clock, hand) = Clock::manual(NOW);
    let settings = Settings {
        issuer: "test".to_owned(),
        audience: "test".to_owned(),
        environment: "test".to_owned(),
        ..Settings::default()
    };
    let guard = Guard::builder(settings).rules(RULES).policies(CEDAR_SCHEMA, BASE_POLICIES);
    let guard = guard.clock(clock.clone()).build().unwrap();
    let (bus, masters) = (Bus::memory(), master.into());
    let audit = countersign_audit::Config::default();
    let deps =
        Deps { db: db.clone(), clock, guard, bus: bus.clone(), audit, masters, accounts: None };
    let service = build(Config::default(), deps).await?;
    Ok(User { service, db, bus, hand })
}

fn event<E: Message + Name>(user: UserId, message: &E) -> Event {
    Event {
        id: EventId::generate(),
        kind: E::full_name(),
        source: "auth".to_owned(),
        aggregate: user.as_uuid(),
        sequence: 1,
        time: NOW,
        data: message.encode_to_vec(),
        trace: None,
    }
}

fn created(user: UserId) -> Event {
    created_in(user, "")
}

fn created_in(user: UserId, tenant: &str) -> Event {
    let tenant = tenant.to_owned();
    event(user, &UserCreated { user_id: user.to_string(), create_time: None, tenant })
}

fn logged_out(user: UserId, seconds: i64) -> Event {
    let logout_time = Some(prost_types::Timestamp { seconds, nanos: 0 });
    let session_id = String::new();
    event(user, &UserLoggedOut { user_id: user.to_string(), session_id, logout_time })
}

impl User {
    async fn number(&self, sql: &str) -> Option<i64> {
        let statement = Statement::from_string(DbBackend::Sqlite, sql);
        self.db.query_one_raw(statement).await.unwrap().unwrap().try_get("", "n").unwrap()
    }

    async fn made(&self) -> (Option<i64>, usize) {
        let filter = Filter {
            kind: Some("countersign.events.v1.ProfileCreated".to_owned()),
            ..Filter::default()
        };
        let events = admin::list(&self.db, &filter).await.unwrap().len();
        (self.number("SELECT count(*) AS n FROM profiles").await, events)
    }

    async fn last_active(&self) -> Option<i64> {
        self.number("SELECT last_active_time / 1000000 AS n FROM profiles").await
    }
}

#[tokio::test]
async fn another_master_key_than_the_first_is_refused_with_both_named() {
    let User { db, .. } = user().await;
    let wrong = MasterKey::generate().unwrap();
    let Err(refused) = start(db, wrong.clone()).await else { unreachable!("it starts") };
    let refused = refused.to_string();
    for part in ["master key does not fit this database", &wrong.id(), "put back"] {
        assert!(refused.contains(part), "{refused}");
    }
}

#[tokio::test]
async fn an_account_gets_one_profile_however_often_its_event_comes() {
    let user = user().await;
    let ada = UserId::generate();
    let event = created(ada);
    for _ in 0..3 {
        user.bus.publish(&event).await.unwrap();
    }
    assert_eq!(user.made().await, (Some(1), 1));
    // Not even a second event makes a second profile.
    user.bus.publish(&created(ada)).await.unwrap();
    assert_eq!(user.made().await, (Some(1), 1));
    assert_eq!(user.service.relay.step().await.unwrap(), 1);
}

#[tokio::test]
async fn logouts_commute() {
    for order in [[10, 20, 30], [30, 20, 10], [20, 30, 10]] {
        let user = user().await;
        let ada = UserId::generate();
        user.bus.publish(&created(ada)).await.unwrap();
        assert_eq!(user.last_active().await, None);
        for seconds in order {
            user.bus.publish(&logged_out(ada, seconds)).await.unwrap();
        }
        assert_eq!(user.last_active().await, Some(30));
    }
}

#[tokio::test]
async fn a_logout_that_overtakes_its_profile_comes_again() {
    let user = user().await;
    let ada = UserId::generate();
    let logout = logged_out(ada, 10);
    assert!(user.bus.publish(&logout).await.is_err(), "there is no profile yet");
    user.bus.publish(&created(ada)).await.unwrap();
    user.bus.publish(&logout).await.unwrap();
    assert_eq!(user.last_active().await, Some(10));
}

#[tokio::test]
async fn a_profile_is_of_the_tenant_of_its_account_also_once_it_is_removed() {
    let user = user().await;
    for (tenant, kept) in [("acme", "acme"), ("", "default")] {
        let ada = UserId::generate();
        user.bus.publish(&created_in(ada, tenant)).await.unwrap();
        let deleted = UserDeleted { user_id: ada.to_string(), delete_time: None };
        user.bus.publish(&event(ada, &deleted)).await.unwrap();
        let sql = format!("SELECT count(*) AS n FROM profiles WHERE tenant = '{kept}'");
        assert_eq!(user.number(&sql).await, Some(1));
    }
}

#[tokio::test]
async fn a_deleted_account_has_no_profile_in_whatever_order_its_events_come() {
    let ada = UserId::generate();
    let deleted = || event(ada, &UserDeleted { user_id: ada.to_string(), delete_time: None });
    let events = [created(ada), deleted(), logged_out(ada, 10)];
    for order in [[0, 1, 2], [1, 0, 2], [0, 2, 1], [1, 2, 0]] {
        let user = user().await;
        for index in order {
            user.bus.publish(&events[index]).await.unwrap();
        }
        // Once more, and by a second event, changes nothing.
        user.bus.publish(&events[1]).await.unwrap();
        user.bus.publish(&deleted()).await.unwrap();
        let left = "SELECT count(*) AS n FROM profiles WHERE status = 'deleted' AND version = 0 \
                    AND display_name = '' AND metadata = '{}' AND last_active_time IS NULL";
        assert_eq!(user.number(left).await, Some(1), "{order:?}");
        assert_eq!(user.made().await.0, Some(1), "{order:?}");
        let entries = "SELECT count(*) AS n FROM audit_log WHERE action = 'user_deleted'";
        assert_eq!(user.number(entries).await, Some(1), "{order:?}");
    }
}

#[tokio::test]
async fn an_event_that_nothing_can_be_done_about_becomes_a_dead_letter() {
    let user = user().await;
    let ada = UserId::generate();
    let user_id = "nobody".to_owned();
    let malformed = event(ada, &UserCreated { user_id, ..UserCreated::default() });
    for event in [malformed, logged_out(ada, 10)] {
        let mut tries = 1;
        while user.bus.publish(&event).await.is_err() {
            user.hand.advance(Duration::from_secs(60));
            tries += 1;
        }
        assert_eq!(tries, Config::default().max_deliveries);
    }
    assert_eq!(admin::dead(&user.db, 0).await.unwrap().len(), 2);
    assert_eq!(user.made().await, (Some(0), 0));
}
