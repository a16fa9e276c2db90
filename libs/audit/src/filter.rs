//! The filter of a list of entries: the part of AIP-160 that the contract names.

use countersign_mesh::database::{Comparison, Since, comparisons};
use countersign_types::{SessionId, UserId, Violation};

use crate::{Error, Outcome};

/// One thing that is asked of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Term {
    Account(UserId),
    Actor(UserId),
    Session(SessionId),
    Type(String),
    Outcome(Outcome),
    Time(Since),
}

/// All that is asked; nothing of all. `me` is the id of the caller.
///
/// # Errors
/// [`Error::Invalid`] with the first part that is not understood.
pub(crate) fn parse(text: &str, caller: UserId) -> Result<Vec<Term>, Error> {
    let terms = || comparisons(text)?.iter().map(|part| term(part, caller)).collect();
    let terms: Result<_, String> = terms();
    terms.map_err(|problem| Error::Invalid(vec![Violation::new("filter", "filter", problem)]))
}

fn term(comparison: &Comparison, caller: UserId) -> Result<Term, String> {
    let Comparison { field, operator, value } = comparison;
    let user = |value: &str| match value {
        "me" => Ok(caller),
        id => id.parse().map_err(|_| format!("must give an id, or \"me\", for {field}")),
    };
    match (field.as_str(), operator.as_str()) {
        ("account", "=") => Ok(Term::Account(user(value)?)),
        ("actor", "=") => Ok(Term::Actor(user(value)?)),
        ("session", "=") => {
            let id = value.parse().map_err(|_| "must give the id of a session".to_owned());
            Ok(Term::Session(id?))
        }
        ("type", "=") => Ok(Term::Type(value.clone())),
        ("outcome", "=") => match value.as_str() {
            "SUCCESS" => Ok(Term::Outcome(Outcome::Success)),
            "FAILURE" => Ok(Term::Outcome(Outcome::Failure)),
            _ => Err("must name an outcome, SUCCESS or FAILURE".to_owned()),
        },
        ("time", _) => Ok(Term::Time(comparison.since()?)),
        ("account" | "actor" | "session" | "type" | "outcome", _) => {
            Err(comparison.other_operator())
        }
        _ => Err("must name one of account, actor, session, type, outcome and time".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use countersign_types::Timestamp;

    use super::*;

    #[test]
    fn a_filter_names_what_an_entry_has() {
        let caller = UserId::generate();
        let session = SessionId::generate();
        for (text, expected) in [
            (String::new(), vec![]),
            ("account = \"me\"".to_owned(), vec![Term::Account(caller)]),
            (
                format!("session=\"{session}\" AND type = authn_login_fail"),
                vec![Term::Session(session), Term::Type("authn_login_fail".to_owned())],
            ),
            (
                "outcome = FAILURE AND time < \"1970-01-01T00:00:05Z\"".to_owned(),
                vec![
                    Term::Outcome(Outcome::Failure),
                    Term::Time(Since::Before(Timestamp::from_seconds(5))),
                ],
            ),
        ] {
            assert_eq!(parse(&text, caller).unwrap(), expected, "{text}");
        }
        for text in ["account = ada", "account > me", "address = \"::1\"", "outcome = OK", "time"] {
            assert!(matches!(parse(text, caller), Err(Error::Invalid(_))), "{text}");
        }
    }
}
