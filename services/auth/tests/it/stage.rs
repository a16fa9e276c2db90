//! What the tests play on: the service with everything around it but a socket,
//! and a stand-in for the user service.

use std::{net::SocketAddr, time::Duration};

use countersign_auth::{Config, Deps, Error, Service, admin::Keeper, build};
use countersign_contracts::{
    BASE_POLICIES, CEDAR_SCHEMA, RULES,
    auth::v1::{
        LoginRequest, LoginResponse, RefreshRequest, RefreshResponse, RegisterRequest,
        RegisterResponse, account_service_client::AccountServiceClient,
        auth_service_client::AuthServiceClient, session_service_client::SessionServiceClient,
    },
    events::v1::ProfileCreated,
};
use countersign_events::{Bus, Event};
use countersign_guard::{AttributeKinds, Guard, Revocations, Settings};
use countersign_mesh::{config::DatabaseConfig, database};
use countersign_seal::MasterKey;
use countersign_tokens::KeyRing;
use countersign_types::{Clock, ClockHand, EventId, Timestamp};
use prost::{Message, Name};
use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};
use tempfile::TempDir;
use tonic::{
    Request, Status,
    service::{Routes, RoutesBuilder},
    transport::server::TcpConnectInfo,
};
use tonic_types::StatusExt;

pub const PASSWORD: &str = "eleven tired owls drank tea";

/// The service and its surroundings.
pub struct Stage {
    pub service: Service,
    pub routes: Routes,
    pub set: Set,
}

/// What outlives a restart.
pub struct Set {
    pub config: Config,
    pub clock: Clock,
    pub hand: ClockHand,
    pub db: DatabaseConnection,
    pub bus: Bus,
    pub master: MasterKey,
    pub attributes: AttributeKinds,
    /// Policies beside the base ones.
    pub policies: Vec<String>,
    pub read_elsewhere: Vec<&'static str>,
    /// Where the database lies; deleted at the end.
    pub _folder: TempDir,
}

/// Cheap hashes: these tests are not about them.
pub fn config() -> Config {
    let mut config = Config::default();
    config.hashing.memory_kib = 7_168;
    config.hashing.iterations = 1;
    config.hashing.workers = 2;
    config
}

pub fn settings() -> Settings {
    Settings {
        issuer: "https://auth.test".to_owned(),
        audience: "test".to_owned(),
        environment: "test".to_owned(),
        ..Settings::default()
    }
}

impl Set {
    pub async fn new(config: Config) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("auth.db").display());
        let db = database::connect(&DatabaseConfig::default(), &url).await.unwrap();
        let (clock, hand) = Clock::manual(Timestamp::from_seconds(1_800_000_000));
        let (bus, master) = (Bus::memory(), MasterKey::generate().unwrap());
        Self {
            config,
            clock,
            hand,
            db,
            bus,
            master,
            attributes: AttributeKinds::default(),
            policies: Vec::new(),
            read_elsewhere: Vec::new(),
            _folder: folder,
        }
    }

    /// Starts the service, for the first time or again.
    pub async fn start(self) -> Result<Stage, Error> {
        let (keys, revocations) = (KeyRing::default(), Revocations::default());
        let settings = Settings { attributes: self.attributes.clone(), ..settings() };
        let further: Vec<_> =
            self.policies.iter().map(|text| ("further.cedar", text.as_str())).collect();
        let guard = Guard::builder(settings.clone())
            .rules(RULES)
            .policies(CEDAR_SCHEMA, BASE_POLICIES)
            .policies(CEDAR_SCHEMA, &further)
            .keys(keys.clone())
            .revocations(revocations.clone())
            .clock(self.clock.clone())
            .build()
            .unwrap();
        // A bus of its own: the consumers of the last start are gone.
        let bus = Bus::memory();
        let deps = Deps {
            db: self.db.clone(),
            clock: self.clock.clone(),
            guard,
            settings,
            bus: bus.clone(),
            masters: self.master.clone().into(),
            keys,
            revocations,
            audit: countersign_audit::Config::default(),
            read_elsewhere: self.read_elsewhere.iter().map(|&name| name.to_owned()).collect(),
        };
        let mut service = build(self.config.clone(), deps).await?;
        let mount = std::mem::replace(&mut service.part.routes, Box::new(|_| ()));
        let mut routes = RoutesBuilder::default();
        mount(&mut routes);
        Ok(Stage { service, routes: routes.routes(), set: Self { bus, ..self } })
    }

    /// What an operator does beside the service.
    pub async fn keeper(&self) -> Keeper {
        Keeper::open(&self.db, &self.clock, self.master.clone().into()).await.unwrap()
    }

    /// Changes something behind the back of the service.
    pub async fn run(&self, sql: &str) {
        self.db.execute_unprepared(sql).await.unwrap();
    }

    /// The first column of the first row, a number.
    pub async fn number(&self, sql: &str) -> i64 {
        let query = Statement::from_string(self.db.get_database_backend(), sql);
        let row = self.db.query_one_raw(query).await.unwrap().unwrap();
        row.try_get_by_index(0).unwrap()
    }

    /// The first column of the first row, a text.
    pub async fn text(&self, sql: &str) -> String {
        let query = Statement::from_string(self.db.get_database_backend(), sql);
        let row = self.db.query_one_raw(query).await.unwrap().unwrap();
        row.try_get_by_index(0).unwrap()
    }

    /// How many events of a kind were appended so far.
    pub async fn events<E: Name>(&self) -> i64 {
        let kind = E::full_name();
        self.number(&format!("SELECT COUNT(*) FROM outbox WHERE kind = '{kind}'")).await
    }
}

impl Stage {
    pub async fn new() -> Self {
        Set::new(config()).await.start().await.unwrap()
    }

    pub fn auth(&self) -> AuthServiceClient<Routes> {
        AuthServiceClient::new(self.routes.clone())
    }

    pub fn sessions(&self) -> SessionServiceClient<Routes> {
        SessionServiceClient::new(self.routes.clone())
    }

    pub fn accounts(&self) -> AccountServiceClient<Routes> {
        AccountServiceClient::new(self.routes.clone())
    }

    pub fn advance(&self, span: Duration) {
        self.set.hand.advance(span);
    }

    pub async fn register(&self, email: &str, password: &str) -> Result<RegisterResponse, Status> {
        let request = RegisterRequest { email: email.to_owned(), password: password.to_owned() };
        Ok(self.auth().register(request).await?.into_inner())
    }

    pub async fn login(&self, email: &str, password: &str) -> Result<LoginResponse, Status> {
        let request = LoginRequest {
            email: email.to_owned(),
            password: password.to_owned(),
            ..LoginRequest::default()
        };
        Ok(self.auth().login(request).await?.into_inner())
    }

    /// A login over a connection from this address, with a device token or an empty text.
    pub async fn login_from(
        &self,
        email: &str,
        password: &str,
        from: &str,
        device_token: &str,
    ) -> Result<LoginResponse, Status> {
        let mut request = Request::new(LoginRequest {
            email: email.to_owned(),
            password: password.to_owned(),
            device_token: device_token.to_owned(),
            ..LoginRequest::default()
        });
        let remote_addr = Some(SocketAddr::new(from.parse().unwrap(), 50_000));
        request.extensions_mut().insert(TcpConnectInfo { local_addr: None, remote_addr });
        Ok(self.auth().login(request).await?.into_inner())
    }

    pub async fn refresh(&self, token: &str) -> Result<RefreshResponse, Status> {
        let request = RefreshRequest { refresh_token: token.to_owned() };
        Ok(self.auth().refresh(request).await?.into_inner())
    }

    /// An account that can log in; its id.
    pub async fn person(&self, email: &str) -> String {
        let account = self.register(email, PASSWORD).await.unwrap().account.unwrap();
        self.profile_created(&account.id).await;
        account.id
    }

    /// What the user service says when a profile is made.
    pub async fn profile_created(&self, user_id: &str) {
        let created = ProfileCreated { user_id: user_id.to_owned(), create_time: None };
        let event = Event {
            id: EventId::generate(),
            kind: ProfileCreated::full_name(),
            source: "user".to_owned(),
            aggregate: user_id.parse().unwrap(),
            sequence: 1,
            time: self.set.clock.now(),
            data: created.encode_to_vec(),
            trace: None,
        };
        self.set.bus.publish(&event).await.unwrap();
    }
}

/// A request with an access token.
pub fn with_token<M>(token: &str, message: M) -> Request<M> {
    let mut request = Request::new(message);
    let value = format!("Bearer {token}").parse().unwrap();
    request.metadata_mut().insert("authorization", value);
    request
}

/// The reason in a refusal.
pub fn reason(status: &Status) -> String {
    status.get_details_error_info().map(|info| info.reason).unwrap_or_default()
}

/// When a refused call makes sense again.
pub fn retry_after(status: &Status) -> Option<Duration> {
    status.get_details_retry_info().and_then(|info| info.retry_delay)
}
