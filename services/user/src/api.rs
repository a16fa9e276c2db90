//! The calls of `countersign.user.v1.ProfileService`.
//!
//! What the contract can express is checked, and who may call is decided,
//! before anything here runs. Knows nothing of gRPC.

use countersign_audit::{Action, Asked, Entry, Listed, Outcome, Trail, Value};
use countersign_contracts::{
    events::v1::ProfileUpdated,
    user::v1::{
        AuditService, ExportProfileRequest, GetProfileRequest, GetProfileResponse,
        ListAuditEventsRequest, ListAuditEventsResponse, ListProfilesRequest, ListProfilesResponse,
        ProfileService, UpdateProfileRequest, UpdateProfileResponse,
    },
};
use countersign_events::{Outbox, Unit};
use countersign_guard::{Call, ListCall};
use countersign_mesh::database::{self, List};
use countersign_vault::Vault;

use crate::{
    accounts::Accounts,
    convert,
    error::Error,
    etag, export,
    patch::Patch,
    store::{Profile, profiles},
};

/// Answers the calls; clones answer together.
#[derive(Clone)]
pub struct Api {
    pub outbox: Outbox,
    pub vault: Vault,
    pub accounts: Accounts,
    pub trail: Trail,
}

impl AuditService for Api {
    type Error = Error;

    async fn list_audit_events(
        &self,
        call: ListCall<ListAuditEventsRequest>,
    ) -> Result<ListAuditEventsResponse, Error> {
        let ListAuditEventsRequest { filter, page_size, page_token } = &call.message;
        let asked = Asked { filter, page_size: *page_size, page_token };
        let Listed { events, next_page_token } = self.trail.page(&call, asked).await?;
        Ok(ListAuditEventsResponse { audit_events: events, next_page_token })
    }
}

impl ProfileService for Api {
    type Error = Error;

    async fn get_profile(
        &self,
        call: Call<GetProfileRequest>,
    ) -> Result<GetProfileResponse, Error> {
        let Call { permit, peer, .. } = call;
        let profile = profiles::find(self.outbox.db(), &self.vault, &permit).await?;
        self.trail.read(permit.resource_as()?, &permit, &peer).await?;
        let profile = profile.ok_or(Error::ProfileNotFound)?;
        Ok(GetProfileResponse { profile: Some(convert::message(&profile)) })
    }

    async fn list_profiles(
        &self,
        call: ListCall<ListProfilesRequest>,
    ) -> Result<ListProfilesResponse, Error> {
        let ListCall { visible, message, caller, peer, .. } = call;
        let me = caller.user_id();
        let list = List { rpc: visible.rpc(), caller: me.as_uuid(), filter: "" };
        let page = list.page(message.page_size, &message.page_token);
        let page = page.map_err(|rule| Error::Invalid(vec![rule]))?;
        let mut rows = profiles::list(self.outbox.db(), &self.vault, &visible, page).await?;
        let next_page_token = list.cut(page, &mut rows, |profile| profile.user.as_uuid());
        let others = rows.iter().filter(|profile| profile.user != me).count();
        self.trail.listed(others, &visible, &caller, &peer).await?;
        let profiles = rows.iter().map(convert::message).collect();
        Ok(ListProfilesResponse { profiles, next_page_token })
    }

    type ExportProfileStream = export::Pieces;

    async fn export_profile(
        &self,
        call: Call<ExportProfileRequest>,
    ) -> Result<Self::ExportProfileStream, Error> {
        let profile = profiles::find(self.outbox.db(), &self.vault, &call.permit).await?;
        let profile = profile.ok_or(Error::ProfileNotFound)?;
        let records = self.accounts.export(profile.user).await?;
        let pieces = export::pieces(records, &convert::message(&profile)).await?;
        // Before the first piece leaves.
        let record = || self.record_export(&call, &profile);
        database::retry(Error::is_conflict, record).await?;
        Ok(pieces)
    }

    async fn update_profile(
        &self,
        call: Call<UpdateProfileRequest>,
    ) -> Result<UpdateProfileResponse, Error> {
        let wanted = call.message.profile.as_ref().cloned().unwrap_or_default();
        let patch = Patch::read(call.message.update_mask.as_ref(), &wanted);
        let patch = patch.map_err(Error::Invalid)?;
        database::retry(Error::is_conflict, || self.update(&call, &patch, &wanted.etag)).await
    }
}

impl Api {
    /// Notes that everything about a person was handed out, and to whom.
    async fn record_export<M>(&self, call: &Call<M>, profile: &Profile) -> Result<(), Error> {
        let unit = self.outbox.begin().await?;
        let entry = Entry::new(Action::SensitiveRead, Outcome::Success)
            .actor(call.caller.user_id())
            .subject(profile.user)
            .address(call.peer.address)
            .with("rpc", Value::Word(call.permit.rpc()));
        countersign_audit::record(&unit, &entry).await?;
        Ok(unit.commit().await?)
    }

    /// One try: read, patch, save, in one transaction.
    async fn update(
        &self,
        call: &Call<UpdateProfileRequest>,
        patch: &Patch,
        etag: &str,
    ) -> Result<UpdateProfileResponse, Error> {
        let unit = self.outbox.begin().await?;
        let before = profiles::lock(&*unit, &self.vault, &call.permit).await?;
        let before = before.ok_or(Error::ProfileNotFound)?;
        if !etag.is_empty() && etag != etag::of(before.user, before.version) {
            return Err(Error::EtagMismatch);
        }
        let fields = patch.apply(&before.fields).map_err(|rule| Error::Invalid(vec![rule]))?;
        let changed = fields.changed_since(&before.fields);
        if changed.is_empty() {
            return Ok(UpdateProfileResponse { profile: Some(convert::message(&before)) });
        }
        let after = Profile {
            fields,
            version: before.version + 1,
            update_time: unit.now().max(before.update_time),
            ..before
        };
        profiles::save(&unit, &self.vault, &call.permit, &after).await?;
        record(&unit, call, &after, &changed).await?;
        unit.commit().await?;
        Ok(UpdateProfileResponse { profile: Some(convert::message(&after)) })
    }
}

/// Writes the audit entry and the event of a change: names of fields, never values.
async fn record<M>(
    unit: &Unit,
    call: &Call<M>,
    profile: &Profile,
    changed: &[&'static str],
) -> Result<(), Error> {
    let entry = Entry::new(Action::UserUpdated, Outcome::Success)
        .permitted(&call.permit, &call.peer)
        .subject(profile.user)
        .account(profile.user)
        .with("fields", Value::Words(changed.to_vec()));
    countersign_audit::record(unit, &entry).await?;
    let event = ProfileUpdated {
        user_id: profile.user.to_string(),
        fields: changed.iter().map(|&name| name.to_owned()).collect(),
        update_time: Some(convert::time(profile.update_time)),
    };
    unit.append(profile.user.as_uuid(), &event).await?;
    Ok(())
}
