//! The same RPCs for callers that speak no gRPC: by curl, over HTTP/1.1 and HTTP/2.

use std::{net::SocketAddr, path::Path, process::Stdio, time::Duration};

use base64::{Engine, prelude::BASE64_STANDARD};
use countersign_tests::{Executable, Login, PASSWORD, TestApp};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    process::Command,
};

const JSON: &str = "content-type: application/json";

/// What curl has heard.
#[derive(Debug)]
struct Heard {
    status: u16,
    /// In lower case.
    headers: String,
    body: String,
}

impl Heard {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    /// Refused with this status and reason.
    fn is(&self, status: u16, reason: &str) {
        let details = self.json()["details"].clone();
        let given = details.as_array().into_iter().flatten().find_map(|one| one.get("reason"));
        assert_eq!((self.status, given), (status, Some(&json!(reason))), "{self:?}");
    }
}

async fn curl(address: SocketAddr, path: &str, arguments: &[&str]) -> Heard {
    let output = Command::new("curl")
        .args(["--silent", "--show-error", "--include", "--max-time", "30", "--path-as-is"])
        // The answer comes at once, and not after an interim one.
        .args(["--header", "expect:"])
        .args(arguments)
        .arg(format!("http://{address}{path}"))
        .output()
        .await
        .expect("curl is here");
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).expect("text");
    let (head, body) = text.split_once("\r\n\r\n").expect("headers and a body");
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
    let headers = head.replace('\r', "").to_ascii_lowercase();
    Heard { status, headers, body: body.to_owned() }
}

fn bearer(login: &Login) -> String {
    format!("authorization: Bearer {}", login.access_token)
}

fn credentials(password: &str) -> String {
    json!({"email": "ada@example.org", "password": password}).to_string()
}

/// The lines of the README that call by HTTP, up to the first login and from there.
fn tour(address: SocketAddr) -> (String, String) {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let readme = std::fs::read_to_string(readme).expect("the README");
    let (_, after) = readme.split_once("## The tour by HTTP").expect("the tour");
    let block = after.split("```").nth(1).and_then(|block| block.strip_prefix("sh\n"));
    let block = block.expect("its lines").replace("127.0.0.1:50051", &address.to_string());
    let block = block.replace("quiet otters paint bridges", PASSWORD);
    let (first, rest) = block.split_once("# A session").expect("a login");
    let (set_up, _) = first.split_once("# An account").expect("a registration");
    (first.to_owned(), format!("{set_up}\n# A session{rest}"))
}

async fn bash(script: &str, folder: &Path) -> String {
    let output = Command::new("bash")
        .args(["-euo", "pipefail", "-c", script])
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .await
        .expect("bash is here");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("text")
}

#[tokio::test]
async fn the_tour_of_the_readme_works_as_it_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let process = Executable::on(&folder.path().join("data")).start().await;
    let (register, rest) = tour(process.address());
    let said = bash(&register, folder.path()).await;
    assert!(said.contains(" 201") && said.contains("ACCOUNT_STATUS_PENDING"), "{said}");
    process.clients().login_when_active("grace@example.org").await.expect("an active account");
    let said = bash(&rest, folder.path()).await;
    for heard in ["\"displayName\":\"Grace\"", "\"current\":true", "etag: \"", "SESSION_REVOKED"] {
        assert!(said.contains(heard), "{heard}: {said}");
    }
    assert!(process.stop().await);
}

#[tokio::test]
async fn a_person_goes_through_the_whole_flow_by_http_1_and_by_http_2() {
    for (name, version) in [("ada", "--http1.1"), ("bob", "--http2-prior-knowledge")] {
        let app = TestApp::start().await;
        let address = app.address();
        let body =
            json!({"email": format!("{name}@example.org"), "password": PASSWORD}).to_string();
        let made = curl(address, "/auth/register", &[version, "-H", JSON, "-d", &body]).await;
        assert_eq!(
            (made.status, &made.json()["account"]["status"]),
            (201, &json!("ACCOUNT_STATUS_PENDING"))
        );
        app.settle().await;
        let login = curl(address, "/auth/login", &[version, "-H", JSON, "-d", &body]).await;
        assert_eq!(login.status, 200, "{login:?}");
        assert_eq!(login.header("cache-control"), Some("no-store"));
        let token =
            format!("authorization: Bearer {}", login.json()["accessToken"].as_str().unwrap());

        let profile = curl(address, "/users/me/profile", &[version, "-H", &token]).await;
        let etag = profile.header("etag").expect("an etag").to_owned();
        assert_eq!((profile.status, profile.json()["userId"].is_string()), (200, true));
        let expect = format!("if-match: {etag}");
        let patch = r#"{"displayName": "Ada", "locale": "en-GB"}"#;
        let change = [version, "-X", "PATCH", "-H", &token, "-H", JSON, "-H", &expect, "-d", patch];
        let changed = curl(address, "/users/me/profile", &change).await;
        assert_eq!((changed.status, &changed.json()["locale"]), (200, &json!("en-GB")));
        curl(address, "/users/me/profile", &change).await.is(412, "ETAG_MISMATCH");
        let clear = [version, "-X", "PATCH", "-H", &token, "-H", JSON, "-d", r#"{"locale": null}"#];
        let cleared = curl(address, "/users/me/profile", &clear).await.json();
        assert_eq!((cleared.get("locale"), &cleared["displayName"]), (None, &json!("Ada")));

        let refresh = json!({"refreshToken": login.json()["refreshToken"]}).to_string();
        let next = curl(address, "/auth/refresh", &[version, "-H", JSON, "-d", &refresh]).await;
        assert_eq!(next.status, 200, "{next:?}");
        let sessions =
            curl(address, "/users/me/sessions?page_size=10", &[version, "-H", &token]).await;
        assert_eq!(sessions.json()["sessions"].as_array().map(Vec::len), Some(1));
        let account = curl(address, "/accounts/me", &[version, "-H", &token]).await;
        assert_eq!(account.json()["status"], "ACCOUNT_STATUS_ACTIVE");
        let keys = curl(address, "/auth/keys", &[version]).await;
        assert!(keys.json()["keys"].is_array());
        let out = curl(address, "/auth/logout", &[version, "-X", "POST", "-H", &token]).await;
        assert_eq!((out.status, out.body.as_str()), (200, "{}"));
        let refused = curl(address, "/users/me/profile", &[version, "-H", &token]).await;
        refused.is(401, "SESSION_REVOKED");
        assert_eq!(refused.header("www-authenticate"), Some("bearer"));
    }
}

#[tokio::test]
async fn tokens_policies_and_validation_are_those_of_grpc() {
    let app = TestApp::start().await;
    let (ada, bob) = (app.signed_in("ada").await, app.signed_in("bob").await);
    let address = app.address();
    curl(address, "/users/me/profile", &[]).await.is(401, "TOKEN_MISSING");
    let others = format!("/users/{}/profile", bob.user_id);
    curl(address, &others, &["-H", &bearer(&ada)]).await.is(403, "ACCESS_DENIED");
    curl(address, "/users/nobody/profile", &["-H", &bearer(&ada)])
        .await
        .is(400, "INVALID_ARGUMENT");
    let list = curl(address, "/profiles", &["-H", &bearer(&ada)]).await;
    list.is(403, "ACCESS_DENIED");
    let short = curl(address, "/auth/register", &["-H", JSON, "-d", "{}"]).await;
    short.is(400, "INVALID_ARGUMENT");
    let named = short.json()["details"].to_string();
    assert!(named.contains("\"email\"") && named.contains("\"password\""), "{named}");
    let path = format!("/sessions/{}", bob.session_id);
    let ended = curl(address, &path, &["-X", "DELETE", "-H", &bearer(&bob)]).await;
    assert_eq!(ended.status, 200);
    app.shut_out(&bob.clients).await;
    let id = curl(address, "/auth/keys", &["-H", "x-request-id: abc"]).await;
    assert_eq!(id.header("x-request-id"), Some("abc"));
}

#[tokio::test]
async fn who_guesses_is_told_when_to_come_back() {
    let app = TestApp::start().await;
    app.active("ada").await;
    let wrong = credentials("not the password at all");
    for _ in 0..40 {
        let heard = curl(app.address(), "/auth/login", &["-H", JSON, "-d", &wrong]).await;
        if heard.status == 429 {
            let after: u64 = heard.header("retry-after").expect("a time").parse().expect("seconds");
            assert!(after > 0);
            return;
        }
        heard.is(401, "BAD_CREDENTIALS");
    }
    panic!("nobody was kept waiting");
}

#[tokio::test]
async fn bad_requests_are_answered_and_do_no_harm() {
    let app = TestApp::start().await;
    let address = app.address();
    let login = "/auth/login";
    curl(address, login, &["-H", JSON, "-d", "{"]).await.is(400, "MALFORMED_JSON");
    let unknown = curl(address, login, &["-H", JSON, "-d", r#"{"user": "ada"}"#]).await;
    unknown.is(400, "INVALID_ARGUMENT");
    assert!(unknown.body.contains("\"user\""), "{unknown:?}");
    curl(address, login, &["-d", "email=ada"]).await.is(415, "UNSUPPORTED_MEDIA_TYPE");
    let method = curl(address, login, &["-X", "PUT", "-H", JSON, "-d", "{}"]).await;
    method.is(405, "METHOD_NOT_ALLOWED");
    assert_eq!(method.header("allow"), Some("post"));
    curl(address, "/nowhere", &[]).await.is(404, "ROUTE_UNKNOWN");
    curl(address, "/users/../auth/keys", &[]).await.is(400, "MALFORMED_PATH");
    curl(address, "/users/a%2Fb/profile", &[]).await.is(400, "MALFORMED_PATH");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("large.json");
    std::fs::write(&file, format!("{{\"email\": \"{}\"}}", "x".repeat(2 * 1024 * 1024))).unwrap();
    let large = format!("@{}", file.display());
    curl(address, login, &["-H", JSON, "-d", &large]).await.is(413, "MESSAGE_TOO_LARGE");
    let chunked = ["-H", JSON, "-H", "transfer-encoding: chunked", "--data-binary", &large];
    curl(address, login, &chunked).await.is(413, "MESSAGE_TOO_LARGE");
    let header = format!("x-long: {}", "x".repeat(20 * 1024));
    curl(address, "/auth/keys", &["-H", &header]).await.is(431, "HEADERS_TOO_LARGE");
    let grpc = ["--http1.1", "-H", "content-type: application/grpc", "-d", ""];
    curl(address, "/countersign.auth.v1.AuthService/Login", &grpc)
        .await
        .is(505, "GRPC_NEEDS_HTTP_2");
    app.signed_in("ada").await;
}

/// What a server answers to these bytes, and then nothing more.
async fn raw(address: SocketAddr, bytes: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // A connection that is reset has said all that it will.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let app = TestApp::start_with(|config| {
        config.server.message_timeout = Duration::from_millis(200);
        config.server.handshake_timeout = Duration::from_secs(1);
    })
    .await;
    let slow = "POST /auth/login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
                connection: close\r\ncontent-length: 100\r\n\r\n{\"email\":";
    let said = raw(app.address(), slow).await;
    assert!(said.starts_with("HTTP/1.1 408 ") && said.contains("MESSAGE_TOO_SLOW"), "{said}");
    // Headers that do not end are heard no longer than a handshake.
    let said = raw(app.address(), "GET /auth/keys HTTP/1.1\r\nhost: x\r\nx-slow: ").await;
    assert!(!said.contains("200 OK"), "{said}");
    let two = "POST /auth/logout HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\
               transfer-encoding: chunked\r\nconnection: close\r\n\r\n0\r\n\r\n";
    let said = raw(app.address(), two).await;
    assert_eq!(said.matches("HTTP/1.1 ").count(), 1, "one request, one answer: {said}");
}

#[tokio::test]
async fn connect_and_grpc_web_call_the_same_rpcs() {
    let app = TestApp::start().await;
    let ada = app.signed_in("ada").await;
    let path = "/countersign.user.v1.ProfileService/GetProfile";
    let call = ["-H", JSON, "-H", "connect-protocol-version: 1", "-d", r#"{"userId": "me"}"#];
    let refused = curl(app.address(), path, &call).await;
    assert_eq!((refused.status, &refused.json()["code"]), (401, &json!("unauthenticated")));
    let token = bearer(&ada);
    let call = [&call[..], &["-H", &token]].concat();
    let heard = curl(app.address(), path, &call).await;
    assert_eq!((heard.status, &heard.json()["profile"]["userId"]), (200, &json!(ada.user_id)));

    let folder = tempfile::tempdir().unwrap();
    let frame = folder.path().join("frame");
    std::fs::write(&frame, BASE64_STANDARD.encode([0, 0, 0, 0, 4, 0x0a, 2, b'm', b'e'])).unwrap();
    let frame = format!("@{}", frame.display());
    let kind = "content-type: application/grpc-web-text";
    let accept = "accept: application/grpc-web-text";
    let web =
        ["-H", kind, "-H", accept, "-H", "x-grpc-web: 1", "-H", &token, "--data-binary", &frame];
    let heard = curl(app.address(), path, &web).await;
    assert_eq!(
        (heard.status, heard.header("content-type")),
        (200, Some("application/grpc-web-text+proto"))
    );
}

#[tokio::test]
async fn only_pages_of_configured_origins_may_call() {
    let own = "https://app.example.org";
    let app = TestApp::start_with(|config| config.server.http.origins = vec![own.to_owned()]).await;
    let asked = |origin: &str| format!("origin: {origin}");
    let method = "access-control-request-method: PATCH";
    let preflight = |origin: &str| [asked(origin), method.to_owned()];
    for (origin, allowed) in [(own, Some(own)), ("https://evil.example.org", None)] {
        let [origin, method] = preflight(origin);
        let heard = curl(
            app.address(),
            "/users/me/profile",
            &["-X", "OPTIONS", "-H", &origin, "-H", &method],
        )
        .await;
        assert_eq!(heard.header("access-control-allow-origin"), allowed);
        let heard = curl(app.address(), "/auth/keys", &["-H", &origin]).await;
        assert_eq!((heard.status, heard.header("access-control-allow-origin")), (200, allowed));
        let exposed = heard.header("access-control-expose-headers").unwrap_or_default();
        assert!(allowed.is_none() || exposed.contains("grpc-status"), "{exposed}");
    }
    let closed = TestApp::start().await;
    let heard = curl(closed.address(), "/auth/keys", &["-H", &asked(own)]).await;
    assert_eq!(heard.header("access-control-allow-origin"), None);
}

#[tokio::test]
async fn where_http_is_off_there_is_grpc_alone() {
    let app = TestApp::start_with(|config| config.server.http.enabled = false).await;
    let said = raw(app.address(), "GET /auth/keys HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(!said.contains("HTTP/1.1 200"), "{said}");
    let heard = curl(app.address(), "/auth/keys", &["--http2-prior-knowledge"]).await;
    assert_eq!(heard.status, 415);
    app.signed_in("ada").await;
}

#[tokio::test]
async fn the_description_of_all_routes_is_openapi() {
    let app = TestApp::start().await;
    let heard = curl(app.address(), "/openapi.json", &[]).await;
    let document = heard.json();
    for path in ["/auth/register", "/users/{user_id}/profile", "/accounts/{user_id}:disable"] {
        assert!(document["paths"].get(path).is_some(), "{path}");
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("openapi.json");
    std::fs::write(&file, &heard.body).unwrap();
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.tools/venv/bin/python");
    let output = Command::new(python)
        .args(["-m", "openapi_spec_validator", "--schema", "3.1.0"])
        .arg(&file)
        .output()
        .await
        .expect("the tools are here: use `make tools`");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said} {}", String::from_utf8_lossy(&output.stderr));
}
