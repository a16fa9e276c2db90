//! Everything that is held about a person, as one JSON text in pieces, with the
//! names of the contracts.

use countersign_contracts::{
    auth::v1::{
        Account, AttributeValue, Session, attribute_value, export_account_response::Record,
    },
    user::v1::{ExportProfileResponse, Profile},
};
use futures::{
    Stream, StreamExt,
    stream::{self, BoxStream},
};
use prost_types::Timestamp;
use serde_json::{Map, Value, json};

use crate::error::Error;

pub type Pieces = BoxStream<'static, Result<ExportProfileResponse, Error>>;

/// The text. `records` begin with the account; the sessions are passed on as they come.
///
/// # Errors
/// [`Error::Accounts`] where they do not.
pub async fn pieces(
    mut records: impl Stream<Item = Result<Record, Error>> + Send + Unpin + 'static,
    profile: &Profile,
) -> Result<Pieces, Error> {
    let Some(Record::Account(first)) = records.next().await.transpose()? else {
        return Err(Error::Accounts);
    };
    let head = format!("{{\"account\":{},\"sessions\":[", account(&first));
    let tail = format!("],\"profile\":{}}}", self::profile(profile));
    let sessions = records.enumerate().map(|(at, record)| match record? {
        Record::Session(each) if at == 0 => Ok(session(&each).to_string()),
        Record::Session(each) => Ok(format!(",{}", session(&each))),
        Record::Account(_) => Err(Error::Accounts),
    });
    let text = stream::iter([Ok(head)]).chain(sessions).chain(stream::iter([Ok(tail)]));
    Ok(text.map(|piece| Ok(ExportProfileResponse { json: piece?.into_bytes() })).boxed())
}

fn account(account: &Account) -> Value {
    let attributes =
        account.attributes.iter().map(|(name, value)| (name.clone(), attribute(value)));
    json!({
        "id": account.id,
        "email": account.email,
        "status": account.status().as_str_name(),
        "roles": account.roles,
        "create_time": time(account.create_time.as_ref()),
        "update_time": time(account.update_time.as_ref()),
        "delete_time": time(account.delete_time.as_ref()),
        "etag": account.etag,
        "tenant": account.tenant,
        "attributes": attributes.collect::<Map<_, _>>(),
    })
}

fn session(session: &Session) -> Value {
    json!({
        "id": session.id,
        "user_id": session.user_id,
        "device_label": session.device_label,
        "address": session.address,
        "network": session.network,
        "create_time": time(session.create_time.as_ref()),
        "last_active_time": time(session.last_active_time.as_ref()),
        "expire_time": time(session.expire_time.as_ref()),
        "current": session.current,
    })
}

fn profile(profile: &Profile) -> Value {
    json!({
        "user_id": profile.user_id,
        "display_name": profile.display_name,
        "given_name": profile.given_name,
        "family_name": profile.family_name,
        "bio": profile.bio,
        "avatar_uri": profile.avatar_uri,
        "locale": profile.locale,
        "time_zone": profile.time_zone,
        "metadata": profile.metadata,
        "etag": profile.etag,
        "status": profile.status().as_str_name(),
        "create_time": time(profile.create_time.as_ref()),
        "update_time": time(profile.update_time.as_ref()),
        "last_active_time": time(profile.last_active_time.as_ref()),
    })
}

/// As the JSON of Protocol Buffers has it (RFC 3339).
fn time(time: Option<&Timestamp>) -> Value {
    time.map_or(Value::Null, |time| Value::String(time.to_string()))
}

/// The value alone: of which type it is, shows.
fn attribute(value: &AttributeValue) -> Value {
    use attribute_value::Kind;
    match &value.kind {
        Some(Kind::StringValue(text)) => json!(text),
        Some(Kind::LongValue(number)) => json!(number),
        Some(Kind::BoolValue(is)) => json!(is),
        Some(Kind::StringSet(set)) => json!(set.values),
        None => Value::Null,
    }
}
