//! An RPC as its descriptor says it is.

use http::{StatusCode, uri::PathAndQuery};
use prost_reflect::{MessageDescriptor, MethodDescriptor};

use crate::Error;

/// What has to be known of an RPC to call it.
#[derive(Debug)]
pub(crate) struct Rpc {
    /// Such as `/acme.shop.v1.ShopService/GetOrder`.
    pub(crate) path: PathAndQuery,
    pub(crate) input: MessageDescriptor,
    pub(crate) output: MessageDescriptor,
    /// Whether the client sends a stream of messages.
    pub(crate) asks_in_a_stream: bool,
    /// Whether the server sends a stream of messages.
    pub(crate) answers_in_a_stream: bool,
    /// The HTTP status of a success.
    pub(crate) success: StatusCode,
    pub(crate) descriptor: MethodDescriptor,
}

impl Rpc {
    pub(crate) fn of(descriptor: MethodDescriptor) -> Result<Self, Error> {
        let service = descriptor.parent_service();
        let path = format!("/{}/{}", service.full_name(), descriptor.name());
        let path = PathAndQuery::try_from(path)
            .map_err(|error| Error::Descriptors(format!("{}: {error}", descriptor.full_name())))?;
        let rpc = Self {
            path,
            input: descriptor.input(),
            output: descriptor.output(),
            asks_in_a_stream: descriptor.is_client_streaming(),
            answers_in_a_stream: descriptor.is_server_streaming(),
            success: StatusCode::OK,
            descriptor,
        };
        let success = rpc.annotated()?;
        Ok(Self { success, ..rpc })
    }

    /// Such as `acme.shop.v1.ShopService/GetOrder`.
    pub(crate) fn name(&self) -> &str {
        self.path.path().trim_start_matches('/')
    }

    pub(crate) fn wrong(&self, reason: impl Into<String>) -> Error {
        Error::Rule { rpc: self.name().to_owned(), reason: reason.into() }
    }

    /// What `countersign.http.v1.success` says.
    fn annotated(&self) -> Result<StatusCode, Error> {
        let pool = self.descriptor.parent_pool();
        let options = self.descriptor.options();
        let Some(extension) = pool.get_extension_by_name("countersign.http.v1.success") else {
            return Ok(StatusCode::OK);
        };
        if !options.has_extension(&extension) {
            return Ok(StatusCode::OK);
        }
        let status = options.get_extension(&extension).as_u32();
        let status = status.and_then(|status| u16::try_from(status).ok());
        let status = status.and_then(|status| StatusCode::from_u16(status).ok());
        status
            .filter(StatusCode::is_success)
            .ok_or_else(|| self.wrong("has a success that is no status from 200 to 299"))
    }
}
