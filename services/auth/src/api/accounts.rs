//! Looking after accounts. Every change is one transaction {account, sessions,
//! audit, events}, makes a new epoch of the account, and is known to every
//! guard at once (`docs/decisions/0021-a-change-of-an-account-is-an-epoch.md`).

use countersign_audit::{Action, Entry, Outcome, Value};
use countersign_contracts::{
    auth::v1::{self as contract, ListAccountsRequest, ListAccountsResponse},
    events::v1::{
        AccountAttributesChanged, AccountDisabled, AccountEnabled, AccountRolesChanged,
        TokensOutdated, UserDeleted,
    },
};
use countersign_events::Unit;
use countersign_guard::{Peer, Permit, Visible};
use countersign_mesh::database::{self, List};
use countersign_types::UserId;
use sea_orm::prelude::Uuid;

use super::{Auth, telling::Outdated};
use crate::{
    Error,
    change::{Change, changed, is_administrator},
    convert, etag, filter,
    store::{
        account::{Account, Status},
        administration,
        session::Reason,
    },
};

impl Auth {
    pub(crate) async fn account(&self, permit: &Permit) -> Result<contract::Account, Error> {
        let found = administration::find(self.db(), &self.people, permit).await?;
        match found.ok_or(Error::AccountNotFound)? {
            Account { damage: Some(damage), .. } => Err(damage.into()),
            account => Ok(convert::account(&account)),
        }
    }

    pub(crate) async fn page_of_accounts(
        &self,
        visible: &Visible,
        request: &ListAccountsRequest,
    ) -> Result<ListAccountsResponse, Error> {
        let filter = filter::parse(&request.filter)?;
        let (rpc, caller) = (visible.rpc(), visible.user_id().as_uuid());
        let list = List { rpc, caller, filter: &request.filter };
        let page = list.page(request.page_size, &request.page_token);
        let page = page.map_err(|rule| Error::Invalid(vec![rule]))?;
        let mut rows =
            administration::list(self.db(), &self.people, visible, &filter, page).await?;
        let next_page_token = list.cut(page, &mut rows, |account| account.id.as_uuid());
        let accounts = rows.iter().map(convert::account).collect();
        Ok(ListAccountsResponse { accounts, next_page_token })
    }

    /// The account after the change. Where it is that way already nothing
    /// happens, and the etag is not looked at.
    ///
    /// # Errors
    /// Those of [`Change::apply`], [`Error::AccountNotFound`],
    /// [`Error::EtagMismatch`], [`Error::LastAdministrator`].
    pub(crate) async fn change(
        &self,
        permit: &Permit,
        peer: &Peer,
        change: &Change,
        etag: &str,
    ) -> Result<contract::Account, Error> {
        let try_once = || self.try_change(permit, peer, change, etag);
        let changed = database::retry(Error::is_conflict, try_once).await;
        if matches!(changed, Err(Error::LastAdministrator)) {
            let record = || self.record_last_administrator(permit, peer);
            database::retry(Error::is_conflict, record).await?;
        }
        Ok(convert::account(&changed?))
    }

    async fn try_change(
        &self,
        permit: &Permit,
        peer: &Peer,
        change: &Change,
        etag: &str,
    ) -> Result<Account, Error> {
        let unit = self.outbox.begin().await?;
        let before = administration::lock(&*unit, &self.people, permit).await?;
        let before = before.ok_or(Error::AccountNotFound)?;
        let after = change.apply(&before, unit.now())?;
        if after == before {
            unit.rollback().await?;
            return Ok(before);
        }
        if !etag.is_empty() && etag != etag::of(&before) {
            return Err(Error::EtagMismatch);
        }
        let resigns = is_administrator(&before) && !is_administrator(&after);
        if resigns && !administration::has_other_administrator(&*unit, &before).await? {
            return Err(Error::LastAdministrator);
        }
        let update_time = unit.now().max(before.update_time);
        let after = Account { epoch: before.epoch + 1, update_time, ..after };
        administration::save(&*unit, permit, &before, &after).await?;
        let entry = change.entry(&before, &after);
        let entry = entry.permitted(permit, peer).subject(after.id).account(after.id);
        countersign_audit::record(&unit, &entry).await?;
        append(&unit, change, &before, &after).await?;
        self.conclude(unit, permit, peer, &after).await?;
        Ok(after)
    }

    /// Ends what the account may no longer have, and tells every guard.
    async fn conclude(
        &self,
        unit: Unit,
        permit: &Permit,
        peer: &Peer,
        after: &Account,
    ) -> Result<(), Error> {
        let mut ended = Vec::new();
        if after.status != Status::Active {
            ended = self.end_with(&unit, permit, peer).await?;
            self.append_ends(&unit, &ended, Reason::Revoked).await?;
        }
        let outdated = Outdated { user: after.id, epoch: after.epoch };
        let event = TokensOutdated { user_id: after.id.to_string(), account_epoch: after.epoch };
        // An epoch says all: nothing waits in line before it.
        unit.append(Uuid::nil(), &event).await?;
        self.commit(unit, &ended, Some(outdated)).await
    }

    async fn record_last_administrator(&self, permit: &Permit, peer: &Peer) -> Result<(), Error> {
        let unit = self.outbox.begin().await?;
        let user: UserId = permit.resource_as()?;
        let entry = Entry::new(Action::AuthzAdmin, Outcome::Failure)
            .permitted(permit, peer)
            .subject(user)
            .account(user)
            .with("reason", Value::Word("last_administrator"));
        countersign_audit::record(&unit, &entry).await?;
        Ok(unit.commit().await?)
    }
}

/// Appends the event that tells of the change.
async fn append(
    unit: &Unit,
    change: &Change,
    before: &Account,
    after: &Account,
) -> Result<(), Error> {
    let (aggregate, user_id) = (after.id.as_uuid(), after.id.to_string());
    let time = Some(convert::time(after.update_time));
    match change {
        Change::Roles { .. } => {
            let roles = after.roles.clone();
            let event = AccountRolesChanged { user_id, roles, change_time: time };
            unit.append(aggregate, &event).await
        }
        Change::Attributes { .. } => {
            let names = changed(before, after);
            let event = AccountAttributesChanged { user_id, names, change_time: time };
            unit.append(aggregate, &event).await
        }
        Change::Delete(_) if after.status == Status::Deleting => {
            unit.append(aggregate, &AccountDisabled { user_id, disable_time: time }).await
        }
        Change::Disable => {
            unit.append(aggregate, &AccountDisabled { user_id, disable_time: time }).await
        }
        Change::Enable => {
            unit.append(aggregate, &AccountEnabled { user_id, enable_time: time }).await
        }
        Change::Delete(_) => {
            unit.append(aggregate, &UserDeleted { user_id, delete_time: time }).await
        }
    }?;
    Ok(())
}
