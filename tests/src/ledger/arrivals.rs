//! Which events have not arrived yet everywhere.

use std::collections::BTreeSet;

use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};
use uuid::Uuid;

use super::Ledger;

/// Consumers with an inbox, and what they take. Both are named by the services,
/// and never change.
const CONSUMERS: [(&str, &str); 4] = [
    ("user.profile_creation", "UserCreated"),
    ("user.activity", "UserLoggedOut"),
    ("user.erasure", "UserDeleted"),
    ("auth.activation", "ProfileCreated"),
];

impl Ledger {
    /// What is on its way, in words; empty when all has arrived or is a dead letter.
    ///
    /// # Panics
    /// The tables cannot be read.
    pub async fn on_the_way(&self) -> Vec<String> {
        let mut missing = Vec::new();
        for (name, db) in [("auth", &self.auth), ("user", &self.user)] {
            let unpublished = "SELECT count(*) AS n FROM outbox WHERE published_time IS NULL";
            let unpublished = Self::number(db, unpublished).await;
            if unpublished > 0 {
                missing.push(format!("{unpublished} events of {name} are not published"));
            }
        }
        for (consumer, kind) in CONSUMERS {
            let (from, to) = if consumer.starts_with("user") {
                (&self.auth, &self.user)
            } else {
                (&self.user, &self.auth)
            };
            let kind = format!("countersign.events.v1.{kind}");
            let sent = ids(from, &format!("SELECT id FROM outbox WHERE kind = '{kind}'")).await;
            let at =
                |table| format!("SELECT event_id AS id FROM {table} WHERE consumer = '{consumer}'");
            let (seen, dead) = (ids(to, &at("inbox")).await, ids(to, &at("dead_letters")).await);
            let lost = sent.iter().filter(|id| !seen.contains(id) && !dead.contains(id)).count();
            if lost > 0 {
                missing.push(format!("{lost} {kind} have not reached {consumer}"));
            }
        }
        missing
    }
}

/// The ids that a query gives in a column `id`.
///
/// # Panics
/// It gives none such.
pub(crate) async fn ids(db: &DatabaseConnection, sql: &str) -> BTreeSet<Uuid> {
    let statement = Statement::from_string(db.get_database_backend(), sql);
    let rows = db.query_all_raw(statement).await.expect("the query runs");
    rows.iter().map(|row| row.try_get("", "id").expect("a column id")).collect()
}
