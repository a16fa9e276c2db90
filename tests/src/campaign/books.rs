//! What the databases must agree on once every event has arrived.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use countersign_contracts::events::v1::{
    LoginSucceeded, ProfileCreated, ProfileUpdated, SessionRevoked, UserCreated, UserLoggedOut,
};
use prost::{Message, Name};
use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};
use uuid::Uuid;

use super::{
    Harm,
    caller::LONGEST,
    history::History,
    record::{Record, SessionState},
};
use crate::ledger::{Ledger, ids};

/// Who is behind a finding that concerns everybody.
const BOOKS: &str = "books";

/// Waits until every event has arrived everywhere.
pub(super) async fn settle(ledger: &Ledger, history: &History) {
    let mut deadline = Instant::now() + LONGEST;
    let mut before = Vec::new();
    loop {
        let missing = ledger.on_the_way().await;
        if missing.is_empty() {
            return;
        }
        if missing != before {
            // Many take their time; that none of them arrives is what must not be.
            deadline = Instant::now() + LONGEST;
            before.clone_from(&missing);
        }
        if Instant::now() > deadline {
            history.find(Harm::Lost, BOOKS, format_args!("never arrived: {missing:?}"));
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Holds the tables against each other, and against what was acknowledged.
pub(super) async fn audit(ledger: &Ledger, records: &[Record], history: &History) {
    let Ledger { auth, user, .. } = ledger;
    for letter in ledger.dead_letters().await {
        let what = format!("{} is dead at {}", letter.event.kind, letter.consumer);
        history.find(Harm::Lost, BOOKS, format_args!("{what}: {}", letter.error));
    }
    let accounts = ids(auth, "SELECT id FROM accounts").await;
    let active = ids(auth, "SELECT id FROM accounts WHERE status = 'active'").await;
    let profiles = ids(user, "SELECT user_id AS id FROM profiles").await;
    same(history, "accounts", &accounts, "active accounts", &active);
    same(history, "accounts", &accounts, "profiles", &profiles);
    let emails = "SELECT count(*) - count(DISTINCT email) \
                  + count(email_index) - count(DISTINCT email_index) AS n FROM accounts";
    if Ledger::number(auth, emails).await != 0 {
        history.find(Harm::Doubled, BOOKS, "two accounts have one address");
    }

    for (kind, counted) in [
        (UserCreated::NAME, each(auth, |event: UserCreated| event.user_id).await),
        (ProfileCreated::NAME, each(user, |event: ProfileCreated| event.user_id).await),
    ] {
        once(history, kind, &counted);
        let found: BTreeSet<_> = counted.keys().filter_map(|id| id.parse().ok()).collect();
        same(history, "accounts", &accounts, kind, &found);
    }
    let revoked = each(auth, |event: SessionRevoked| event.session_id).await;
    let left = each(auth, |event: UserLoggedOut| event.session_id).await;
    let started = each(auth, |event: LoginSucceeded| event.session_id).await;
    once(history, SessionRevoked::NAME, &revoked);
    once(history, UserLoggedOut::NAME, &left);
    once(history, LoginSucceeded::NAME, &started);
    let sessions = ids(auth, "SELECT id FROM sessions").await;
    let found: BTreeSet<_> = started.keys().filter_map(|id| id.parse().ok()).collect();
    same(history, "sessions", &sessions, LoginSucceeded::NAME, &found);

    last_seen(ledger, history).await;
    let created = "SELECT count(*) - count(DISTINCT subject) AS n FROM audit_log \
                   WHERE action = 'user_created' AND outcome = 'success'";
    if Ledger::number(auth, created).await != 0 {
        history.find(Harm::Doubled, BOOKS, "an account was made twice");
    }

    let updated = each(user, |event: ProfileUpdated| event.user_id).await;
    let reuse = "SELECT count(*) AS n FROM outbox WHERE kind LIKE '%RefreshReuseDetected'";
    if Ledger::number(auth, reuse).await != 0 {
        history.find(Harm::Wronged, BOOKS, "a refresh was taken for a theft");
    }
    for record in records {
        promised(history, record, &revoked, &left, &updated);
    }
}

/// The last logout of everybody is what their profile tells, no more and no less.
async fn last_seen(Ledger { auth, user, .. }: &Ledger, history: &History) {
    let mut left: BTreeMap<Uuid, i64> = BTreeMap::new();
    for event in events::<UserLoggedOut>(auth).await {
        let time =
            event.logout_time.map(|time| time.seconds * 1_000_000 + i64::from(time.nanos) / 1000);
        let (Ok(id), Some(time)) = (event.user_id.parse(), time) else { continue };
        left.entry(id).and_modify(|last| *last = time.max(*last)).or_insert(time);
    }
    let sql = "SELECT user_id AS id, last_active_time AS time FROM profiles \
               WHERE last_active_time IS NOT NULL";
    let statement = Statement::from_string(user.get_database_backend(), sql);
    let rows = user.query_all_raw(statement).await.expect("the query runs");
    let told = rows.iter().map(|row| {
        let id: Uuid = row.try_get("", "id").expect("a column id");
        (id, row.try_get::<i64>("", "time").expect("a column time"))
    });
    let told: BTreeMap<_, _> = told.collect();
    for id in left.keys().chain(told.keys()) {
        if left.get(id) != told.get(id) {
            let (left, told) = (left.get(id), told.get(id));
            let what = format!("{id} left at {left:?}, and was seen at {told:?}");
            history.find(Harm::Lost, BOOKS, what);
        }
    }
}

fn promised(
    history: &History,
    record: &Record,
    revoked: &BTreeMap<String, usize>,
    left: &BTreeMap<String, usize>,
    updated: &BTreeMap<String, usize>,
) {
    for session in &record.sessions {
        let SessionState::Ended { logout } = session.state else { continue };
        let told = revoked.contains_key(&session.id) && (!logout || left.contains_key(&session.id));
        if !told {
            let what = format!("session {} has ended without an event", session.id);
            history.find(Harm::Lost, &record.name, what);
        }
    }
    let words = record.words.len();
    let acknowledged = record.words.iter().filter(|word| word.acknowledged).count();
    let events = updated.get(&record.user_id).copied().unwrap_or(0);
    if events < acknowledged {
        let what = format!("{acknowledged} updates were acknowledged, {events} have an event");
        history.find(Harm::Lost, &record.name, what);
    }
    if events > words {
        let what = format!("{words} updates were asked for, {events} have an event");
        history.find(Harm::Doubled, &record.name, what);
    }
}

fn once(history: &History, kind: &str, counted: &BTreeMap<String, usize>) {
    for (id, count) in counted.iter().filter(|(_, count)| **count > 1) {
        history.find(Harm::Doubled, BOOKS, format_args!("{count} {kind} of {id}"));
    }
}

fn same(history: &History, left: &str, one: &BTreeSet<Uuid>, right: &str, two: &BTreeSet<Uuid>) {
    for id in one.symmetric_difference(two) {
        let (there, missing) = if one.contains(id) { (left, right) } else { (right, left) };
        history.find(Harm::Lost, BOOKS, format_args!("{id} is in {there}, not in {missing}"));
    }
}

/// How many events of a kind there are of each `id`.
async fn each<E: Message + Name + Default>(
    db: &DatabaseConnection,
    id: impl Fn(E) -> String,
) -> BTreeMap<String, usize> {
    let mut counted = BTreeMap::new();
    for event in events(db).await {
        *counted.entry(id(event)).or_default() += 1;
    }
    counted
}

/// All events of a kind.
async fn events<E: Message + Name + Default>(db: &DatabaseConnection) -> Vec<E> {
    let sql = format!("SELECT data FROM outbox WHERE kind = '{}'", E::full_name());
    let statement = Statement::from_string(db.get_database_backend(), sql);
    let rows = db.query_all_raw(statement).await.expect("the query runs");
    let events = rows.into_iter().map(|row| {
        let data: Vec<u8> = row.try_get("", "data").expect("a column data");
        E::decode(data.as_slice()).expect("an event can be read")
    });
    events.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TestApp;

    /// What the audit finds after somebody has tampered with the tables.
    async fn found_after(tamper: &str, in_auth: bool) -> Vec<Harm> {
        let app = TestApp::start().await.with_dead_letters();
        let ada = app.signed_in("ada").await;
        ada.clients.logout().await.unwrap();
        app.settle().await;
        let (ledger, history) = (app.ledger().await, History::new());
        settle(&ledger, &history).await;
        audit(&ledger, &[], &history).await;
        assert!(history.findings().is_empty(), "{}", history.report());
        let db = if in_auth { &ledger.auth } else { &ledger.user };
        db.execute_unprepared(tamper).await.unwrap();
        audit(&ledger, &[], &history).await;
        history.findings().iter().map(|finding| finding.harm).collect()
    }

    #[tokio::test]
    async fn what_is_gone_is_found() {
        for (tamper, in_auth) in [
            ("DELETE FROM profiles", false),
            ("UPDATE accounts SET status = 'pending'", true),
            ("UPDATE profiles SET last_active_time = NULL", false),
            ("UPDATE profiles SET last_active_time = last_active_time + 1", false),
            ("DELETE FROM outbox WHERE kind LIKE '%ProfileCreated'", false),
            ("DELETE FROM outbox WHERE kind LIKE '%LoginSucceeded'", true),
        ] {
            let found = found_after(tamper, in_auth).await;
            assert!(found.contains(&Harm::Lost), "{tamper}: {found:?}");
        }
    }

    #[tokio::test]
    async fn what_happened_twice_is_found() {
        let columns = "kind, source, aggregate, create_time, data, published_time, \
                       next_attempt_time, attempts";
        let twice = format!(
            "INSERT INTO outbox (id, sequence, {columns}) SELECT zeroblob(16), sequence + 100, \
             {columns} FROM outbox WHERE kind LIKE '%UserLoggedOut'"
        );
        assert_eq!(found_after(&twice, true).await, [Harm::Doubled]);
    }
}
