//! The generated clients over a real socket.

use std::net::SocketAddr;

use countersign_contracts::{
    auth::v1::{
        account_service_client::AccountServiceClient,
        audit_service_client::AuditServiceClient as AuthAuditClient,
        auth_service_client::AuthServiceClient, session_service_client::SessionServiceClient,
    },
    user::v1::{
        audit_service_client::AuditServiceClient as UserAuditClient,
        profile_service_client::ProfileServiceClient,
    },
};
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Channel, Endpoint},
};

/// Adds an access token to every call, as it is: a test may send what is none.
#[derive(Clone)]
pub struct Bearer(Option<MetadataValue<Ascii>>);

/// A channel whose calls carry a token.
pub type Authenticated = InterceptedService<Channel, Bearer>;

/// Clients of all services.
#[derive(Clone)]
pub struct Clients {
    auth: Channel,
    user: Channel,
    bearer: Bearer,
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(value) = &self.0 {
            request.metadata_mut().insert("authorization", value.clone());
        }
        Ok(request)
    }
}

impl Clients {
    /// Clients of one process that serves everything. Connects at the first call.
    ///
    /// # Panics
    /// Never for a socket address.
    #[must_use]
    pub fn of(address: SocketAddr) -> Self {
        let channel = endpoint(address).connect_lazy();
        Self { auth: channel.clone(), user: channel, bearer: Bearer(None) }
    }

    /// Clients of the replicas of both services; a call goes to any of its service.
    ///
    /// # Panics
    /// Never for socket addresses.
    #[must_use]
    pub fn to(auth: &[SocketAddr], user: &[SocketAddr]) -> Self {
        if let ([auth], [user]) = (auth, user)
            && auth == user
        {
            return Self::of(*auth);
        }
        Self { auth: balanced(auth), user: balanced(user), bearer: Bearer(None) }
    }

    /// The same token, at this process.
    ///
    /// # Panics
    /// Never for a socket address.
    #[must_use]
    pub fn at(&self, address: SocketAddr) -> Self {
        Self { bearer: self.bearer.clone(), ..Self::of(address) }
    }

    /// The same connection, with this access token.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Self {
        self.with_authorization(&format!("Bearer {token}"))
    }

    /// The same connection, with this value of the `authorization` header.
    ///
    /// # Panics
    /// The value cannot stand in a header.
    #[must_use]
    pub fn with_authorization(&self, value: &str) -> Self {
        let value = value.parse().expect("a header value");
        Self { bearer: Bearer(Some(value)), ..self.clone() }
    }

    /// The connection to auth; to one process, the connection itself.
    #[must_use]
    pub fn channel(&self) -> Authenticated {
        InterceptedService::new(self.auth.clone(), self.bearer.clone())
    }

    /// What adds their token to a call, for clients of somebody else's service.
    #[must_use]
    pub fn bearer(&self) -> Bearer {
        self.bearer.clone()
    }

    /// Accounts and tokens.
    #[must_use]
    pub fn auth(&self) -> AuthServiceClient<Authenticated> {
        AuthServiceClient::new(self.channel())
    }

    /// Accounts, for their owners and administrators.
    #[must_use]
    pub fn accounts(&self) -> AccountServiceClient<Authenticated> {
        AccountServiceClient::new(self.channel())
    }

    /// Sessions.
    #[must_use]
    pub fn sessions(&self) -> SessionServiceClient<Authenticated> {
        SessionServiceClient::new(self.channel())
    }

    /// The audit trail of the auth service.
    #[must_use]
    pub fn auth_audit(&self) -> AuthAuditClient<Authenticated> {
        AuthAuditClient::new(self.channel())
    }

    /// The audit trail of the user service.
    #[must_use]
    pub fn user_audit(&self) -> UserAuditClient<Authenticated> {
        let channel = InterceptedService::new(self.user.clone(), self.bearer.clone());
        UserAuditClient::new(channel)
    }

    /// Profiles.
    #[must_use]
    pub fn profiles(&self) -> ProfileServiceClient<Authenticated> {
        let channel = InterceptedService::new(self.user.clone(), self.bearer.clone());
        ProfileServiceClient::new(channel)
    }
}

fn endpoint(address: SocketAddr) -> Endpoint {
    Endpoint::from_shared(format!("http://{address}")).expect("a valid URI")
}

fn balanced(replicas: &[SocketAddr]) -> Channel {
    Channel::balance_list(replicas.iter().copied().map(endpoint))
}
