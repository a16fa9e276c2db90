//! What those who watch should hear of: a login from where, or with what, the
//! account was not used before, and logins to many accounts from one network.

use countersign_audit::{Action, Entry, Outcome, Value};
use countersign_contracts::events::v1::{
    CredentialStuffingSuspected, NewDeviceUsed, NewNetworkUsed,
};
use countersign_events::Unit;
use countersign_guard::Peer;
use countersign_types::{SessionId, UserId};
use sea_orm::prelude::Uuid;

use super::Auth;
use crate::{Error, convert, meter::Signal, store::network, throttle::Suspicion};

/// What is new about a login. Nothing is, about the first one of an account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct News {
    pub(super) device: bool,
    pub(super) network: bool,
}

impl Auth {
    /// What is new about a login, which is remembered from then on.
    pub(super) async fn news(
        &self,
        unit: &Unit,
        account: UserId,
        known_device: bool,
        peer: &Peer,
    ) -> Result<News, Error> {
        let mark = self.networks.mark(account, peer.address);
        let known = network::used(&**unit, account, mark, self.now()).await?;
        let news = News { device: !known_device, network: !known.network };
        Ok(if known.account { news } else { News::default() })
    }
}

impl News {
    /// What of it is counted.
    pub(super) fn signals(self) -> impl Iterator<Item = Signal> {
        let device = self.device.then_some(Signal::NewDevice);
        device.into_iter().chain(self.network.then_some(Signal::NewNetwork))
    }
}

/// Publishes what is new about a login, with the login.
pub(super) async fn append_news(
    unit: &Unit,
    news: News,
    user: UserId,
    session: SessionId,
) -> Result<(), Error> {
    let (user_id, session_id) = (user.to_string(), session.to_string());
    let use_time = Some(convert::time(unit.now()));
    // Each happens once in a session: there is no order to keep.
    if news.device {
        let (user_id, session_id) = (user_id.clone(), session_id.clone());
        unit.append(Uuid::nil(), &NewDeviceUsed { user_id, session_id, use_time }).await?;
    }
    if news.network {
        unit.append(Uuid::nil(), &NewNetworkUsed { user_id, session_id, use_time }).await?;
    }
    Ok(())
}

/// Puts a suspicion on record, with the failure that made it one, and publishes it.
pub(super) async fn append_suspicion(
    unit: &Unit,
    suspicion: Suspicion,
    peer: &Peer,
) -> Result<(), Error> {
    let entry = Entry::new(Action::ExcessRate, Outcome::Failure)
        .address(peer.address)
        .with("reason", Value::Word("credential_stuffing"))
        .with("accounts", Value::Number(suspicion.accounts.into()));
    countersign_audit::record(unit, &entry).await?;
    let event = CredentialStuffingSuspected {
        accounts: suspicion.accounts,
        start_time: Some(convert::time(suspicion.since)),
        end_time: Some(convert::time(unit.now())),
    };
    unit.append(Uuid::nil(), &event).await?;
    Ok(())
}
