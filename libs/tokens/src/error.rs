//! Why a token or a key is refused; never with any part of it.

/// Why a token or a key is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Error {
    /// Longer than any token that is issued here.
    #[error("the token is too long")]
    TooLarge,
    /// Another version or purpose of PASETO, or no PASETO at all.
    #[error("not a token of the kind v4.public")]
    Header,
    /// The parts, the encoding or the footer are not as they have to be.
    #[error("the token is malformed")]
    Malformed,
    /// The footer names a key that is not in the ring.
    #[error("the token was signed with an unknown key")]
    UnknownKey,
    /// The signature (or the MAC of a refresh token) does not hold, or the
    /// token was made for another environment.
    #[error("the signature does not hold")]
    BadSignature,
    /// Signed, and yet not the claims of an access token.
    #[error("the claims are not those of an access token")]
    Claims,
    /// Signed for another use than access.
    #[error("the token was issued for another purpose")]
    WrongPurpose,
    /// Issued by somebody else.
    #[error("the token was issued by another issuer")]
    WrongIssuer,
    /// Issued for somebody else.
    #[error("the token was issued for another audience")]
    WrongAudience,
    /// Past its expiry.
    #[error("the token is expired")]
    Expired,
    /// Before the time from which it holds.
    #[error("the token does not hold yet")]
    NotYetValid,
    /// Not a key, or not one for v4.public.
    #[error("not a key of the kind v4.public")]
    Key,
    /// The system gave no random bytes.
    #[error("no random bytes to be had")]
    Random,
}
