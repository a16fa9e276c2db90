//! The filter of a list of accounts: the part of AIP-160 that the contract names.

use countersign_contracts::auth::v1::AccountStatus;
use countersign_types::{Email, Tenant, Timestamp, Violation};

use crate::{Error, store::account::Status};

/// Terms of one filter, as in the contract.
const TERMS_MAX: usize = 8;

/// One thing that is asked of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Term {
    Status(Status),
    NotStatus(Status),
    Role(String),
    Tenant(Tenant),
    Email(Email),
    CreatedBefore(Timestamp),
    /// Not before.
    CreatedFrom(Timestamp),
}

/// All that is asked; nothing of all.
///
/// # Errors
/// [`Error::Invalid`] with the first part that is not understood.
pub(crate) fn parse(text: &str) -> Result<Vec<Term>, Error> {
    terms(text).map_err(|problem| Error::Invalid(vec![Violation::new("filter", "filter", problem)]))
}

fn terms(text: &str) -> Result<Vec<Term>, String> {
    let words = words(text)?;
    if words.is_empty() {
        return Ok(Vec::new());
    }
    let mut terms = Vec::new();
    for part in words.split(|word| word == "AND") {
        let [field, operator, value] = part else {
            return Err(
                "must be terms of the form `field operator value`, joined by AND".to_owned()
            );
        };
        terms.push(term(field, operator, value)?);
    }
    if terms.len() > TERMS_MAX {
        return Err(format!("must have at most {TERMS_MAX} terms"));
    }
    Ok(terms)
}

fn term(field: &str, operator: &str, value: &str) -> Result<Term, String> {
    match (field, operator) {
        ("status", "=") => Ok(Term::Status(status(value)?)),
        ("status", "!=") => Ok(Term::NotStatus(status(value)?)),
        ("role", ":") => Ok(Term::Role(value.to_owned())),
        ("tenant", "=") => match value.parse() {
            Ok(tenant) => Ok(Term::Tenant(tenant)),
            Err(_) => Err("names a tenant that can not be one".to_owned()),
        },
        ("email", "=") => match Email::parse(value) {
            Ok(email) => Ok(Term::Email(email)),
            Err(_) => Err("names an address that can not be one".to_owned()),
        },
        // Times are whole microseconds.
        ("create_time", "<") => Ok(Term::CreatedBefore(time(value)?)),
        ("create_time", "<=") => Ok(Term::CreatedBefore(next(time(value)?))),
        ("create_time", ">") => Ok(Term::CreatedFrom(next(time(value)?))),
        ("create_time", ">=") => Ok(Term::CreatedFrom(time(value)?)),
        ("status" | "role" | "tenant" | "email" | "create_time", _) => {
            Err(format!("must not use that operator on {field}"))
        }
        _ => Err("must name one of status, role, tenant, email and create_time".to_owned()),
    }
}

/// Names, operators and values; a value in quotes without them.
fn words(text: &str) -> Result<Vec<String>, String> {
    let is_operator = |c: char| "=!<>:".contains(c);
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (word, after) = if let Some(quoted) = rest.strip_prefix('"') {
            quoted.split_once('"').ok_or("has a quote that does not end")?
        } else {
            let ends = |c: char| match is_operator(first) {
                true => !is_operator(c),
                false => is_operator(c) || c.is_whitespace() || c == '"',
            };
            rest.split_at(rest.find(ends).unwrap_or(rest.len()))
        };
        words.push(word.to_owned());
        rest = after.trim_start();
    }
    Ok(words)
}

fn status(name: &str) -> Result<Status, String> {
    match AccountStatus::from_str_name(&format!("ACCOUNT_STATUS_{name}")) {
        Some(AccountStatus::Pending) => Ok(Status::Pending),
        Some(AccountStatus::Active) => Ok(Status::Active),
        Some(AccountStatus::Disabled) => Ok(Status::Disabled),
        Some(AccountStatus::Deleting) => Ok(Status::Deleting),
        Some(AccountStatus::Deleted) => Ok(Status::Deleted),
        Some(AccountStatus::Unspecified) | None => {
            Err("must name a status such as ACTIVE".to_owned())
        }
    }
}

fn time(text: &str) -> Result<Timestamp, String> {
    let time = text.parse::<prost_types::Timestamp>().ok();
    let micros = time.and_then(|time| {
        time.seconds.checked_mul(1_000_000)?.checked_add(i64::from(time.nanos) / 1_000)
    });
    let rule = "must give a time such as \"2026-01-01T00:00:00Z\"";
    micros.map(Timestamp::from_micros).ok_or_else(|| rule.to_owned())
}

const fn next(time: Timestamp) -> Timestamp {
    Timestamp::from_micros(time.as_micros().saturating_add(1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_filter_is_terms_joined_by_and() {
        let at = Timestamp::from_seconds;
        for (text, expected) in [
            ("", vec![]),
            ("  ", vec![]),
            ("status=ACTIVE", vec![Term::Status(Status::Active)]),
            ("status != DELETED", vec![Term::NotStatus(Status::Deleted)]),
            (
                "role:admin AND tenant = \"acme\"",
                vec![Term::Role("admin".to_owned()), Term::Tenant("acme".parse().unwrap())],
            ),
            (
                "email = \"Ada@Example.ORG\"",
                vec![Term::Email(Email::parse("Ada@example.org").unwrap())],
            ),
            ("create_time >= \"1970-01-01T00:00:05Z\"", vec![Term::CreatedFrom(at(5))]),
            ("create_time<\"1970-01-01T00:00:05Z\"", vec![Term::CreatedBefore(at(5))]),
            (
                "create_time > \"1970-01-01T00:00:05Z\"",
                vec![Term::CreatedFrom(Timestamp::from_micros(5_000_001))],
            ),
        ] {
            assert_eq!(terms(text), Ok(expected), "{text}");
        }
        for text in [
            "status",
            "status = ",
            "status = OPEN",
            "status > ACTIVE",
            "status = ACTIVE OR role:admin",
            "status = ACTIVE AND",
            "email : \"ada@example.org\"",
            "email = ada",
            "role = admin",
            "tenant = \"No Tenant\"",
            "create_time > yesterday",
            "tenant = \"acme",
        ] {
            assert!(terms(text).is_err(), "{text}");
        }
        assert!(terms(&["role:a"; 9].join(" AND ")).is_err());
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in "\\PC{0,60}|([a-z_]{1,9}|[=!<>:\"]|AND| ){0,20}") {
            let _ = terms(&text);
        }
    }
}
