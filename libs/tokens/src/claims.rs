//! What an access token says, and how that is written in its payload.
//!
//! The registered names are those of the PASETO specification ("Payload
//! Processing": times as RFC 3339 texts); the others are ours and have three
//! letters like them.

use countersign_types::{SessionId, Timestamp, UserId};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::{AccountAttributes, AuthMethods, Error};

/// What an access token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// Who issued the token (`iss`).
    pub issuer: String,
    /// Whose token it is (`sub`).
    pub subject: UserId,
    /// For whom it was issued (`aud`).
    pub audience: String,
    /// When it was issued (`iat`).
    pub issued_at: Timestamp,
    /// From when on it holds (`nbf`).
    pub not_before: Timestamp,
    /// Until when it holds (`exp`).
    pub expires_at: Timestamp,
    /// Name of this one token (`jti`).
    pub token_id: String,
    /// The session that it belongs to (`sid`).
    pub session: SessionId,
    /// Generation of the session when it was issued (`sep`).
    pub session_epoch: i64,
    /// Epoch of the account when it was issued (`aep`): a higher one revokes it.
    pub account_epoch: i64,
    /// When the person last proved who they are (`ath`).
    pub auth_time: Timestamp,
    /// How they did (`amr`, as in RFC 8176); left out where it was the password
    /// alone, as it was in all tokens from before there was another method.
    pub methods: AuthMethods,
    /// Roles of the account when it was issued (`rol`).
    pub roles: Vec<String>,
    /// Attributes of the account when it was issued (`att`), those that policies
    /// read; left out where there are none.
    pub attributes: AccountAttributes,
    /// What it may be used for (`pur`).
    pub purpose: Purpose,
}

/// What a token may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Calls of RPCs.
    Access,
}

/// The payload, field by field. Names that are not listed are refused: a claim
/// that changes what a guard has to do must not pass a guard that does not know
/// it. Repeated names are refused as well, as the PASETO specification demands.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Payload {
    iss: String,
    sub: UserId,
    aud: String,
    exp: Moment,
    nbf: Moment,
    iat: Moment,
    jti: String,
    sid: SessionId,
    sep: i64,
    aep: i64,
    ath: Moment,
    #[serde(default, skip_serializing_if = "AuthMethods::is_password_alone")]
    amr: AuthMethods,
    rol: Vec<String>,
    #[serde(default, skip_serializing_if = "AccountAttributes::is_empty")]
    att: AccountAttributes,
    pur: String,
}

/// A time in the form of RFC 3339.
struct Moment(Timestamp);

impl Purpose {
    /// The purpose as it is written in tokens.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Access => "access",
        }
    }
}

impl Claims {
    /// The payload of a token.
    pub(crate) fn to_payload(&self) -> Result<Vec<u8>, Error> {
        let claims = self.clone();
        let payload = Payload {
            iss: claims.issuer,
            sub: claims.subject,
            aud: claims.audience,
            exp: Moment(claims.expires_at),
            nbf: Moment(claims.not_before),
            iat: Moment(claims.issued_at),
            jti: claims.token_id,
            sid: claims.session,
            sep: claims.session_epoch,
            aep: claims.account_epoch,
            ath: Moment(claims.auth_time),
            amr: claims.methods,
            rol: claims.roles,
            att: claims.attributes,
            pur: claims.purpose.as_str().to_owned(),
        };
        serde_json::to_vec(&payload).map_err(|_| Error::Claims)
    }

    /// Reads the payload of a token whose signature holds.
    pub(crate) fn from_payload(payload: &[u8]) -> Result<Self, Error> {
        let payload: Payload = serde_json::from_slice(payload).map_err(|_| Error::Claims)?;
        if payload.pur != Purpose::Access.as_str() {
            return Err(Error::WrongPurpose);
        }
        Ok(Self {
            issuer: payload.iss,
            subject: payload.sub,
            audience: payload.aud,
            issued_at: payload.iat.0,
            not_before: payload.nbf.0,
            expires_at: payload.exp.0,
            token_id: payload.jti,
            session: payload.sid,
            session_epoch: payload.sep,
            account_epoch: payload.aep,
            auth_time: payload.ath.0,
            methods: payload.amr,
            roles: payload.rol,
            attributes: payload.att,
            purpose: Purpose::Access,
        })
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let nanos = i128::from(self.0.as_micros()) * 1_000;
        let time = OffsetDateTime::from_unix_timestamp_nanos(nanos).map_err(ser::Error::custom)?;
        serializer.serialize_str(&time.format(&Rfc3339).map_err(ser::Error::custom)?)
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let time = OffsetDateTime::parse(&text, &Rfc3339).map_err(de::Error::custom)?;
        let micros = time.unix_timestamp_nanos().div_euclid(1_000);
        let micros = i64::try_from(micros).map_err(de::Error::custom)?;
        Ok(Self(Timestamp::from_micros(micros)))
    }
}
