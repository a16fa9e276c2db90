//! The filter of a list of accounts: the part of AIP-160 that the contract names.

use countersign_contracts::auth::v1::AccountStatus;
use countersign_mesh::database::{Comparison, Since, comparisons};
use countersign_types::{Email, Tenant, Timestamp, Violation};

use crate::{Error, store::account::Status};

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
    comparisons(text)?.iter().map(term).collect()
}

fn term(comparison: &Comparison) -> Result<Term, String> {
    let Comparison { field, operator, value } = comparison;
    match (field.as_str(), operator.as_str()) {
        ("status", "=") => Ok(Term::Status(status(value)?)),
        ("status", "!=") => Ok(Term::NotStatus(status(value)?)),
        ("role", ":") => Ok(Term::Role(value.to_owned())),
        ("tenant", "=") => match value.parse() {
            Ok(tenant) => Ok(Term::Tenant(tenant)),
            Err(_) => Err("names a tenant that can not be one".to_owned()),
        },
        ("create_time", _) => Ok(match comparison.since()? {
            Since::Before(time) => Term::CreatedBefore(time),
            Since::From(time) => Term::CreatedFrom(time),
        }),
        ("email", "=") => match Email::parse(value) {
            Ok(email) => Ok(Term::Email(email)),
            Err(_) => Err("names an address that can not be one".to_owned()),
        },
        ("status" | "role" | "tenant" | "email", _) => Err(comparison.other_operator()),
        _ => Err("must name one of status, role, tenant, email and create_time".to_owned()),
    }
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

#[cfg(test)]
mod tests {
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
}
