//! What the contracts say of each method: whether it streams, and whether doing
//! it twice comes to the same (`google.protobuf.MethodOptions.idempotency_level`).

use std::collections::HashMap;

use prost::Message;
use prost_types::{FileDescriptorSet, MethodDescriptorProto, method_options::IdempotencyLevel};

use crate::Error;

/// All methods that are described, by path.
pub(super) struct Methods(HashMap<String, Method>);

/// What is known of a method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Method {
    /// One message there, one back: the whole of it can be held, and sent again.
    pub unary: bool,
    /// It may be sent again after it may have been heard.
    pub idempotent: bool,
}

impl Method {
    /// One of which nothing is known.
    const UNKNOWN: Self = Self { unary: false, idempotent: false };

    fn of(method: &MethodDescriptorProto) -> Self {
        let options = method.options.as_ref();
        let level = options.map_or(IdempotencyLevel::IdempotencyUnknown, |o| o.idempotency_level());
        Self {
            unary: !method.client_streaming() && !method.server_streaming(),
            idempotent: level != IdempotencyLevel::IdempotencyUnknown,
        }
    }
}

impl Methods {
    pub(super) fn read(descriptors: &[&[u8]]) -> Result<Self, Error> {
        let mut methods = HashMap::new();
        for encoded in descriptors {
            let set = FileDescriptorSet::decode(*encoded)
                .map_err(|error| Error::Descriptors(error.to_string()))?;
            for file in &set.file {
                for service in &file.service {
                    for method in &service.method {
                        let (package, service) = (file.package(), service.name());
                        let dot = if package.is_empty() { "" } else { "." };
                        let path = format!("/{package}{dot}{service}/{}", method.name());
                        methods.insert(path, Method::of(method));
                    }
                }
            }
        }
        Ok(Self(methods))
    }

    pub(super) fn of(&self, path: &str) -> Method {
        self.0.get(path).copied().unwrap_or(Method::UNKNOWN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_contracts_say_what_may_be_repeated() {
        let methods = Methods::read(&[countersign_contracts::DESCRIPTOR_SET]).unwrap();
        let of = |path| methods.of(path);
        let (twice, once) =
            (Method { unary: true, idempotent: true }, Method { unary: true, idempotent: false });
        assert_eq!(of("/countersign.user.v1.ProfileService/GetProfile"), twice);
        assert_eq!(of("/countersign.auth.v1.AuthService/Refresh"), twice);
        assert_eq!(of("/countersign.auth.v1.AuthService/Register"), once);
        assert_eq!(of("/countersign.auth.v1.AuthService/Unheard"), Method::UNKNOWN);
    }
}
