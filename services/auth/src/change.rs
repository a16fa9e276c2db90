//! What an administrator can do to an account, and what becomes of it. Knows
//! neither database nor caller.

use std::{collections::BTreeSet, time::Duration};

use countersign_audit::{Action, Entry, Outcome, Value};
use countersign_tokens::AccountAttributes;
use countersign_types::{Timestamp, Violation};

use crate::{
    Error,
    roles::ROLES_MAX,
    store::{
        account::{Account, Status},
        administration::ADMIN,
    },
};

/// Bytes of all attributes of one account, as in the contract: so many fit into
/// a token beside everything else.
const ATTRIBUTES_MAX: usize = 1024;

/// A change of an account.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    /// Gives some roles and takes others away.
    Roles { add: Vec<String>, remove: Vec<String> },
    /// Sets some attributes and removes others.
    Attributes { set: AccountAttributes, remove: Vec<String> },
    /// Lets it log in no more.
    Disable,
    /// Lets it log in again.
    Enable,
    /// Leaves nothing of it but its id, once it has waited for so long.
    Delete(Duration),
}

impl Change {
    /// The account after the change at the time `now`; equal to `before` where
    /// there is nothing to do. The epoch is not touched.
    ///
    /// # Errors
    /// [`Error::AccountDeleted`], [`Error::AccountPending`] where its profile is
    /// still being made, [`Error::Invalid`] for roles that it cannot have.
    pub(crate) fn apply(&self, before: &Account, now: Timestamp) -> Result<Account, Error> {
        let to = |status| Account { status, ..before.clone() };
        match (self, before.status) {
            (Self::Delete(_), Status::Deleted) => Ok(before.clone()),
            (_, Status::Deleted) => Err(Error::AccountDeleted),
            (Self::Roles { add, remove }, _) => {
                Ok(Account { roles: roles(&before.roles, add, remove)?, ..before.clone() })
            }
            (Self::Attributes { set, remove }, _) => {
                let attributes = attributes(&before.attributes, set, remove)?;
                Ok(Account { attributes, ..before.clone() })
            }
            (Self::Disable | Self::Enable, Status::Pending) => Err(Error::AccountPending),
            // Whoever is to go is out already.
            (Self::Disable, Status::Deleting) => Ok(before.clone()),
            (Self::Disable, _) => Ok(to(Status::Disabled)),
            (Self::Enable, _) => Ok(Account { delete_time: None, ..to(Status::Active) }),
            (Self::Delete(wait), Status::Deleting) if !wait.is_zero() => Ok(before.clone()),
            (Self::Delete(wait), _) if !wait.is_zero() => {
                Ok(Account { delete_time: Some(now.plus(*wait)), ..to(Status::Deleting) })
            }
            (Self::Delete(_), _) => Ok(Account {
                email: None,
                damage: None,
                roles: Vec::new(),
                attributes: AccountAttributes::default(),
                delete_time: Some(now),
                ..to(Status::Deleted)
            }),
        }
    }

    /// The entry of the audit trail, without who and where from.
    pub(crate) fn entry(&self, before: &Account, after: &Account) -> Entry {
        let entry = match self {
            Self::Roles { .. } => Entry::new(Action::AuthzChange, Outcome::Success)
                .with("from", Value::Names(before.roles.clone()))
                .with("to", Value::Names(after.roles.clone())),
            Self::Attributes { .. } => Entry::new(Action::UserUpdated, Outcome::Success)
                .with("attributes", Value::Names(changed(before, after))),
            Self::Disable => Entry::new(Action::UserArchived, Outcome::Success),
            Self::Enable => Entry::new(Action::UserActivated, Outcome::Success),
            Self::Delete(_) if after.status == Status::Deleting => {
                Entry::new(Action::UserArchived, Outcome::Success)
            }
            Self::Delete(_) => Entry::new(Action::UserDeleted, Outcome::Success),
        };
        entry.with("epoch", Value::Number(after.epoch))
    }
}

/// Whether the account can change the roles and states of others.
pub(crate) fn is_administrator(account: &Account) -> bool {
    account.status == Status::Active && account.roles.iter().any(|role| role == ADMIN)
}

/// The names of the attributes that differ.
pub(crate) fn changed(before: &Account, after: &Account) -> Vec<String> {
    let (before, after) = (&before.attributes, &after.attributes);
    let names: BTreeSet<&str> = before.iter().chain(after.iter()).map(|(name, _)| name).collect();
    let differs = |name: &&str| before.get(name) != after.get(name);
    names.into_iter().filter(differs).map(str::to_owned).collect()
}

fn attributes(
    before: &AccountAttributes,
    set: &AccountAttributes,
    remove: &[String],
) -> Result<AccountAttributes, Error> {
    let mut after = before.filtered(|name| !remove.iter().any(|removed| removed == name));
    for (name, value) in set.iter() {
        after.set(name, value.clone());
    }
    let bytes = serde_json::to_vec(&after).map_or(usize::MAX, |json| json.len());
    if bytes > ATTRIBUTES_MAX && after != *before {
        let rule = "must leave the account with at most 1,024 bytes of attributes, as JSON";
        return Err(Error::Invalid(vec![Violation::new("attributes", "attributes", rule)]));
    }
    Ok(after)
}

/// In the order of the alphabet. Where nothing is to be done, as they were.
fn roles(before: &[String], add: &[String], remove: &[String]) -> Result<Vec<String>, Error> {
    let refuse = |rule: &'static str| {
        Err(Error::Invalid(vec![Violation::new("add_roles", "add_roles", rule)]))
    };
    if add.iter().any(|role| remove.contains(role)) {
        return refuse("must not name a role that is to be removed");
    }
    let held: BTreeSet<&String> = before.iter().collect();
    let after: BTreeSet<&String> =
        held.iter().copied().chain(add).filter(|role| !remove.contains(role)).collect();
    if after == held {
        return Ok(before.to_vec());
    }
    if after.len() > ROLES_MAX.max(held.len()) {
        return refuse("must leave the account with at most 16 roles");
    }
    Ok(after.into_iter().cloned().collect())
}

#[cfg(test)]
mod tests {
    use countersign_tokens::AttributeValue;
    use countersign_types::{Email, Tenant, UserId};
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

    fn account(status: Status, roles: &[&str]) -> Account {
        Account {
            id: UserId::generate(),
            email: Email::parse("ada@example.org").ok(),
            damage: None,
            status,
            epoch: 3,
            roles: roles.iter().map(|&role| role.to_owned()).collect(),
            tenant: Tenant::default(),
            attributes: AccountAttributes::default(),
            create_time: NOW,
            update_time: NOW,
            delete_time: None,
        }
    }

    fn owned(roles: &[&str]) -> Vec<String> {
        roles.iter().map(|&role| role.to_owned()).collect()
    }

    #[test]
    fn an_account_goes_from_state_to_state_or_is_told_why_not() {
        use Status::{Active, Deleted, Deleting, Disabled, Pending};
        let (pending, deleted, wait) = (Err("pending"), Err("deleted"), Duration::from_secs(9));
        let outcomes = [
            (Change::Disable, [pending, Ok(Disabled), Ok(Disabled), Ok(Deleting), deleted]),
            (Change::Enable, [pending, Ok(Active), Ok(Active), Ok(Active), deleted]),
            (Change::Delete(Duration::ZERO), [Ok(Deleted); 5]),
            (
                Change::Delete(wait),
                [Ok(Deleting), Ok(Deleting), Ok(Deleting), Ok(Deleting), Ok(Deleted)],
            ),
        ];
        for (change, outcomes) in outcomes {
            let states = [Pending, Active, Disabled, Deleting, Deleted];
            for (status, outcome) in states.into_iter().zip(outcomes) {
                let found = match change.apply(&account(status, &[]), NOW) {
                    Ok(after) => Ok(after.status),
                    Err(Error::AccountPending) => Err("pending"),
                    Err(Error::AccountDeleted) => Err("deleted"),
                    Err(other) => unreachable!("{other}"),
                };
                assert_eq!(found, outcome, "{change:?} {status:?}");
            }
        }
    }

    #[test]
    fn what_is_deleted_holds_nothing_personal() {
        let before = account(Status::Active, &["support"]);
        let after = Change::Delete(Duration::ZERO).apply(&before, NOW).unwrap();
        assert_eq!((after.email, after.roles, after.delete_time), (None, Vec::new(), Some(NOW)));
        assert_eq!((after.id, after.create_time), (before.id, before.create_time));
    }

    #[test]
    fn roles_that_no_account_can_have_are_refused() {
        let many: Vec<_> = (0..17).map(|n| format!("r{n}")).collect();
        for (add, remove) in [(owned(&["a"]), owned(&["a"])), (many, Vec::new())] {
            let refused = Change::Roles { add, remove }.apply(&account(Status::Active, &[]), NOW);
            assert!(matches!(refused, Err(Error::Invalid(_))));
        }
        // An operator may have made it so; taking away is always possible.
        let many: Vec<_> = (0..18).map(|n| format!("r{n}")).collect();
        let held = Account { roles: many, ..account(Status::Active, &[]) };
        let less = Change::Roles { add: Vec::new(), remove: owned(&["r3"]) };
        assert_eq!(less.apply(&held, NOW).unwrap().roles.len(), 17);
    }

    #[test]
    fn attributes_are_set_and_removed_by_name_up_to_a_size() {
        let text = |length: usize| AttributeValue::String("x".repeat(length));
        let set = |name: &str, length| {
            let mut set = AccountAttributes::default();
            set.set(name, text(length));
            Change::Attributes { set, remove: Vec::new() }
        };
        let before = account(Status::Active, &[]);
        let one = set("one", 500).apply(&before, NOW).unwrap();
        let two = set("two", 500).apply(&one, NOW).unwrap();
        assert_eq!(
            (changed(&before, &two), changed(&one, &two)),
            (owned(&["one", "two"]), owned(&["two"]))
        );
        assert!(matches!(set("three", 10).apply(&two, NOW), Err(Error::Invalid(_))));
        let remove =
            Change::Attributes { set: AccountAttributes::default(), remove: owned(&["one"]) };
        let less = remove.apply(&two, NOW).unwrap();
        assert_eq!(less.attributes.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["two"]);
    }

    proptest! {
        /// Changes of different roles may come in any order.
        #[test]
        fn changes_of_different_roles_commute(held in "[a-f]{0,6}", one in "[a-c]{0,3}", two in "[d-f]{0,3}", takes: [bool; 2]) {
            let list = |text: &str| -> Vec<String> {
                text.chars().map(String::from).collect::<BTreeSet<_>>().into_iter().collect()
            };
            let change = |roles: &str, takes: bool| match takes {
                true => Change::Roles { add: Vec::new(), remove: list(roles) },
                false => Change::Roles { add: list(roles), remove: Vec::new() },
            };
            let (one, two) = (change(&one, takes[0]), change(&two, takes[1]));
            let before = Account { roles: list(&held), ..account(Status::Active, &[]) };
            let apply = |account: &Account, change: &Change| change.apply(account, NOW).unwrap();
            let (there, back) = (apply(&apply(&before, &one), &two), apply(&apply(&before, &two), &one));
            prop_assert_eq!(there.roles, back.roles);
        }
    }
}
