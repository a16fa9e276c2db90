//! Reflection, so that grpcurl and the like need no `.proto` files: v1, and
//! v1alpha for older clients.

use tonic::service::RoutesBuilder;
use tonic_reflection::{
    pb::{v1, v1alpha},
    server::Builder,
};

use crate::{Error, health};

/// Both reflection services are known by these names.
const OWN: [&str; 2] =
    ["grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"];
/// Bytes of one question; a question is one name.
const MAX_MESSAGE_BYTES: usize = 4 * 1024;

/// Mounts reflection for `services` (full names), health and itself.
pub(crate) fn mount(routes: &mut RoutesBuilder, services: &[&str]) -> Result<(), Error> {
    let refused = |error: tonic_reflection::server::Error| Error::Reflection(error.to_string());
    let v1 = builder(services).build_v1().map_err(refused)?;
    let v1alpha = builder(services).build_v1alpha().map_err(refused)?;
    routes.add_service(v1.max_decoding_message_size(MAX_MESSAGE_BYTES));
    routes.add_service(v1alpha.max_decoding_message_size(MAX_MESSAGE_BYTES));
    Ok(())
}

/// Only what is mounted is listed, though the contracts describe more.
fn builder(services: &[&str]) -> Builder<'static> {
    let builder = Builder::configure()
        .register_encoded_file_descriptor_set(countersign_contracts::DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(health::DESCRIPTOR_SET)
        // So that clients can read the details of a refusal.
        .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(v1::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(v1alpha::FILE_DESCRIPTOR_SET);
    services
        .iter()
        .chain([&health::NAME])
        .chain(&OWN)
        .fold(builder, |builder, name| builder.with_service_name(*name))
}
