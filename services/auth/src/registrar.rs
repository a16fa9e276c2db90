//! Makes accounts: for the people who register, and for operators.
//!
//! What an outsider learns by registering a taken address, and why, is decided in
//! `docs/decisions/0009-what-registration-tells-an-outsider.md`. An account that
//! exists is never touched, and a taken address costs the same hash.

use std::{net::IpAddr, sync::Arc};

use countersign_audit::{Action, Entry, Outcome, Value};
use countersign_contracts::events::v1::UserCreated;
use countersign_events::{Outbox, Unit};
use countersign_mesh::database;
use countersign_tokens::AccountAttributes;
use countersign_types::{Email, Tenant, UserId, Violation};

use crate::{
    Error, convert,
    network::Origin,
    password::{HashingPool, Password, Policy},
    people::People,
    roles::{ROLES_MAX, is_role},
    store::account::{self, Account, Status},
};

/// Makes accounts.
#[derive(Clone)]
pub(crate) struct Registrar {
    pub(crate) outbox: Outbox,
    pub(crate) people: People,
    pub(crate) policy: Arc<Policy>,
    pub(crate) hashing: HashingPool,
}

/// An account that somebody asks for.
pub(crate) struct Wish {
    pub(crate) email: String,
    pub(crate) password: Password,
    pub(crate) roles: Vec<String>,
    pub(crate) tenant: Tenant,
    /// From where; `None` for an operator at the machine itself.
    pub(crate) address: Option<IpAddr>,
}

/// What became of a wish.
pub(crate) enum Made {
    /// The account, which is pending.
    New(Account),
    /// There was one already. This is what a new one would have been.
    Taken(Account),
}

impl Registrar {
    /// Makes an account: the hash first, outside of any transaction, then
    /// account, credential, audit and event at once.
    ///
    /// # Errors
    /// [`Error::Invalid`] with all broken rules, [`Error::HashingBusy`],
    /// [`Error::Database`].
    pub(crate) async fn register(&self, wish: Wish) -> Result<Made, Error> {
        let email = self.check(&wish.email, &wish.password, &wish.roles)?;
        let origin = Origin { network: wish.address.into(), known: false };
        let hash = self.hashing.hash(origin, wish.password).await?;
        let now = self.outbox.clock().now();
        let account = Account {
            id: UserId::generate(),
            email: Some(email),
            damage: None,
            status: Status::Pending,
            epoch: 0,
            roles: wish.roles,
            tenant: wish.tenant,
            attributes: AccountAttributes::default(),
            create_time: now,
            update_time: now,
            delete_time: None,
        };
        let address = wish.address;
        let insert = || self.insert(&account, &hash, address);
        let is_new = database::retry(Error::is_conflict, insert).await?;
        Ok(if is_new { Made::New(account) } else { Made::Taken(account) })
    }

    /// One try. False: the address is taken.
    async fn insert(
        &self,
        account: &Account,
        hash: &str,
        address: Option<IpAddr>,
    ) -> Result<bool, Error> {
        let unit = self.outbox.begin().await?;
        let is_new = account::create(&*unit, &self.people, account, hash.to_owned()).await?;
        if is_new {
            let event = UserCreated {
                user_id: account.id.to_string(),
                create_time: Some(convert::time(account.create_time)),
                tenant: account.tenant.to_string(),
            };
            unit.append(account.id.as_uuid(), &event).await?;
        }
        record(&unit, account, is_new, address).await?;
        unit.commit().await?;
        Ok(is_new)
    }

    fn check(&self, email: &str, password: &Password, roles: &[String]) -> Result<Email, Error> {
        let parsed = Email::parse(email);
        let mut violations: Vec<Violation> = Vec::new();
        if let Err(rule) = parsed {
            violations.push(Violation::new("email", "email", rule.to_string()));
        }
        violations.extend(self.policy.check(password, parsed.as_ref().ok()));
        if roles.len() > ROLES_MAX || !roles.iter().all(|role| is_role(role)) {
            let rule = "must be at most 16 names of up to 64 lower-case letters, digits, - and _";
            violations.push(Violation::new("roles", "roles", rule));
        }
        match parsed {
            Ok(email) if violations.is_empty() => Ok(email),
            _ => Err(Error::Invalid(violations)),
        }
    }
}

async fn record(
    unit: &Unit,
    account: &Account,
    is_new: bool,
    address: Option<IpAddr>,
) -> Result<(), Error> {
    let roles = i64::try_from(account.roles.len()).unwrap_or(i64::MAX);
    let entry = if is_new {
        Entry::new(Action::UserCreated, Outcome::Success).subject(account.id).account(account.id)
    } else {
        Entry::new(Action::UserCreated, Outcome::Failure)
    };
    let entry =
        entry.tenant(account.tenant.clone()).address(address).with("roles", Value::Number(roles));
    Ok(countersign_audit::record(unit, &entry).await?)
}
