//! One small service, and what can stand before it.

use std::{convert::Infallible, fmt::Write as _, time::Duration};

use countersign_guard::{Access, Guard, Guarded, OwnedById, Revocations, Rule, Settings, enter};
use countersign_mesh::{
    Part,
    config::{LogConfig, LogFormat, ServerConfig, TelemetryConfig},
    server::Server,
    telemetry::Telemetry,
};
use countersign_tokens::{
    AccountAttributes, AuthMethods, Binding, Claims, KeyRing, Purpose, SigningKey, sign,
};
use countersign_types::{Clock, FieldPath, SessionId, Timestamp, UserId, Validate, Violation};
use futures::future::BoxFuture;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::{
    Request, Response, Status,
    body::Body,
    server::{Grpc, NamedService, UnaryService},
    transport::server::TcpIncoming,
};
use tonic_prost::ProstCodec;

use crate::served::Kind;

pub const PATH: &str = "/bench.v1.BenchService/Get";
const RPC: &str = "bench.v1.BenchService/Get";
const POLICIES: usize = 500;

/// A message as it is generated, with one rule.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Get {
    #[prost(string, tag = "1")]
    pub id: String,
}

/// As it is generated, for one method.
#[derive(Clone)]
struct Bench {
    guarded: bool,
}

/// Serves until the process is killed; says first where, and whom it lets in.
pub async fn serve(kind: Kind) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (owner, key) = (UserId::generate(), SigningKey::generate().unwrap());
    println!("{} {} {owner}", listener.local_addr().unwrap(), token(&key, owner));
    let service = match kind {
        Kind::Bare => {
            let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
            let served = tonic::transport::Server::builder().add_service(Bench { guarded: false });
            return served.serve_with_incoming(incoming).await.unwrap();
        }
        Kind::Stack | Kind::Telling => open().protect(Bench { guarded: false }),
        Kind::Guarded => guard(&key).protect(Bench { guarded: true }),
    };
    run(service, listener, !matches!(kind, Kind::Stack)).await;
}

/// As the executable runs a service, with all that it tells or with none of it.
async fn run(service: Guarded<Bench>, listener: TcpListener, telling: bool) {
    let level = if telling { "info" } else { "off" }.to_owned();
    let log = LogConfig { level, format: LogFormat::Json };
    let metrics_listen = telling.then(|| "127.0.0.1:0".parse().unwrap());
    let config = TelemetryConfig { metrics_listen, ..TelemetryConfig::default() };
    let mut telemetry = Telemetry::start("bench", &log, &config).await.unwrap();
    let server = Server::new(&ServerConfig {
        // All callers are one peer here.
        max_concurrent_calls_per_peer: 100_000,
        ..ServerConfig::default()
    });
    let server = server.part(Part::new("bench").service(service)).part(telemetry.part());
    server.serve(listener, CancellationToken::new()).await.unwrap();
}

/// A guard that lets everybody in.
fn open() -> Guard {
    Guard::builder(settings()).rules(&[Rule::new(RPC, Access::Public)]).build().unwrap()
}

/// A guard that lets the owner in, by one of its policies.
fn guard(key: &SigningKey) -> Guard {
    let (ring, revocations) = (KeyRing::default(), Revocations::default());
    ring.replace(vec![key.verification_key()]);
    revocations.mark_ready();
    let mut schema = "entity Role;
        entity User in [Role] { authentication_time: Long, session_age: Long, factors: Set<String>, tenant: String };
        entity Service;
        entity Thing { owner: User };\n"
        .to_owned();
    let mut policies = String::new();
    for number in 0..POLICIES {
        // The first is asked; the others are about RPCs that are not called.
        let rpc = if number == 0 { RPC.to_owned() } else { format!("bench.v1.Other/Rpc{number}") };
        let _ = writeln!(
            schema,
            "action {rpc:?} appliesTo {{ principal: [User], resource: [Thing], context: {{}} }};"
        );
        let _ = writeln!(
            policies,
            "@id(\"policy-{number}\") permit (principal, action == Action::{rpc:?}, resource is Thing)
             when {{ resource.owner == principal }};"
        );
    }
    let rule = Rule::new(RPC, Access::Policy { resource: "Thing" });
    let builder = Guard::builder(settings()).rules(&[rule]).keys(ring).revocations(revocations);
    let guard = builder.policies(&schema, &[("bench.cedar", &policies)]).build().unwrap();
    guard.with_resolver("Thing", OwnedById)
}

fn settings() -> Settings {
    Settings {
        issuer: "bench".to_owned(),
        audience: "bench".to_owned(),
        environment: "bench".to_owned(),
        ..Settings::default()
    }
}

fn token(key: &SigningKey, owner: UserId) -> String {
    let now = Timestamp::from_seconds(Clock::system().now().as_seconds());
    let claims = Claims {
        issuer: "bench".to_owned(),
        subject: owner,
        audience: "bench".to_owned(),
        issued_at: now,
        not_before: now,
        expires_at: now.plus(Duration::from_secs(3600)),
        token_id: UserId::generate().to_string(),
        session: SessionId::generate(),
        session_epoch: 1,
        account_epoch: 1,
        auth_time: now,
        methods: AuthMethods::default(),
        roles: vec!["user".to_owned()],
        attributes: AccountAttributes::default(),
        purpose: Purpose::Access,
    };
    sign(key, &Binding { environment: "bench".to_owned() }, &claims).unwrap()
}

impl Validate for Get {
    fn validate_at(&self, path: &FieldPath<'_>, violations: &mut Vec<Violation>) {
        if self.id.len() != 36 {
            let field = path.field("id").to_string();
            violations.push(Violation::new(field, "string.len", "must have 36 characters"));
        }
    }
}

impl UnaryService<Get> for Bench {
    type Response = Get;
    type Future = BoxFuture<'static, Result<Response<Get>, Status>>;

    fn call(&mut self, request: Request<Get>) -> Self::Future {
        let guarded = self.guarded;
        Box::pin(async move {
            let message = if guarded {
                enter(request, |message: &Get| message.id.as_str()).await?.message
            } else {
                request.into_inner()
            };
            Ok(Response::new(message))
        })
    }
}

impl NamedService for Bench {
    const NAME: &'static str = "bench.v1.BenchService";
}

impl tower::Service<http::Request<Body>> for Bench {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<http::Response<Body>, Infallible>>;

    fn poll_ready(
        &mut self,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), Infallible>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let handler = self.clone();
        Box::pin(async move {
            let mut grpc = Grpc::new(ProstCodec::default());
            Ok(grpc.unary(handler, request).await)
        })
    }
}
