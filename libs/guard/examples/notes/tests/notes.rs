//! The example beside a real Countersign, over real sockets.

use countersign_events::Bus;
use countersign_tests::{Bearer, Login, TestApp, Topology, refusal};
use notes::v1::{
    AppendLinesRequest, GetNoteRequest, WatchNoteRequest, WriteNoteRequest,
    notes_service_client::NotesServiceClient,
};
use tokio::{net::TcpListener, sync::mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{
    Code, Status,
    service::interceptor::InterceptedService,
    transport::{Channel, Endpoint},
};
use tonic_types::StatusExt;

type Client = NotesServiceClient<InterceptedService<Channel, Bearer>>;

/// Countersign, and the notes beside it.
struct Town {
    app: TestApp,
    notes: Channel,
    stop: CancellationToken,
}

impl Town {
    async fn start() -> Self {
        let app = TestApp::on(Topology::SplitSqlite).await;
        let broker = app.config().bus.jetstream().expect("a broker");
        let bus = Bus::jetstream(broker).await.expect("a bus");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (auth, stop) = (format!("http://{}", app.address()), CancellationToken::new());
        let stopped = stop.clone();
        tokio::spawn(async move { notes::serve(&auth, bus, listener, stopped).await });
        let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("a URI");
        Self { app, notes: endpoint.connect_lazy(), stop }
    }

    /// A client of somebody, once the guard of the notes has heard of the keys.
    async fn client(&self, login: &Login) -> Client {
        let client =
            NotesServiceClient::with_interceptor(self.notes.clone(), login.clients.bearer());
        loop {
            let request = GetNoteRequest { note_id: UNKNOWN.to_owned() };
            match client.clone().get_note(request).await {
                Err(status) if status.code() == Code::Unavailable => {
                    tokio::task::yield_now().await;
                }
                _ => return client,
            }
        }
    }
}

impl Drop for Town {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

const UNKNOWN: &str = "0197a1b2-c3d4-7000-8000-00000000000a";

async fn write(client: &Client, tenant: &str, shared: bool) -> String {
    let request = WriteNoteRequest { text: "milk".to_owned(), tenant: tenant.to_owned(), shared };
    client.clone().write_note(request).await.expect("anybody writes").into_inner().note_id
}

async fn read(client: &Client, note_id: &str) -> Result<String, Status> {
    let request = GetNoteRequest { note_id: note_id.to_owned() };
    client.clone().get_note(request).await.map(|note| note.into_inner().text)
}

fn line(note_id: &str, line: &str) -> AppendLinesRequest {
    AppendLinesRequest { note_id: note_id.to_owned(), line: line.to_owned() }
}

fn denied<T: std::fmt::Debug>(answer: Result<T, Status>) {
    refusal(answer).is(Code::PermissionDenied, "ACCESS_DENIED");
}

#[tokio::test]
async fn the_policies_of_the_notes_decide_with_the_attributes_of_the_notes() {
    let town = Town::start().await;
    let ada = town.client(&town.app.signed_in("ada").await).await;
    let bob = town.client(&town.app.signed_in("bob").await).await;

    let (own, shared) = (write(&ada, "home", false).await, write(&ada, "home", true).await);
    assert_eq!(read(&ada, &own).await.expect("the owner reads"), "milk");
    assert_eq!(read(&bob, &shared).await.expect("what is shared is read"), "milk");
    denied(read(&bob, &own).await);
    denied(read(&bob, UNKNOWN).await);
    denied(bob.clone().append_lines(tokio_stream::once(line(&shared, "eggs"))).await);
    let archived = write(&ada, "archive", true).await;
    denied(ada.clone().append_lines(tokio_stream::once(line(&archived, "eggs"))).await);

    let request = GetNoteRequest { note_id: "not an id".to_owned() };
    let status = ada.clone().get_note(request).await.expect_err("a refusal");
    let bad = status.get_details_bad_request().expect("violations");
    assert_eq!(bad.field_violations[0].field, "note_id");
}

#[tokio::test]
async fn a_note_is_watched_while_lines_are_appended() {
    let town = Town::start().await;
    let ada = town.client(&town.app.signed_in("ada").await).await;
    let note = write(&ada, "home", false).await;
    let request = WatchNoteRequest { note_id: note.clone() };
    let mut watched = ada.clone().watch_note(request).await.expect("permitted").into_inner();
    let mut text = async || watched.message().await.expect("an answer").expect("a text").text;
    assert_eq!(text().await, "milk");

    let (sender, lines) = mpsc::channel(1);
    let mut client = ada.clone();
    let appending =
        tokio::spawn(async move { client.append_lines(ReceiverStream::new(lines)).await });
    sender.send(line(&note, "eggs")).await.expect("sent");
    assert_eq!(text().await, "milk\neggs");
    sender.send(line("", "bread")).await.expect("sent");
    assert_eq!(text().await, "milk\neggs\nbread");
    sender.send(line("", "")).await.expect("sent");
    let refused = refusal(appending.await.expect("a task"));
    refused.is(Code::InvalidArgument, "INVALID_ARGUMENT");
}

#[tokio::test]
async fn who_logs_out_is_out_here_as_well_also_where_a_stream_is_open() {
    let town = Town::start().await;
    let login = town.app.signed_in("ada").await;
    let (ada, bob) =
        (town.client(&login).await, town.client(&town.app.signed_in("bob").await).await);
    let note = write(&ada, "home", true).await;
    let watch = async |client: &Client| {
        let request = WatchNoteRequest { note_id: note.clone() };
        let mut watched = client.clone().watch_note(request).await.expect("permitted").into_inner();
        watched.message().await.expect("an answer").expect("a text");
        watched
    };
    let (mut hers, mut his) = (watch(&ada).await, watch(&bob).await);
    let (sender, lines) = mpsc::channel(1);
    let mut client = ada.clone();
    let appending =
        tokio::spawn(async move { client.append_lines(ReceiverStream::new(lines)).await });
    sender.send(line(&note, "eggs")).await.expect("sent");
    his.message().await.expect("an answer").expect("a text");
    hers.message().await.expect("an answer").expect("a text");

    login.clients.logout().await.expect("logged out");
    let over = (Code::Unauthenticated, "SESSION_REVOKED");
    refusal(hers.message().await).is(over.0, over.1);
    refusal(appending.await.expect("a task")).is(over.0, over.1);
    refusal(read(&ada, &note).await).is(over.0, over.1);
    assert_eq!(read(&bob, &note).await.expect("somebody else's session goes on"), "milk\neggs");
}

#[test]
fn mounting_takes_at_most_thirty_lines() {
    let mount = include_str!("../src/mount.rs");
    let body = mount.split_once("pub async fn serve(").expect("the function").1;
    let lines = body.lines().map(str::trim);
    let counted = lines.filter(|line| !line.is_empty() && !line.starts_with("//")).count();
    assert!(counted <= 30, "{counted}");
}
