//! How many statements an operation costs, and what a system asks for that has
//! nothing to do. Printed, not asserted, and only when asked:
//! `cargo test -p countersign-tests --test it -- --ignored --nocapture --test-threads 1 measure`.

use std::{
    collections::BTreeMap,
    io::Write,
    time::{Duration, Instant},
};

use countersign_contracts::user::v1::Profile;
use countersign_tests::{Ledger, Login, TestApp, Topology};
use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};

/// Repetitions: what was called less often belongs to no operation.
const TIMES: i64 = 20;

/// How long an idle system is watched.
const IDLE: Duration = Duration::from_secs(30);

/// Statements by their text, of the database of each service.
type Calls = BTreeMap<(&'static str, String), i64>;

async fn calls_of(db: &DatabaseConnection) -> Vec<(String, i64)> {
    let sql = "SELECT query, sum(calls)::BIGINT AS n FROM pg_stat_statements s \
               JOIN pg_database d ON d.oid = s.dbid \
               WHERE d.datname = current_database() AND query NOT LIKE '%pg_stat_statements%' \
               GROUP BY query";
    let statement = Statement::from_string(db.get_database_backend(), sql);
    let rows = db.query_all_raw(statement).await.unwrap();
    let column = |row: &sea_orm::QueryResult| {
        (row.try_get("", "query").unwrap(), row.try_get("", "n").unwrap())
    };
    rows.iter().map(column).collect()
}

async fn calls(ledger: &Ledger) -> Calls {
    let mut calls = Calls::new();
    for (service, db) in [("auth", &ledger.auth), ("user", &ledger.user)] {
        calls.extend(calls_of(db).await.into_iter().map(|(text, n)| ((service, text), n)));
    }
    calls
}

fn tell(line: &str) {
    // Past the capture of the test harness.
    std::io::stderr().write_all(format!("{line}\n").as_bytes()).unwrap();
}

/// Prints what was called since `before`, for each of `times`.
fn report(operation: &str, before: &Calls, after: &Calls, times: i64) {
    let mut each = Vec::new();
    for (key, n) in after {
        let more = n - before.get(key).copied().unwrap_or(0);
        if more >= times {
            each.push((more as f64 / times as f64, key));
        }
    }
    let of = |service: &str| -> f64 {
        each.iter().filter(|(_, (s, _))| *s == service).map(|(n, _)| n).sum()
    };
    tell(&format!("## {operation}: auth {:.1}, user {:.1}", of("auth"), of("user")));
    for (n, (service, text)) in each {
        let text: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let text: String = text.chars().take(150).collect();
        tell(&format!("{n:6.1}  {service}  {text}"));
    }
}

async fn watch(ledger: &Ledger, operation: &str, app: &TestApp, work: impl AsyncFnOnce()) {
    app.settle().await;
    let before = calls(ledger).await;
    work().await;
    app.settle().await;
    report(operation, &before, &calls(ledger).await, TIMES);
}

#[tokio::test]
#[ignore = "a measurement"]
async fn measure_the_statements_of_each_operation() {
    let app = TestApp::on(Topology::SplitPostgres).await;
    let ledger = app.ledger().await;
    for db in [&ledger.auth, &ledger.user] {
        db.execute_unprepared("CREATE EXTENSION pg_stat_statements").await.unwrap();
    }
    let people: Vec<String> = (0..TIMES).map(|n| format!("p{n}")).collect();
    let clients = app.clients();
    let mut registered = Vec::new();
    watch(&ledger, "register, until active", &app, async || {
        for name in &people {
            registered.push(clients.register(name).await.unwrap());
        }
    })
    .await;
    let mut logins: Vec<Login> = Vec::new();
    watch(&ledger, "login", &app, async || {
        for person in &registered {
            logins.push(clients.login(&person.email).await.unwrap());
        }
    })
    .await;
    watch(&ledger, "failed login", &app, async || {
        for person in &registered {
            let request = countersign_contracts::auth::v1::LoginRequest {
                email: person.email.clone(),
                password: "a password of somebody else".to_owned(),
                ..Default::default()
            };
            clients.auth().login(request).await.unwrap_err();
        }
    })
    .await;
    watch(&ledger, "refresh", &app, async || {
        for login in &mut logins {
            *login = login.refreshed().await.unwrap();
        }
    })
    .await;
    watch(&ledger, "get profile", &app, async || {
        for login in &logins {
            login.clients.profile("me").await.unwrap();
        }
    })
    .await;
    watch(&ledger, "update profile", &app, async || {
        for login in &logins {
            let named = Profile { display_name: "Ada".to_owned(), ..Profile::default() };
            login.clients.update(named, &["display_name"]).await.unwrap();
        }
    })
    .await;
    watch(&ledger, "logout", &app, async || {
        for login in &logins {
            login.clients.logout().await.unwrap();
        }
    })
    .await;
}

#[tokio::test]
#[ignore = "a measurement"]
async fn measure_what_an_idle_system_asks_for() {
    let app = TestApp::on(Topology::SplitPostgres).await;
    app.signed_in("ada").await;
    let ledger = app.ledger().await;
    for db in [&ledger.auth, &ledger.user] {
        db.execute_unprepared("CREATE EXTENSION pg_stat_statements").await.unwrap();
    }
    app.settle().await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let (before, began) = (calls(&ledger).await, Instant::now());
    tokio::time::sleep(IDLE).await;
    let after = calls(&ledger).await;
    let seconds = began.elapsed().as_secs_f64();
    let replicas = Topology::SplitPostgres.replicas() as f64;
    for service in ["auth", "user"] {
        let of = |calls: &Calls| -> i64 {
            calls.iter().filter(|((s, _), _)| *s == service).map(|(_, n)| n).sum()
        };
        let each = (of(&after) - of(&before)) as f64 / seconds / replicas;
        tell(&format!("idle {service}: {each:.2} statements/s for each process"));
    }
    report("in all that time, of all replicas", &before, &after, 1);
}
