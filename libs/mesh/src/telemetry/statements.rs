//! What is told of a statement: system, operation and table, as the semantic
//! conventions for databases name them. The library's spans have other names,
//! and the text of the statement, of which nothing else leaves the process.

use opentelemetry::{Key, KeyValue, Value};
use opentelemetry_sdk::trace::SpanData;

/// What the library calls its spans.
pub(super) const STATEMENT: &str = "sea_orm.";

/// Names a span of the library anew; leaves others as they are.
pub(super) fn rename(span: &mut SpanData) {
    let Some(step) = span.name.strip_prefix(STATEMENT) else { return };
    // The library calls what is none of the four usual ones EXECUTE.
    let step = match step {
        "begin" | "commit" | "rollback" => Some(step.to_ascii_uppercase()),
        _ => None,
    };
    let mut operation = step.unwrap_or_default();
    let mut table = None;
    for attribute in &mut span.attributes {
        match attribute.key.as_str() {
            "db.system" => attribute.key = Key::from_static_str("db.system.name"),
            "db.operation" => {
                if operation.is_empty() {
                    attribute.value.as_str().into_owned().clone_into(&mut operation);
                }
                attribute.key = Key::from_static_str("db.operation.name");
                attribute.value = Value::from(operation.clone());
            }
            "db.statement" => table = table_of(&attribute.value.as_str()).map(str::to_owned),
            _ => {}
        }
    }
    span.name = match &table {
        Some(table) => format!("{operation} {table}").into(),
        None => operation.into(),
    };
    span.attributes.extend(table.map(|table| KeyValue::new("db.collection.name", table)));
}

/// The first table that a statement names, where that is a plain name.
fn table_of(statement: &str) -> Option<&str> {
    let mut words = statement.split_ascii_whitespace();
    words.find(|word| ["INTO", "FROM", "UPDATE"].contains(word))?;
    let table = words.next()?.trim_matches('"');
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    (!table.is_empty() && table.len() <= 63 && table.chars().all(is_plain)).then_some(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_a_statement_is_told_and_nothing_that_could_be_a_value() {
        for (statement, table) in [
            (r#"INSERT INTO "profiles" ("user_id") VALUES ($1)"#, Some("profiles")),
            (r#"UPDATE "accounts" SET "status" = $1"#, Some("accounts")),
            (r#"SELECT "id" FROM "sessions" WHERE "id" = $1"#, Some("sessions")),
            ("DELETE FROM inbox WHERE seen_time < 1", Some("inbox")),
            ("BEGIN IMMEDIATE", None),
            ("SELECT 1", None),
            ("SELECT 'x' FROM 'ada@example.org'", None),
            ("SELECT 'FROM ada@example.org'", None),
            ("SELECT * FROM (SELECT 1)", None),
            ("INSERT INTO", None),
        ] {
            assert_eq!(table_of(statement), table, "{statement}");
        }
    }
}
