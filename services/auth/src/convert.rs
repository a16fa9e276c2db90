//! Between rows and messages.

use std::net::IpAddr;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use countersign_contracts::{
    auth::v1::{self as contract, AccountStatus, KeyState, LoginResponse, RefreshResponse},
    events::v1::RevocationReason,
};
use countersign_types::{SessionId, Timestamp, UserId, Violation};
use sea_orm::prelude::Uuid;

use crate::{
    Error, attributes, etag,
    issuer::Tokens,
    keys::{Key, State},
    network::Surroundings,
    store::{
        account::{Account, Status},
        session::{self, Reason},
    },
};

/// An account as its owner and administrators see it.
pub(crate) fn account(account: &Account) -> contract::Account {
    contract::Account {
        id: account.id.to_string(),
        email: account.email.as_ref().map(|email| email.as_str().to_owned()).unwrap_or_default(),
        status: status(account.status).into(),
        roles: account.roles.clone(),
        create_time: Some(time(account.create_time)),
        update_time: Some(time(account.update_time)),
        delete_time: account.delete_time.map(time),
        etag: etag::of(account),
        tenant: account.tenant.to_string(),
        attributes: account
            .attributes
            .iter()
            .map(|(name, value)| (name.to_owned(), attributes::message(value)))
            .collect(),
    }
}

/// A session as its owner sees it, who calls with the session `current`.
pub(crate) fn session(row: &session::Model, current: SessionId) -> contract::Session {
    let at = |micros| Some(time(Timestamp::from_micros(micros)));
    contract::Session {
        id: SessionId::from(row.id).to_string(),
        user_id: UserId::from(row.user_id).to_string(),
        device_label: row.device_label.clone(),
        address: row.address.clone(),
        create_time: at(row.create_time),
        last_active_time: at(row.last_active_time),
        expire_time: at(row.expire_time),
        current: row.id == current.as_uuid(),
        network: row
            .address
            .parse()
            .map(|address: IpAddr| Surroundings::from(address).to_string())
            .unwrap_or_default(),
    }
}

/// The answer to a login, without the device token.
pub(crate) fn login(account: &Account, row: &session::Model, tokens: Tokens) -> LoginResponse {
    LoginResponse {
        access_token: tokens.access_token,
        refresh_token: tokens.refresh_token,
        expire_time: Some(time(tokens.expire_time)),
        refresh_expire_time: Some(time(tokens.refresh_expire_time)),
        account: Some(self::account(account)),
        session: Some(session(row, row.id.into())),
        device_token: String::new(),
    }
}

/// The answer to a refresh.
pub(crate) fn refresh(tokens: Tokens) -> RefreshResponse {
    RefreshResponse {
        access_token: tokens.access_token,
        refresh_token: tokens.refresh_token,
        expire_time: Some(time(tokens.expire_time)),
        refresh_expire_time: Some(time(tokens.refresh_expire_time)),
    }
}

/// A key as verifiers see it; `None` for one that verifies nothing any more.
pub(crate) fn key(key: &Key, now: Timestamp) -> Option<contract::VerificationKey> {
    let (state, expire_time) = match key.life.state(now) {
        State::Announced => (KeyState::Announced, None),
        State::Signing => (KeyState::Signing, None),
        State::Retiring => (KeyState::Retiring, key.life.remove_time),
        State::Removed => return None,
    };
    Some(contract::VerificationKey {
        key_id: key.public.key_id().to_string(),
        paserk: key.public.paserk(),
        state: state.into(),
        sign_time: Some(time(key.life.sign_time)),
        expire_time: expire_time.map(time),
    })
}

/// Why a session was revoked, as events say it.
pub(crate) const fn reason(reason: Reason) -> RevocationReason {
    match reason {
        Reason::Logout => RevocationReason::Logout,
        Reason::Revoked => RevocationReason::Revoked,
        Reason::RefreshReuse => RevocationReason::RefreshReuse,
    }
}

/// A point in time as messages hold it.
pub(crate) fn time(time: Timestamp) -> prost_types::Timestamp {
    let micros = time.as_micros().rem_euclid(1_000_000);
    // Less than a million, times a thousand: fits.
    let nanos = i32::try_from(micros * 1_000).unwrap_or(0);
    prost_types::Timestamp { seconds: time.as_seconds(), nanos }
}

/// The page behind the session `last` in the list of `user`, as an opaque text.
pub(crate) fn page_token(user: UserId, last: SessionId) -> String {
    let bytes = [user.as_uuid().into_bytes(), last.as_uuid().into_bytes()].concat();
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// Reads a page token back; empty means the first page.
///
/// # Errors
/// [`Error::Invalid`] for a text that is no page token of this user's list.
pub(crate) fn read_page_token(user: UserId, text: &str) -> Result<Option<SessionId>, Error> {
    if text.is_empty() {
        return Ok(None);
    }
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).unwrap_or_default();
    match bytes.split_first_chunk::<16>() {
        Some((owner, last)) if *owner == user.as_uuid().into_bytes() => {
            Uuid::from_slice(last).ok().map(SessionId::from)
        }
        _ => None,
    }
    .map(Some)
    .ok_or_else(|| {
        let rule = "must be the next_page_token of the page before";
        Error::Invalid(vec![Violation::new("page_token", "page_token", rule)])
    })
}

const fn status(status: Status) -> AccountStatus {
    match status {
        Status::Pending => AccountStatus::Pending,
        Status::Active => AccountStatus::Active,
        Status::Disabled => AccountStatus::Disabled,
        Status::Deleting => AccountStatus::Deleting,
        Status::Deleted => AccountStatus::Deleted,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_page_token_reads_back_for_its_own_list_only(owner: u128, other: u128, last: u128) {
            let (owner, other) = (Uuid::from_u128(owner).into(), Uuid::from_u128(other).into());
            let last = Uuid::from_u128(last).into();
            let token = page_token(owner, last);
            prop_assert_eq!(read_page_token(owner, &token).unwrap(), Some(last));
            prop_assert_eq!(read_page_token(other, &token).is_ok(), owner == other);
        }

        #[test]
        fn any_other_text_is_no_page_token(text in "\\PC{1,60}") {
            prop_assert!(read_page_token(UserId::generate(), &text).is_err());
        }
    }
}
