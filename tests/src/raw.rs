//! Calls as no generated client makes them: any header, any bytes.

use std::net::SocketAddr;

use http::{HeaderMap, HeaderName, HeaderValue, Request};
use http_body_util::{BodyExt, Full};
use hyper::{body::Bytes, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tonic::{Code, Status};

/// A unary call that is made by hand.
#[derive(Clone, Debug, Default)]
pub struct RawCall {
    headers: HeaderMap,
    body: Vec<u8>,
}

impl RawCall {
    /// A call with this encoded message.
    ///
    /// # Panics
    /// The message has 4 GiB or more.
    #[must_use]
    pub fn with_message(message: &[u8]) -> Self {
        let length = u32::try_from(message.len()).expect("a length of four bytes");
        let mut body = vec![0];
        body.extend(length.to_be_bytes());
        body.extend(message);
        Self::with_body(body)
    }

    /// A call with these bytes in place of a framed message.
    #[must_use]
    pub fn with_body(body: Vec<u8>) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static("application/grpc"));
        headers.insert("te", HeaderValue::from_static("trailers"));
        Self { headers, body }
    }

    /// The same call with one more header; a second one of a name stands beside the first.
    ///
    /// # Panics
    /// It cannot stand in a request.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        let value = HeaderValue::from_bytes(value.as_bytes()).expect("a header value");
        self.headers.append(HeaderName::from_static(name), value);
        self
    }

    /// Makes the call; `rpc` is such as `countersign.auth.v1.AuthService/Login`.
    ///
    /// # Errors
    /// The refusal.
    ///
    /// # Panics
    /// The connection breaks, or the answer has no gRPC status at all.
    pub async fn send(self, address: SocketAddr, rpc: &str) -> Result<Vec<u8>, Status> {
        let answer = self.try_send(address, rpc).await;
        answer.unwrap_or_else(|why| panic!("no gRPC answer to {rpc}: {why}"))
    }

    /// Makes a call that the server may not even answer.
    ///
    /// # Errors
    /// What came in place of an answer of gRPC.
    pub async fn try_send(
        self,
        address: SocketAddr,
        rpc: &str,
    ) -> Result<Result<Vec<u8>, Status>, String> {
        let stream = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
        let builder = http2::Builder::new(TokioExecutor::new());
        let connection = builder.handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = connection.map_err(|error| error.to_string())?;
        tokio::spawn(connection);
        let uri = format!("http://{address}/{rpc}");
        let request = Request::post(uri).body(Full::new(Bytes::from(self.body)));
        let mut request = request.map_err(|error| error.to_string())?;
        *request.headers_mut() = self.headers;
        let response = sender.send_request(request).await.map_err(|error| error.to_string())?;
        let (head, body) = response.into_parts();
        let in_headers = Status::from_header_map(&head.headers);
        let collected = body.collect().await.map_err(|error| error.to_string())?;
        let in_trailers = collected.trailers().and_then(Status::from_header_map);
        match in_headers.or(in_trailers) {
            None => Err(format!("HTTP {} without a gRPC status", head.status)),
            Some(status) if status.code() == Code::Ok => Ok(Ok(collected.to_bytes().to_vec())),
            Some(status) => Ok(Err(status)),
        }
    }
}
