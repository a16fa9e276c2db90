//! What is recorded, in the words of the OWASP Logging Vocabulary Cheat Sheet
//! where it has one.

/// What somebody did, or tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// A login.
    LoginSuccess,
    /// A login that failed.
    LoginFail,
    /// A login that had to wait after too many failures.
    LoginFailMax,
    /// The first login with a password that an operator made.
    LoginFirst,
    /// A new password.
    PasswordChange,
    /// A new password that was refused.
    PasswordChangeFail,
    /// A token was made.
    TokenCreated,
    /// A token was revoked.
    TokenRevoked,
    /// A refresh token was presented a second time.
    TokenReuse,
    /// The policies denied a call.
    AuthzFail,
    /// Somebody's roles changed.
    AuthzChange,
    /// An administrator did something to somebody else.
    AuthzAdmin,
    /// A session began.
    SessionCreated,
    /// A session went on.
    SessionRenewed,
    /// A session ended by its time.
    SessionExpired,
    /// A session was ended.
    SessionRevoked,
    /// An account was made.
    UserCreated,
    /// An account became active.
    UserActivated,
    /// An account or a profile was changed.
    UserUpdated,
    /// An account was disabled.
    UserArchived,
    /// An account was deleted.
    UserDeleted,
    /// Everything that is held about somebody was handed out.
    SensitiveRead,
    /// A signing key was made.
    KeyCreated,
    /// A signing key took over or was retired.
    KeyRotated,
}

/// How it came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It was done.
    Success,
    /// It was not done.
    Failure,
}

impl Action {
    /// The word in the trail.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LoginSuccess => "authn_login_success",
            Self::LoginFail => "authn_login_fail",
            Self::LoginFailMax => "authn_login_fail_max",
            Self::LoginFirst => "authn_login_first",
            Self::PasswordChange => "authn_password_change",
            Self::PasswordChangeFail => "authn_password_change_fail",
            Self::TokenCreated => "authn_token_created",
            Self::TokenRevoked => "authn_token_revoked",
            Self::TokenReuse => "authn_token_reuse",
            Self::AuthzFail => "authz_fail",
            Self::AuthzChange => "authz_change",
            Self::AuthzAdmin => "authz_admin",
            Self::SessionCreated => "session_created",
            Self::SessionRenewed => "session_renewed",
            Self::SessionExpired => "session_expired",
            Self::SessionRevoked => "session_revoked",
            Self::UserCreated => "user_created",
            Self::UserActivated => "user_activated",
            Self::UserUpdated => "user_updated",
            Self::UserArchived => "user_archived",
            Self::UserDeleted => "user_deleted",
            Self::SensitiveRead => "sensitive_read",
            Self::KeyCreated => "crypt_key_created",
            Self::KeyRotated => "crypt_key_rotated",
        }
    }
}

impl Outcome {
    /// The word in the trail.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
        }
    }
}
