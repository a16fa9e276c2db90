//! The step from one refresh token to the next: one compare-and-set on the row
//! of the session, on one connection, without a transaction around it.

use countersign_tokens::{AccountAttributes, AuthMethods, RefreshToken};
use countersign_types::{Tenant, Timestamp, UserId};
use sea_orm::{ConnectionTrait, EntityTrait, QueryResult};

use super::{
    account, session,
    session::{Model, statement},
};
use crate::{Error, people::People};

/// The liveness of session and account is part of the condition: nothing can
/// happen between looking and rotating.
const ROTATE: &str = "UPDATE sessions SET generation = generation + 1, \
     rotate_time = $1, last_active_time = $1, \
     expire_time = CASE WHEN absolute_expire_time < $2 THEN absolute_expire_time ELSE $2 END \
     WHERE id = $3 AND generation = $4 AND revoke_time IS NULL AND expire_time > $1 \
     AND EXISTS (SELECT 1 FROM accounts \
                 WHERE accounts.id = sessions.user_id AND accounts.status = 'active') \
     RETURNING user_id, generation, auth_time, auth_methods, expire_time, \
     (SELECT epoch FROM accounts WHERE accounts.id = sessions.user_id) AS epoch, \
     (SELECT roles FROM accounts WHERE accounts.id = sessions.user_id) AS roles, \
     (SELECT tenant FROM accounts WHERE accounts.id = sessions.user_id) AS tenant, \
     (SELECT attributes FROM accounts WHERE accounts.id = sessions.user_id) AS attributes";

/// What the tokens of a session are made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Grant {
    pub(crate) user: UserId,
    /// The generation of the refresh token that is due now.
    pub(crate) generation: i64,
    pub(crate) auth_time: Timestamp,
    pub(crate) methods: AuthMethods,
    pub(crate) expire_time: Timestamp,
    pub(crate) account_epoch: i64,
    pub(crate) roles: Vec<String>,
    pub(crate) tenant: Tenant,
    pub(crate) attributes: AccountAttributes,
}

/// Rotates the session, where the token is the one that is due and everything
/// lives. `None`: it is not, or not any more; [`find`] tells why.
pub(crate) async fn rotate(
    db: &impl ConnectionTrait,
    token: &RefreshToken,
    now: Timestamp,
    idle_expire: Timestamp,
) -> Result<Option<Grant>, Error> {
    let values = [
        now.as_micros().into(),
        idle_expire.as_micros().into(),
        token.session.as_uuid().into(),
        token.generation.into(),
    ];
    let rotate = statement(db.get_database_backend(), ROTATE, values);
    db.query_one_raw(rotate).await?.map(|row| grant(&row)).transpose()
}

/// The session of a token and its account, for a token that did not rotate.
pub(crate) async fn find(
    db: &impl ConnectionTrait,
    people: &People,
    token: &RefreshToken,
) -> Result<Option<(Model, account::Account)>, Error> {
    let found = session::Entity::find_by_id(token.session.as_uuid()).one(db).await?;
    let Some(session) = found else { return Ok(None) };
    let account = account::find(db, people, session.user_id.into()).await?;
    Ok(account.map(|account| (session, account)))
}

fn grant(row: &QueryResult) -> Result<Grant, Error> {
    let number = |column| row.try_get::<i64>("", column);
    let text = |column| row.try_get::<String>("", column);
    Ok(Grant {
        user: row.try_get::<sea_orm::prelude::Uuid>("", "user_id")?.into(),
        generation: number("generation")?,
        auth_time: Timestamp::from_micros(number("auth_time")?),
        methods: session::read_methods(&text("auth_methods")?)?,
        expire_time: Timestamp::from_micros(number("expire_time")?),
        account_epoch: number("epoch")?,
        roles: account::read_roles(&text("roles")?)?,
        tenant: account::read_tenant(&text("tenant")?)?,
        attributes: account::read_attributes(&text("attributes")?)?,
    })
}
