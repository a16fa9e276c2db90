//! A gateway before a service that remembers how it was called, and answers what
//! it was told to.

use std::{
    convert::Infallible,
    sync::{Arc, LazyLock, Mutex},
};

use bytes::{BufMut, Bytes, BytesMut};
use countersign_gateway::{Gateway, Settings};
use futures::stream;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage};
use serde_json::Value;
use tonic::{Status, body::Body};
use tower::{Layer, ServiceExt, service_fn};

const SERVICE: &str = "library.v1.Library";
/// Bytes of a body that the gateway takes.
pub const MAX_MESSAGE: usize = 4096;

pub static DESCRIPTORS: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let here = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it");
    let includes = [here, "../codegen/proto", "../../proto"];
    let mut compiler = protox::Compiler::new(includes).expect("the folders exist");
    compiler.include_imports(true).include_source_info(true);
    compiler.open_file("library.proto").expect("the library compiles");
    compiler.encode_file_descriptor_set()
});

static POOL: LazyLock<DescriptorPool> =
    LazyLock::new(|| DescriptorPool::decode(DESCRIPTORS.as_slice()).expect("descriptors"));

static GATEWAY: LazyLock<Gateway> = LazyLock::new(|| {
    let settings = Settings { max_message_bytes: MAX_MESSAGE, ..Settings::default() };
    Gateway::new(&DESCRIPTORS, &[SERVICE], settings).expect("a gateway")
});

/// How the service was called.
#[derive(Clone, Debug)]
pub struct Seen {
    pub path: String,
    pub headers: HeaderMap,
    pub message: Value,
}

/// An answer, read to its end.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// What the service answers: messages as JSON, and how it ends.
#[derive(Clone, Debug, Default)]
pub struct World {
    messages: Vec<Value>,
    end: Option<Status>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl World {
    /// Answers with these messages.
    pub fn answering(messages: &[Value]) -> Self {
        Self { messages: messages.to_vec(), ..Self::default() }
    }

    /// Ends with this status, after the messages.
    pub fn ending(mut self, status: Status) -> Self {
        self.end = Some(status);
        self
    }

    /// The last call that has come through.
    pub fn seen(&self) -> Option<Seen> {
        self.seen.lock().unwrap().last().cloned()
    }

    /// Sends a request through the gateway.
    pub async fn send(&self, request: Request<Body>) -> Answer {
        let world = self.clone();
        let inner = service_fn(move |request| world.clone().serve(request));
        let response = GATEWAY.layer().layer(inner).oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    /// Sends a body as JSON.
    pub async fn json(&self, method: &str, path: &str, body: &str) -> Answer {
        self.send(request(method, path, body)).await
    }

    /// Sends a request without a body.
    pub async fn get(&self, path: &str) -> Answer {
        self.send(Request::builder().uri(path).body(Body::empty()).unwrap()).await
    }

    async fn serve(self, request: Request<Body>) -> Result<Response<Body>, Infallible> {
        let (parts, body) = request.into_parts();
        let path = parts.uri.path().to_owned();
        let frame = match body.collect().await {
            Ok(body) => body.to_bytes(),
            // As tonic does it: what is wrong with the body is the answer.
            Err(status) => return Ok(status.into_http()),
        };
        let (service, method) = path[1..].split_once('/').unwrap();
        let service = POOL.get_service_by_name(service).unwrap();
        let method = service.methods().find(|one| one.name() == method).unwrap();
        assert_eq!(
            usize::try_from(u32::from_be_bytes(frame[1..5].try_into().unwrap())).unwrap() + 5,
            frame.len()
        );
        let message = DynamicMessage::decode(method.input(), frame.slice(5..)).unwrap();
        let message = serde_json::to_value(&message).unwrap();
        self.seen.lock().unwrap().push(Seen { path, headers: parts.headers, message });
        if let (Some(status), true) = (&self.end, self.messages.is_empty()) {
            return Ok(status.clone().into_http());
        }
        let mut frames = Vec::new();
        for message in &self.messages {
            let message = DynamicMessage::deserialize(method.output(), message.clone()).unwrap();
            let mut frame = BytesMut::new();
            frame.put_u8(0);
            frame.put_u32(message.encoded_len().try_into().unwrap());
            frame.put_slice(&message.encode_to_vec());
            // In two pieces: a frame of HTTP/2 need not be one of gRPC.
            let rest = frame.split_off(3);
            frames.push(Ok::<_, Status>(Frame::data(frame.freeze())));
            frames.push(Ok(Frame::data(rest.freeze())));
        }
        let mut trailers = HeaderMap::new();
        let end = self.end.clone().unwrap_or_else(|| Status::ok(""));
        end.add_header(&mut trailers).unwrap();
        frames.push(Ok(Frame::trailers(trailers)));
        Ok(Response::new(Body::new(StreamBody::new(stream::iter(frames)))))
    }
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("an answer in JSON")
    }

    /// The reason of a refusal.
    pub fn reason(&self) -> String {
        let json = self.json();
        json["details"][0]["reason"].as_str().unwrap_or_default().to_owned()
    }

    /// The fields that a refusal names.
    pub fn fields(&self) -> Vec<String> {
        let json = self.json();
        let named = json["details"]
            .as_array()
            .unwrap()
            .iter()
            .find_map(|detail| detail.get("fieldViolations"));
        let named = named.and_then(Value::as_array).cloned().unwrap_or_default();
        named.iter().map(|one| one["field"].as_str().unwrap_or_default().to_owned()).collect()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// A request with a body of JSON.
pub fn request(method: &str, path: &str, body: &str) -> Request<Body> {
    let body = Body::new(Full::new(Bytes::from(body.to_owned())));
    let request = Request::builder().method(method).uri(path);
    request.header("content-type", "application/json").body(body).unwrap()
}
