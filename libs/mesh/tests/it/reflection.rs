//! Reflection describes what is mounted, in both versions.

use countersign_mesh::{Part, config::ServerConfig};
use prost::Message;
use tonic_reflection::pb::{v1, v1alpha};

use super::support::{Probe, Running, start};

const MOUNTED: [&str; 4] = [
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
    "test.v1.Probe",
];

async fn server() -> Running {
    start(&ServerConfig::default(), Part::new("probe").service(Probe::echo().guarded())).await
}

/// One question and its answer, in one version of the protocol.
macro_rules! ask {
    ($version:ident, $server:expr, $question:expr) => {{
        use $version::{
            server_reflection_client::ServerReflectionClient,
            server_reflection_request::MessageRequest::*,
        };
        let request = $version::ServerReflectionRequest {
            host: String::new(),
            message_request: Some($question),
        };
        let mut client = ServerReflectionClient::new($server.channel());
        let requests = futures::stream::iter([request]);
        let mut answers = client.server_reflection_info(requests).await.unwrap().into_inner();
        answers.message().await.unwrap().unwrap().message_response.unwrap()
    }};
}

macro_rules! speaks {
    ($test:ident, $version:ident) => {
        #[tokio::test]
        async fn $test() {
            use $version::server_reflection_response::MessageResponse as Answer;
            let server = server().await;
            let Answer::ListServicesResponse(list) =
                ask!($version, server, ListServices(String::new()))
            else {
                panic!("a list of services was asked for")
            };
            let mut names: Vec<_> = list.service.into_iter().map(|one| one.name).collect();
            names.sort();
            assert_eq!(names, MOUNTED);
            for symbol in ["grpc.health.v1.Health", "countersign.user.v1.ProfileService"] {
                let Answer::FileDescriptorResponse(files) =
                    ask!($version, server, FileContainingSymbol(symbol.to_owned()))
                else {
                    panic!("the file of {symbol} was asked for")
                };
                let file = files.file_descriptor_proto.first().unwrap().as_slice();
                let file = prost_types::FileDescriptorProto::decode(file).unwrap();
                assert!(symbol.starts_with(file.package()), "{symbol} is in {}", file.package());
            }
        }
    };
}

speaks!(version_1_describes_what_is_mounted, v1);
speaks!(version_1alpha_describes_what_is_mounted, v1alpha);
