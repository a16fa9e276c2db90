//! A server starts only with services whose methods all have a rule.

use std::convert::Infallible;

use countersign_mesh::{
    Error, Part,
    config::ServerConfig,
    server::{Priority, Server},
};
use futures::future::{Pending, pending};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::{body::Body, server::NamedService};

use super::support::{guard, start};

const EXPORT: &str = "countersign.user.v1.ProfileService/ExportProfile";
const GET: &str = "countersign.user.v1.ProfileService/GetProfile";
const LIST: &str = "countersign.user.v1.ProfileService/ListProfiles";
const UPDATE: &str = "countersign.user.v1.ProfileService/UpdateProfile";

/// Stands where a service of the contracts would.
#[derive(Clone)]
struct Profiles;

impl NamedService for Profiles {
    const NAME: &'static str = "countersign.user.v1.ProfileService";
}

impl tower::Service<http::Request<Body>> for Profiles {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pending<Result<Self::Response, Infallible>>;

    fn poll_ready(
        &mut self,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), Infallible>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: http::Request<Body>) -> Self::Future {
        pending()
    }
}

async fn refusal(rules: &[&'static str]) -> Error {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let part = Part::new("user").service(guard(rules).protect(Profiles));
    let server = Server::new(&ServerConfig::default()).part(part);
    server.serve(listener, CancellationToken::new()).await.unwrap_err()
}

#[tokio::test]
async fn a_method_without_a_rule_is_named() {
    let error = refusal(&[EXPORT, GET, LIST]).await;
    assert!(matches!(&error, Error::Unruled(rpc) if rpc == UPDATE), "{error}");
    let error = refusal(&["test.v1.Probe/Call"]).await;
    assert!(matches!(&error, Error::Unruled(rpc) if rpc == EXPORT), "{error}");
}

#[tokio::test]
async fn a_rule_without_a_method_is_named() {
    const GONE: &str = "countersign.user.v1.ProfileService/PurgeProfile";
    let error = refusal(&[EXPORT, GET, LIST, UPDATE, GONE]).await;
    assert!(matches!(&error, Error::Undescribed(rpc) if rpc == GONE), "{error}");
}

#[tokio::test]
async fn a_priority_of_nothing_that_is_served_is_named() {
    const MISSPELT: &str = "countersign.user.v1.ProfileService/ListProfile";
    let part = Part::new("user").service(guard(&[EXPORT, GET, LIST, UPDATE]).protect(Profiles));
    let part = part.priority(Priority::Lowest, &[LIST, MISSPELT]);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = Server::new(&ServerConfig::default()).part(part);
    let error = server.serve(listener, CancellationToken::new()).await.unwrap_err();
    assert!(matches!(&error, Error::Unknown(rpc) if rpc == MISSPELT), "{error}");
}

#[tokio::test]
async fn a_service_whose_rules_are_those_of_the_contract_starts() {
    let part = Part::new("user").service(guard(&[EXPORT, GET, LIST, UPDATE]).protect(Profiles));
    let server = start(&ServerConfig::default(), part).await;
    server.shutdown.cancel();
    assert!(server.stopped().await.is_ok());
}
