//! Which pages of other origins may call, and what they may see: CORS
//! (<https://fetch.spec.whatwg.org/#http-cors-protocol>). Without an origin in the
//! settings, none may.

use std::time::Duration;

use http::{HeaderName, HeaderValue, Method, Request, Response, Uri, header};
use tonic::body::Body;
use tower::{Layer, Service, util::Either};
use tower_http::cors::{AllowOrigin, Cors, CorsLayer};

use crate::Error;

/// How long a browser may remember what it was allowed.
const MAX_AGE: Duration = Duration::from_secs(60 * 60);
/// What a page may send beside what every page may.
const ALLOWED: [HeaderName; 11] = [
    header::AUTHORIZATION,
    header::CONTENT_TYPE,
    header::IF_MATCH,
    HeaderName::from_static("connect-protocol-version"),
    HeaderName::from_static("connect-timeout-ms"),
    HeaderName::from_static("grpc-timeout"),
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
    HeaderName::from_static("x-grpc-web"),
    HeaderName::from_static("x-request-id"),
    HeaderName::from_static("x-user-agent"),
];
/// What a page may read of an answer.
const EXPOSED: [HeaderName; 7] = [
    header::ETAG,
    header::RETRY_AFTER,
    header::WWW_AUTHENTICATE,
    HeaderName::from_static("grpc-status"),
    HeaderName::from_static("grpc-message"),
    HeaderName::from_static("grpc-status-details-bin"),
    HeaderName::from_static("x-request-id"),
];

/// The origins that may call, as they are set.
#[derive(Clone, Debug, Default)]
pub struct Origins(Vec<HeaderValue>);

/// A service that answers these origins.
pub type Shared<S> = Either<Cors<S>, S>;

impl Origins {
    /// Reads origins such as `https://app.example.org`.
    ///
    /// # Errors
    /// [`Error::Origin`] for one that is none, `*` among them.
    pub fn new<T: AsRef<str>>(origins: &[T]) -> Result<Self, Error> {
        let read = |origin: &T| {
            let text = origin.as_ref();
            let uri: Option<Uri> = text.parse().ok();
            let scheme = uri.as_ref().and_then(Uri::scheme_str).unwrap_or_default();
            let host = uri.as_ref().and_then(Uri::authority).map_or("", |host| host.as_str());
            let plain = !host.contains('@') && !host.is_empty();
            // A browser sends it like this, and compares every letter.
            if plain && ["http", "https"].contains(&scheme) && text == format!("{scheme}://{host}")
            {
                return HeaderValue::try_from(text).map_err(|_| Error::Origin(text.to_owned()));
            }
            Err(Error::Origin(text.to_owned()))
        };
        origins.iter().map(read).collect::<Result<_, _>>().map(Self)
    }

    /// `inner`, which answers these origins.
    pub fn share<S>(&self, inner: S) -> Shared<S>
    where
        S: Service<Request<Body>, Response = Response<Body>>,
    {
        if self.0.is_empty() {
            return Either::Right(inner);
        }
        let methods = [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];
        let layer = CorsLayer::new()
            .allow_origin(AllowOrigin::list(self.0.clone()))
            .allow_methods(methods)
            .allow_headers(ALLOWED)
            .expose_headers(EXPOSED)
            .max_age(MAX_AGE);
        Either::Left(layer.layer(inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_scheme_host_and_port_and_nothing_else() {
        for (text, fine) in [
            ("https://app.example.org", true),
            ("http://localhost:5173", true),
            ("*", false),
            ("null", false),
            ("app.example.org", false),
            ("https://app.example.org/", false),
            ("https://ada@app.example.org", false),
            ("ftp://app.example.org", false),
            ("https://", false),
        ] {
            assert_eq!(Origins::new(&[text]).is_ok(), fine, "{text}");
        }
    }
}
