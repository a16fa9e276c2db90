//! The calls of `countersign.auth.v1`.
//!
//! What the contract can express is checked, and who may call is decided,
//! before anything here runs. Knows nothing of gRPC. Each flow is a file.

mod accounts;
mod ending;
mod export;
mod login;
mod refresh;
mod sessions;
mod signals;
mod telling;

use std::{mem, ops::Deref, sync::Arc};

use countersign_audit::{Asked, Listed, Trail};
use countersign_contracts::auth::v1::{
    self as contract, AccountService, AuditService, AuthService, DeleteAccountRequest,
    DeleteAccountResponse, DisableAccountRequest, DisableAccountResponse, EnableAccountRequest,
    EnableAccountResponse, ExportAccountRequest, GetAccountRequest, GetAccountResponse,
    GetVerificationKeysRequest, GetVerificationKeysResponse, ListAccountsRequest,
    ListAccountsResponse, ListAuditEventsRequest, ListAuditEventsResponse, ListSessionsRequest,
    ListSessionsResponse, LoginRequest, LoginResponse, LogoutRequest, LogoutResponse,
    RefreshRequest, RefreshResponse, RegisterRequest, RegisterResponse, RevokeAllSessionsRequest,
    RevokeAllSessionsResponse, RevokeSessionRequest, RevokeSessionResponse, SessionService,
    SetAccountAttributesRequest, SetAccountAttributesResponse, UpdateAccountRolesRequest,
    UpdateAccountRolesResponse,
};
use countersign_events::{Bus, Outbox};
use countersign_guard::{AttributeKinds, Call, ListCall, PublicCall, Revocations};
use countersign_mesh::database;
use countersign_types::{Clock, Tenant, Timestamp};
use sea_orm::DatabaseConnection;

use crate::{
    Config, Error, attributes,
    change::Change,
    convert,
    device::DeviceKey,
    familiar::NetworkKey,
    issuer::Issuer,
    keys::KeyStore,
    meter::Meter,
    password::Password,
    people::People,
    registrar::{Made, Registrar, Wish},
    throttle::Throttle,
};

pub(crate) use sessions::{AccountOwner, SessionOwner};

/// Answers the calls; clones answer together.
#[derive(Clone)]
pub(crate) struct Api(Arc<Auth>);

/// What the flows work with.
pub(crate) struct Auth {
    pub(crate) config: Config,
    pub(crate) outbox: Outbox,
    pub(crate) bus: Bus,
    pub(crate) registrar: Registrar,
    pub(crate) people: People,
    pub(crate) throttle: Throttle,
    pub(crate) devices: DeviceKey,
    pub(crate) networks: NetworkKey,
    pub(crate) issuer: Issuer,
    pub(crate) keys: KeyStore,
    pub(crate) revocations: Revocations,
    /// The attributes that accounts can have.
    pub(crate) declared: AttributeKinds,
    pub(crate) trail: Trail,
    pub(crate) meter: Meter,
}

impl Api {
    pub(crate) fn new(auth: Auth) -> Self {
        Self(Arc::new(auth))
    }
}

impl Auth {
    fn db(&self) -> &DatabaseConnection {
        self.outbox.db()
    }

    fn clock(&self) -> &Clock {
        self.outbox.clock()
    }

    fn now(&self) -> Timestamp {
        self.clock().now()
    }
}

impl Deref for Api {
    type Target = Auth;

    fn deref(&self) -> &Auth {
        &self.0
    }
}

impl AuthService for Api {
    type Error = Error;

    async fn register(&self, call: PublicCall<RegisterRequest>) -> Result<RegisterResponse, Error> {
        let RegisterRequest { email, password } = call.message;
        // Wiped from here on, also where it is refused.
        let password = Password::new(password);
        let address = call.peer.address;
        let admitted = self.throttle.admit_registration(address.into());
        admitted.inspect_err(|_| self.note_wait("registration", &call.peer))?;
        let (roles, tenant) = (Vec::new(), Tenant::default());
        let wish = Wish { email, password, roles, tenant, address };
        let account = match (self.registrar.register(wish).await?, self.config.registration.quiet) {
            (Made::New(account), false) => convert::account(&account),
            (Made::Taken(_), false) => return Err(Error::EmailTaken),
            (Made::New(account) | Made::Taken(account), true) => {
                let (id, etag) = (String::new(), String::new());
                contract::Account { id, etag, ..convert::account(&account) }
            }
        };
        Ok(RegisterResponse { account: Some(account) })
    }

    async fn login(&self, call: PublicCall<LoginRequest>) -> Result<LoginResponse, Error> {
        let PublicCall { mut message, peer, .. } = call;
        let password = Password::new(mem::take(&mut message.password));
        let LoginRequest { email, device_label, device_token, .. } = &message;
        let result = self.log_in(email, password, device_label, device_token, &peer).await;
        self.meter.login(&result);
        result
    }

    async fn refresh(&self, call: PublicCall<RefreshRequest>) -> Result<RefreshResponse, Error> {
        let result = self.renew(&call.message.refresh_token, call.peer.address).await;
        self.meter.refresh(&result);
        result.map(convert::refresh)
    }

    async fn logout(&self, call: Call<LogoutRequest>) -> Result<LogoutResponse, Error> {
        database::retry(Error::is_conflict, || self.log_out(&call.caller, &call.peer)).await?;
        Ok(LogoutResponse {})
    }

    async fn get_verification_keys(
        &self,
        _call: PublicCall<GetVerificationKeysRequest>,
    ) -> Result<GetVerificationKeysResponse, Error> {
        let now = self.now();
        let keys = self.keys.published()?;
        Ok(GetVerificationKeysResponse {
            keys: keys.iter().filter_map(|key| convert::key(key, now)).collect(),
            issuer: self.issuer.name().to_owned(),
        })
    }
}

impl SessionService for Api {
    type Error = Error;

    async fn list_sessions(
        &self,
        call: Call<ListSessionsRequest>,
    ) -> Result<ListSessionsResponse, Error> {
        let Call { message, caller, permit, peer, .. } = call;
        self.trail.read(permit.resource_as()?, &permit, &peer).await?;
        self.page_of_sessions(&permit, &caller, message.page_size, &message.page_token).await
    }

    async fn revoke_session(
        &self,
        call: Call<RevokeSessionRequest>,
    ) -> Result<RevokeSessionResponse, Error> {
        let Call { permit, caller, peer, .. } = &call;
        database::retry(Error::is_conflict, || self.end_one(permit, caller, peer)).await?;
        Ok(RevokeSessionResponse {})
    }

    async fn revoke_all_sessions(
        &self,
        call: Call<RevokeAllSessionsRequest>,
    ) -> Result<RevokeAllSessionsResponse, Error> {
        let keep = call.message.keep_current.then(|| call.caller.session_id());
        let count = self.end_all(&call.permit, &call.caller, keep, &call.peer).await?;
        Ok(RevokeAllSessionsResponse { revoked_count: i32::try_from(count).unwrap_or(i32::MAX) })
    }
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

impl AccountService for Api {
    type Error = Error;

    async fn get_account(
        &self,
        call: Call<GetAccountRequest>,
    ) -> Result<GetAccountResponse, Error> {
        let Call { permit, peer, .. } = call;
        self.trail.read(permit.resource_as()?, &permit, &peer).await?;
        Ok(GetAccountResponse { account: Some(self.account(&permit).await?) })
    }

    async fn list_accounts(
        &self,
        call: ListCall<ListAccountsRequest>,
    ) -> Result<ListAccountsResponse, Error> {
        let ListCall { message, visible, caller, peer, .. } = call;
        let page = self.page_of_accounts(&visible, &message).await?;
        let me = caller.user_id().to_string();
        let others = page.accounts.iter().filter(|account| account.id != me).count();
        self.trail.listed(others, &visible, &caller, &peer).await?;
        Ok(page)
    }

    type ExportAccountStream = export::Records;

    async fn export_account(
        &self,
        call: Call<ExportAccountRequest>,
    ) -> Result<Self::ExportAccountStream, Error> {
        self.export(call).await
    }

    async fn update_account_roles(
        &self,
        call: Call<UpdateAccountRolesRequest>,
    ) -> Result<UpdateAccountRolesResponse, Error> {
        let Call { message, permit, peer, .. } = call;
        let change = Change::Roles { add: message.add_roles, remove: message.remove_roles };
        let account = self.change(&permit, &peer, &change, &message.etag).await?;
        Ok(UpdateAccountRolesResponse { account: Some(account) })
    }

    async fn set_account_attributes(
        &self,
        call: Call<SetAccountAttributesRequest>,
    ) -> Result<SetAccountAttributesResponse, Error> {
        let Call { mut message, permit, peer, .. } = call;
        let etag = mem::take(&mut message.etag);
        let change = attributes::change(message, &self.declared)?;
        let account = self.change(&permit, &peer, &change, &etag).await?;
        Ok(SetAccountAttributesResponse { account: Some(account) })
    }

    async fn disable_account(
        &self,
        call: Call<DisableAccountRequest>,
    ) -> Result<DisableAccountResponse, Error> {
        let Call { message, permit, peer, .. } = call;
        let account = self.change(&permit, &peer, &Change::Disable, &message.etag).await?;
        Ok(DisableAccountResponse { account: Some(account) })
    }

    async fn enable_account(
        &self,
        call: Call<EnableAccountRequest>,
    ) -> Result<EnableAccountResponse, Error> {
        let Call { message, permit, peer, .. } = call;
        let account = self.change(&permit, &peer, &Change::Enable, &message.etag).await?;
        Ok(EnableAccountResponse { account: Some(account) })
    }

    async fn delete_account(
        &self,
        call: Call<DeleteAccountRequest>,
    ) -> Result<DeleteAccountResponse, Error> {
        let Call { message, permit, peer, .. } = call;
        let delete = Change::Delete(self.config.deletion.waiting_time);
        let account = self.change(&permit, &peer, &delete, &message.etag).await?;
        Ok(DeleteAccountResponse { account: Some(account) })
    }
}
