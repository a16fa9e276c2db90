//! Somebody else's service between a caller and ours: what the caller may do
//! holds there as well, and nothing else does.

use std::{convert::Infallible, net::SocketAddr, task};

use countersign_contracts::user::v1::{
    GetProfileRequest, profile_service_client::ProfileServiceClient,
};
use countersign_guard::{Access, Guard, Rule, Settings};
use countersign_mesh::{
    Part,
    channel::Channel,
    config::{ChannelConfig, ServerConfig},
    server::Server,
};
use countersign_tests::TestApp;
use futures::future::BoxFuture;
use http::uri::PathAndQuery;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::{
    Code, Request, Response, Status,
    body::Body,
    server::{Grpc, NamedService},
    transport::Endpoint,
};
use tonic_prost::ProstCodec;

const READ: &str = "/relay.v1.RelayService/Read";

/// Reads the profile of whom it is asked for, over this channel.
#[derive(Clone)]
struct Relay(Channel);

impl Relay {
    async fn read(self, request: Request<String>) -> Result<Response<String>, Status> {
        let mut profiles = ProfileServiceClient::new(self.0);
        let question = GetProfileRequest { user_id: request.into_inner() };
        let profile = profiles.get_profile(question).await?.into_inner().profile;
        Ok(Response::new(profile.map(|profile| profile.user_id).unwrap_or_default()))
    }
}

impl NamedService for Relay {
    const NAME: &'static str = "relay.v1.RelayService";
}

impl tower::Service<http::Request<Body>> for Relay {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut task::Context<'_>) -> task::Poll<Result<(), Infallible>> {
        task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let relay = self.clone();
        Box::pin(async move {
            let mut grpc = Grpc::new(ProstCodec::<String, String>::default());
            let method = tower::service_fn(|request| relay.clone().read(request));
            Ok(grpc.unary(method, request).await)
        })
    }
}

/// The relay behind a server of the mesh. Anybody may call it: whom it serves, the
/// service behind it decides.
async fn relay(channel: Channel) -> (SocketAddr, DropGuard) {
    let settings = Settings {
        issuer: "relay".to_owned(),
        audience: "relay".to_owned(),
        environment: "test".to_owned(),
        ..Settings::default()
    };
    let rule = Rule::new("relay.v1.RelayService/Read", Access::Public);
    let guard = Guard::builder(settings).rules(&[rule]).build().unwrap();
    let part = Part::new("relay").service(guard.protect(Relay(channel)));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let server = Server::new(&ServerConfig::default()).part(part);
    tokio::spawn(server.serve(listener, stop.clone()));
    (address, stop.drop_guard())
}

/// Asks the relay for somebody's profile, with this token.
async fn ask(relay: SocketAddr, token: &str, user_id: &str) -> Result<String, Status> {
    let channel = Endpoint::from_shared(format!("http://{relay}")).unwrap().connect_lazy();
    let mut grpc = tonic::client::Grpc::new(channel);
    grpc.ready().await.unwrap();
    let mut request = Request::new(user_id.to_owned());
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    let codec = ProstCodec::<String, String>::default();
    let answer = grpc.unary(request, PathAndQuery::from_static(READ), codec).await?;
    Ok(answer.into_inner())
}

#[tokio::test]
async fn the_permissions_of_the_caller_hold_behind_a_service_that_calls_on_their_behalf() {
    let app = TestApp::start().await;
    let (ada, bob) = (app.signed_in("ada").await, app.signed_in("bob").await);
    let target = app.user_address().to_string().parse().unwrap();
    let channel = Channel::new(target, &ChannelConfig::default()).unwrap();
    let (on_behalf, _running) = relay(channel.on_behalf_of_caller()).await;
    let token = &ada.access_token;
    assert_eq!(ask(on_behalf, token, &ada.user_id).await.unwrap(), ada.user_id);
    assert_eq!(ask(on_behalf, token, "me").await.unwrap(), ada.user_id);
    let denied = ask(on_behalf, token, &bob.user_id).await.unwrap_err();
    assert_eq!(denied.code(), Code::PermissionDenied);
    let unknown = ask(on_behalf, "v4.public.nobody", &ada.user_id).await.unwrap_err();
    assert_eq!(unknown.code(), Code::Unauthenticated);

    // Where nothing is said of it, a token goes no further than where it was sent to.
    let (for_itself, _running) = relay(channel).await;
    let stranger = ask(for_itself, token, &ada.user_id).await.unwrap_err();
    assert_eq!(stranger.code(), Code::Unauthenticated);

    ada.clients.logout().await.unwrap();
    app.shut_out(&ada.clients).await;
    let gone = ask(on_behalf, token, &ada.user_id).await.unwrap_err();
    assert_eq!(gone.code(), Code::Unauthenticated, "a session that was ended has ended here");
}
