//! The generated clients over a real socket.

use std::net::SocketAddr;

use countersign_contracts::{
    auth::v1::{
        auth_service_client::AuthServiceClient, session_service_client::SessionServiceClient,
    },
    user::v1::profile_service_client::ProfileServiceClient,
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

/// Clients of all services, on one connection.
#[derive(Clone)]
pub struct Clients {
    channel: Channel,
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
    /// Connects at the first call.
    ///
    /// # Panics
    /// Never for a socket address.
    #[must_use]
    pub fn of(address: SocketAddr) -> Self {
        let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("a valid URI");
        Self { channel: endpoint.connect_lazy(), bearer: Bearer(None) }
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
        Self { channel: self.channel.clone(), bearer: Bearer(Some(value)) }
    }

    /// The connection itself.
    #[must_use]
    pub fn channel(&self) -> Authenticated {
        InterceptedService::new(self.channel.clone(), self.bearer.clone())
    }

    /// Accounts and tokens.
    #[must_use]
    pub fn auth(&self) -> AuthServiceClient<Authenticated> {
        AuthServiceClient::new(self.channel())
    }

    /// Sessions.
    #[must_use]
    pub fn sessions(&self) -> SessionServiceClient<Authenticated> {
        SessionServiceClient::new(self.channel())
    }

    /// Profiles.
    #[must_use]
    pub fn profiles(&self) -> ProfileServiceClient<Authenticated> {
        ProfileServiceClient::new(self.channel())
    }
}
