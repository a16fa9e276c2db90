//! What may be said of a failed database: which kind of trouble it is, and the
//! engine's code for it. Never the engine's text: it can quote the values of a
//! row, and it ends up in logs.

use sea_orm::{DbErr, RuntimeErr, sqlx};

/// Kind and engine code of an error, such as `execution, code 2067`.
#[must_use]
pub fn reason(error: &DbErr) -> String {
    let kind = kind(error);
    code(error).map_or_else(|| kind.to_owned(), |code| format!("{kind}, code {code}"))
}

/// Whether the engine undid a statement for the sake of another transaction
/// (PostgreSQL: serialization failure, deadlock): doing it again is right.
pub(crate) fn is_conflict(error: &DbErr) -> bool {
    code(error).is_some_and(|code| ["40001", "40P01"].contains(&code.as_str()))
}

fn kind(error: &DbErr) -> &'static str {
    match error {
        DbErr::ConnectionAcquire(_) => "no free connection",
        DbErr::Conn(_) => "connection",
        DbErr::Exec(_) => "execution",
        DbErr::Query(_) => "query",
        DbErr::RecordNotFound(_) | DbErr::RecordNotInserted | DbErr::RecordNotUpdated => "record",
        DbErr::Type(_) | DbErr::TryIntoErr { .. } | DbErr::Json(_) => "type",
        DbErr::Migration(_) => "migration",
        _ => "other",
    }
}

fn code(error: &DbErr) -> Option<String> {
    let (DbErr::Conn(inner) | DbErr::Exec(inner) | DbErr::Query(inner)) = error else {
        return None;
    };
    let RuntimeErr::SqlxError(inner) = inner else { return None };
    match inner.as_ref() {
        sqlx::Error::Database(database) => database.code().map(Into::into),
        // The system's own code, such as 104: connection reset.
        sqlx::Error::Io(error) => error.raw_os_error().map(|code| format!("os {code}")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use sea_orm::{ConnectionTrait, Database};

    use super::*;
    use crate::Error;

    #[tokio::test]
    async fn a_failed_statement_is_told_by_its_code_alone() {
        let db = Database::connect("sqlite::memory:").await.unwrap();
        db.execute_unprepared("CREATE TABLE person (email TEXT UNIQUE CHECK (email <> 'ada'))")
            .await
            .unwrap();
        let failed = db.execute_unprepared("INSERT INTO person VALUES ('ada')").await.unwrap_err();
        assert!(failed.to_string().contains("ada"), "what the engine says quotes the statement");
        assert_eq!(reason(&failed), "execution, code 275");
        let shown = Error::from(failed).to_string();
        assert_eq!(shown, "the event store failed: execution, code 275");
    }

    #[test]
    fn what_has_no_code_is_told_by_its_kind() {
        assert_eq!(reason(&DbErr::Custom("ada@example.org".to_owned())), "other");
        assert_eq!(reason(&DbErr::RecordNotFound("ada@example.org".to_owned())), "record");
    }
}
