//! gRPC-Web, and gRPC itself.

use bytes::Bytes;
use http::{Request, Version};
use http_body_util::Full;
use serde_json::json;
use tonic::body::Body;

use crate::world::World;

/// A frame with the empty message.
const EMPTY: [u8; 5] = [0; 5];

fn call(kind: &str, version: Version) -> Request<Body> {
    let body = Body::new(Full::new(Bytes::from_static(&EMPTY)));
    let request = Request::post("/library.v1.Library/ListBooks").version(version);
    request.header("content-type", kind).body(body).unwrap()
}

#[tokio::test]
async fn a_page_calls_by_grpc_web_over_http_1() {
    let world = World::answering(&[json!({"books": [{"pages": 7}]})]);
    let answer = world.send(call("application/grpc-web+proto", Version::HTTP_11)).await;
    assert_eq!(answer.header("content-type"), "application/grpc-web+proto");
    // The message, and its status as the last frame.
    let trailer = answer.body.windows(1).position(|byte| byte == [0x80]).expect("trailers");
    let trailers = String::from_utf8_lossy(&answer.body[trailer + 5..]).into_owned();
    assert!(trailers.contains("grpc-status:0"), "{trailers}");
    assert_eq!(&answer.body[5..9], &[0x0a, 2, 0x18, 7]);
    assert!(world.seen().is_some());
}

#[tokio::test]
async fn grpc_goes_through_as_it_is_and_needs_http_2() {
    let world = World::answering(&[json!({})]);
    let answer = world.send(call("application/grpc", Version::HTTP_2)).await;
    assert_eq!((answer.status.as_u16(), answer.body.as_ref()), (200, EMPTY.as_slice()));
    let world = World::answering(&[json!({})]);
    assert_eq!(world.send(call("application/grpc", Version::HTTP_11)).await.status, 505);
    assert!(world.seen().is_none());
}
