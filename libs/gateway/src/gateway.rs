//! From an HTTP request to a gRPC request: which RPC is meant, by which dialect,
//! and what is refused before anybody below hears of it.

use std::sync::Arc;

use bytes::Bytes;
use countersign_guard::status;
use countersign_types::{Code, Fault};
use futures::stream;
use http::{
    HeaderName, HeaderValue, Method, Request, Response, Version,
    header::{ALLOW, CONTENT_ENCODING, CONTENT_LENGTH, IF_MATCH},
    request::Parts,
};
use http_body::{Body as _, Frame};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited, StreamBody};
use prost_reflect::DescriptorPool;
use tonic::{Status, body::Body};

use crate::{
    Error, Settings,
    answer::Exchange,
    binding::{Binding, Takes},
    connect,
    headers::{self, is_json},
    message::Draft,
    openapi,
    path::Path,
    refusal::Refusals,
    reply::private,
    rpc::Rpc,
    table::{Found, Table},
};

/// Where the description of all routes is.
const OPENAPI: &str = "/openapi.json";

/// The contracts, ready to be called by HTTP.
#[derive(Clone, Debug)]
pub struct Gateway(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    table: Table,
    refusals: Arc<Refusals>,
    openapi: Bytes,
    settings: Settings,
}

/// What became of a request.
pub(crate) enum Entered {
    /// A call, and how it is to be answered.
    Call(Request<Body>, Exchange),
    /// An answer already.
    Answered(Response<Body>),
}

/// A message whose body is still JSON; travels with the request.
#[derive(Clone, Debug)]
struct Pending {
    draft: Draft,
    limit: usize,
}

/// A refusal, with a header that belongs to it.
struct Turned(Status, Option<(HeaderName, HeaderValue)>);

impl Gateway {
    /// A gateway to these services (full names), which `descriptors` describes with
    /// their imports: an encoded `google.protobuf.FileDescriptorSet`.
    ///
    /// # Errors
    /// [`Error`] says what is wrong with an annotation or a setting.
    pub fn new(descriptors: &[u8], services: &[&str], settings: Settings) -> Result<Self, Error> {
        let pool = DescriptorPool::decode(descriptors);
        let pool = pool.map_err(|error| Error::Descriptors(error.to_string()))?;
        let table = Table::of(&pool, services)?;
        let openapi = Bytes::from(openapi::document(&table, &settings).to_string());
        let refusals = Arc::new(Refusals::new()?);
        Ok(Self(Arc::new(Inner { table, refusals, openapi, settings })))
    }

    pub(crate) fn refusals(&self) -> &Refusals {
        &self.0.refusals
    }

    /// Makes a gRPC request of an HTTP request.
    pub(crate) fn enter(&self, request: Request<Body>) -> Entered {
        let (parts, body) = request.into_parts();
        match self.0.table.rpc(parts.uri.path()) {
            Some(rpc) => match self.connect(rpc, &parts, &body) {
                Ok((draft, timeout)) => self.call(parts, body, draft, timeout),
                Err(Turned(said, header)) => answered(connect::refusal(&said), header),
            },
            None if parts.uri.path() == OPENAPI && parts.method == Method::GET => {
                let mut document = Response::new(Body::new(Full::new(self.0.openapi.clone())));
                private(&mut document, "application/json");
                Entered::Answered(document)
            }
            None => match self.route(&parts, &body) {
                Ok(draft) => self.call(parts, body, draft, None),
                Err(Turned(said, header)) => answered(self.0.refusals.answer(&said, false), header),
            },
        }
    }

    /// A call that names its RPC: Connect.
    fn connect(
        &self,
        rpc: &Arc<Rpc>,
        parts: &Parts,
        body: &Body,
    ) -> Result<(Draft, Option<HeaderValue>), Turned> {
        self.check_size(parts)?;
        if parts.method != Method::POST {
            return Err(not_allowed(&[Method::POST]));
        }
        self.check_body(parts, body, "accept-post", false)?;
        if rpc.asks_in_a_stream || rpc.answers_in_a_stream {
            let message = "the method streams: call it by gRPC or gRPC-Web";
            return Err(Fault::new(Code::Unimplemented, "STREAM_UNSUPPORTED", message).into());
        }
        let timeout = connect::timeout(&parts.headers)?;
        Ok((Draft::of_rpc(Arc::clone(rpc)), timeout))
    }

    /// A call by a route.
    fn route(&self, parts: &Parts, body: &Body) -> Result<Draft, Turned> {
        self.check_size(parts)?;
        let raw = parts.uri.path();
        let (binding, fields) = match self.0.table.find(&parts.method, &Path::read(raw)?) {
            Found::Route(binding, fields) => (binding, fields),
            Found::Methods(methods) => return Err(not_allowed(&methods)),
            Found::Nothing if raw == OPENAPI => return Err(not_allowed(&[Method::GET])),
            Found::Nothing => {
                let message = "there is nothing at this path";
                return Err(Fault::new(Code::NotFound, "ROUTE_UNKNOWN", message).into());
            }
        };
        self.check_taken(&binding, parts, body)?;
        let query = parts.uri.query().unwrap_or_default();
        Ok(Draft::of_route(binding, fields, query, &parts.headers)?)
    }

    fn check_taken(&self, binding: &Binding, parts: &Parts, body: &Body) -> Result<(), Turned> {
        let accept = if binding.method == Method::PATCH { "accept-patch" } else { "accept-post" };
        match binding.body {
            Takes::Nothing if body.is_end_stream() => Ok(()),
            Takes::Nothing => {
                let message = "the route takes no body";
                Err(Fault::new(Code::InvalidArgument, "UNEXPECTED_BODY", message).into())
            }
            // `curl -X POST` sends nothing at all, which is an empty message.
            Takes::Everything => self.check_body(parts, body, accept, true),
            Takes::Field(_) => self.check_body(parts, body, accept, false),
        }
    }

    fn check_size(&self, parts: &Parts) -> Result<(), Turned> {
        let target = parts.uri.path_and_query().map_or(0, |target| target.as_str().len());
        if headers::size(&parts.headers) + target <= self.0.settings.max_header_bytes {
            return Ok(());
        }
        let message = "the headers are larger than the server accepts";
        Err(Fault::new(Code::ResourceExhausted, "HEADERS_TOO_LARGE", message).into())
    }

    fn check_body(
        &self,
        parts: &Parts,
        body: &Body,
        accept: &'static str,
        may_be_absent: bool,
    ) -> Result<(), Turned> {
        let length = parts.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok());
        let length = length.and_then(|length| length.parse::<u64>().ok());
        let limit = u64::try_from(self.0.settings.max_message_bytes).unwrap_or(u64::MAX);
        if length.is_some_and(|length| length > limit) {
            return Err(Turned(too_large(), None));
        }
        if may_be_absent && body.is_end_stream() {
            return Ok(());
        }
        let accepted =
            (HeaderName::from_static(accept), HeaderValue::from_static("application/json"));
        if !is_json(&parts.headers) {
            let message = "the body must be application/json";
            let fault = Fault::new(Code::InvalidArgument, "UNSUPPORTED_MEDIA_TYPE", message);
            return Err(Turned(status(fault), Some(accepted)));
        }
        if parts.headers.get_all(CONTENT_ENCODING).iter().any(|encoding| encoding != "identity") {
            let message = "the body must not be compressed";
            return Err(Fault::new(Code::InvalidArgument, "UNSUPPORTED_ENCODING", message).into());
        }
        Ok(())
    }

    fn call(
        &self,
        mut parts: Parts,
        body: Body,
        draft: Draft,
        timeout: Option<HeaderValue>,
    ) -> Entered {
        let exchange = Exchange {
            rpc: Arc::clone(&draft.rpc),
            binding: draft.binding.clone(),
            had_if_match: parts.headers.contains_key(IF_MATCH),
            refusals: Arc::clone(&self.0.refusals),
        };
        parts.method = Method::POST;
        parts.version = Version::HTTP_2;
        parts.uri = draft.rpc.path.clone().into();
        parts.headers = headers::passed(&parts.headers);
        if let Some(timeout) = timeout {
            parts.headers.insert("grpc-timeout", timeout);
        }
        let limit = self.0.settings.max_message_bytes;
        parts.extensions.insert(Pending { draft, limit });
        Entered::Call(Request::from_parts(parts, body), exchange)
    }
}

/// Puts the message of gRPC in the place of the JSON that is on its way.
///
/// This is the second half of [`Doors`](crate::Doors), below whatever counts the
/// bytes of a body and the time that it takes. A request that came as gRPC goes
/// through as it is.
#[must_use]
pub fn unpack(mut request: Request<Body>) -> Request<Body> {
    match request.extensions_mut().remove::<Pending>() {
        None => request,
        Some(Pending { draft, limit }) => request.map(|body| {
            // Nothing is read before the call wants its message.
            let frame = async move {
                let text = read(body, limit).await?;
                Ok::<_, Status>(Frame::data(draft.frame(&text)?))
            };
            Body::new(StreamBody::new(stream::once(frame)))
        }),
    }
}

async fn read(body: Body, limit: usize) -> Result<Bytes, Status> {
    match Limited::new(body, limit).collect().await {
        Ok(text) => Ok(text.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large()),
        Err(error) => Err(Status::from_error(error)),
    }
}

fn too_large() -> Status {
    let message = "the message is larger than the server accepts";
    status(Fault::new(Code::ResourceExhausted, "MESSAGE_TOO_LARGE", message))
}

fn not_allowed(methods: &[Method]) -> Turned {
    let message = "the path takes other methods";
    let fault = Fault::new(Code::Unimplemented, "METHOD_NOT_ALLOWED", message);
    let methods: Vec<_> = methods.iter().map(Method::as_str).collect();
    let allow = HeaderValue::try_from(methods.join(", ")).ok();
    Turned(status(fault), allow.map(|allow| (ALLOW, allow)))
}

fn answered(mut answer: Response<Body>, header: Option<(HeaderName, HeaderValue)>) -> Entered {
    if let Some((name, value)) = header {
        answer.headers_mut().insert(name, value);
    }
    Entered::Answered(answer)
}

impl From<Fault> for Turned {
    fn from(fault: Fault) -> Self {
        Self(status(fault), None)
    }
}
