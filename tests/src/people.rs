//! The people of the tests, and what they do first.

use countersign_contracts::{
    auth::v1::{
        LoginRequest, LoginResponse, LogoutRequest, RefreshRequest, RefreshResponse,
        RegisterRequest,
    },
    user::v1::{GetProfileRequest, Profile, UpdateProfileRequest},
};
use prost_types::FieldMask;
use tonic::{Code, Status};

use crate::Clients;

/// The password of everybody: no test is about guessing it.
pub const PASSWORD: &str = "violet tram under nine bridges";

/// Somebody who registered.
#[derive(Clone, Debug)]
pub struct Person {
    /// The address, as given.
    pub email: String,
    /// The id of the account and of the profile.
    pub user_id: String,
}

/// A session, with clients that carry its access token.
#[derive(Clone)]
pub struct Login {
    /// The account.
    pub user_id: String,
    /// The session.
    pub session_id: String,
    /// The access token.
    pub access_token: String,
    /// The refresh token.
    pub refresh_token: String,
    /// Clients with the access token.
    pub clients: Clients,
}

/// The address of somebody of that name.
#[must_use]
pub fn email_of(name: &str) -> String {
    format!("{name}@example.org")
}

impl Clients {
    /// Makes the account of somebody of that name.
    ///
    /// # Errors
    /// The refusal.
    pub async fn register(&self, name: &str) -> Result<Person, Status> {
        let email = email_of(name);
        let request = RegisterRequest { email: email.clone(), password: PASSWORD.to_owned() };
        let response = self.auth().register(request).await?.into_inner();
        let user_id = response.account.map(|account| account.id).unwrap_or_default();
        Ok(Person { email, user_id })
    }

    /// Starts a session with the password of everybody.
    ///
    /// # Errors
    /// The refusal.
    pub async fn login(&self, email: &str) -> Result<Login, Status> {
        let request = LoginRequest {
            email: email.to_owned(),
            password: PASSWORD.to_owned(),
            ..LoginRequest::default()
        };
        Ok(self.signed_in(self.auth().login(request).await?.into_inner()))
    }

    /// The session of an answer to a login.
    #[must_use]
    pub fn signed_in(&self, response: LoginResponse) -> Login {
        let LoginResponse { access_token, refresh_token, account, session, .. } = response;
        Login {
            user_id: account.map(|account| account.id).unwrap_or_default(),
            session_id: session.map(|session| session.id).unwrap_or_default(),
            clients: self.with_token(&access_token),
            access_token,
            refresh_token,
        }
    }

    /// The same as soon as the account is active, which takes the relays of a
    /// running process some milliseconds. A login hashes; that is pause enough.
    ///
    /// # Errors
    /// Any refusal but that the account is not active yet; that one, too, after 500 tries.
    pub async fn login_when_active(&self, email: &str) -> Result<Login, Status> {
        for _ in 1..500 {
            match self.login(email).await {
                Err(status) if status.code() == Code::FailedPrecondition => {}
                done => return done,
            }
        }
        self.login(email).await
    }

    /// Exchanges a refresh token.
    ///
    /// # Errors
    /// The refusal.
    pub async fn refresh(&self, refresh_token: &str) -> Result<RefreshResponse, Status> {
        let request = RefreshRequest { refresh_token: refresh_token.to_owned() };
        Ok(self.auth().refresh(request).await?.into_inner())
    }

    /// Ends the session of the token that these clients carry.
    ///
    /// # Errors
    /// The refusal.
    pub async fn logout(&self) -> Result<(), Status> {
        self.auth().logout(LogoutRequest {}).await.map(|_| ())
    }

    /// The profile of a person; "me" is the caller.
    ///
    /// # Errors
    /// The refusal.
    pub async fn profile(&self, user_id: &str) -> Result<Profile, Status> {
        let request = GetProfileRequest { user_id: user_id.to_owned() };
        let response = self.profiles().get_profile(request).await?;
        Ok(response.into_inner().profile.unwrap_or_default())
    }

    /// Changes the fields of the caller's profile that `mask` names; an empty
    /// mask is an absent one.
    ///
    /// # Errors
    /// The refusal.
    pub async fn update(&self, profile: Profile, mask: &[&str]) -> Result<Profile, Status> {
        let paths: Vec<_> = mask.iter().map(|&path| path.to_owned()).collect();
        let request = UpdateProfileRequest {
            user_id: "me".to_owned(),
            profile: Some(profile),
            update_mask: (!paths.is_empty()).then_some(FieldMask { paths }),
        };
        let response = self.profiles().update_profile(request).await?;
        Ok(response.into_inner().profile.unwrap_or_default())
    }
}

impl Login {
    /// The same session with its next tokens.
    ///
    /// # Errors
    /// The refusal.
    pub async fn refreshed(&self) -> Result<Self, Status> {
        let response = self.clients.refresh(&self.refresh_token).await?;
        Ok(Self {
            clients: self.clients.with_token(&response.access_token),
            access_token: response.access_token,
            refresh_token: response.refresh_token,
            ..self.clone()
        })
    }
}
