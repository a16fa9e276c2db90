//! What contracts have to be, and how they are described.

use countersign_gateway::{Error, Gateway, Settings};
use serde_json::{Value, json};

use crate::world::{DESCRIPTORS, World};

/// The gateway to a service with these methods, each with one route.
fn gateway(methods: &str) -> Result<Gateway, Error> {
    let text = format!(
        "syntax = \"proto3\"; package t; import \"google/api/annotations.proto\";
         import \"countersign/http/v1/success.proto\";
         message M {{ string a = 1; M inner = 2; repeated string many = 3; }}
         service S {{ {methods} }}"
    );
    let folder = std::env::temp_dir().join(format!("gateway-{}-{:p}", std::process::id(), &text));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("t.proto"), text).unwrap();
    let includes = [folder.as_path(), "../codegen/proto".as_ref(), "../../proto".as_ref()];
    let mut compiler = protox::Compiler::new(includes).unwrap();
    compiler.include_imports(true).open_file("t.proto").unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    Gateway::new(&compiler.encode_file_descriptor_set(), &["t.S"], Settings::default())
}

fn method(name: &str, rule: &str) -> String {
    format!("rpc {name}(M) returns (M) {{ option (google.api.http) = {{{rule}}}; }}")
}

#[test]
fn a_route_that_can_not_be_served_is_refused_before_anybody_calls() {
    assert!(gateway(&method("A", "get: \"/a/{a}/{inner.a}\"")).is_ok());
    for rule in [
        "get: \"a\"",
        "get: \"/{b}\"",
        "get: \"/{inner}\"",
        "get: \"/{many}\"",
        "get: \"/**/a\"",
        "post: \"/a\" body: \"b\"",
        "post: \"/a\" response_body: \"b\"",
        "custom: {kind: \"HEAD\" path: \"/a\"}",
        "body: \"*\"",
    ] {
        let refused = gateway(&method("A", rule));
        assert!(matches!(&refused, Err(Error::Rule { rpc, .. }) if rpc == "t.S/A"), "{rule}");
    }
    let two = method("A", "get: \"/x/{a}\"") + &method("B", "get: \"/x/{inner.a}\"");
    assert!(matches!(gateway(&two), Err(Error::Rule { .. })), "two RPCs with one route");
    let stream =
        "rpc A(stream M) returns (M) { option (google.api.http) = {post: \"/a\" body: \"*\"}; }";
    assert!(matches!(gateway(stream), Err(Error::Rule { .. })));
    let success = "rpc A(M) returns (M) { option (countersign.http.v1.success) = 404; }";
    assert!(matches!(gateway(success), Err(Error::Rule { .. })));
}

#[test]
fn a_service_that_is_not_described_is_refused() {
    let refused = Gateway::new(&DESCRIPTORS, &["library.v1.Museum"], Settings::default());
    assert!(matches!(refused, Err(Error::UnknownService(name)) if name == "library.v1.Museum"));
    let refused = Gateway::new(b"\xff", &[], Settings::default());
    assert!(matches!(refused, Err(Error::Descriptors(_))));
}

#[tokio::test]
async fn every_route_is_described() {
    let answer = World::default().get("/openapi.json").await;
    let document = answer.json();
    assert_eq!(document["openapi"], "3.1.0");
    let mut routes: Vec<String> = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        routes.extend(methods.as_object().unwrap().keys().map(|method| format!("{method} {path}")));
    }
    routes.sort();
    assert_eq!(
        routes,
        [
            "get /books",
            "get /books:watch",
            "get /shelves/{shelf}/books",
            "get /shelves/{shelf}/books/{book}",
            "patch /books/{name}",
            "post /books/{name}:burn",
            "post /shelves/{shelf}/books",
        ]
    );
    let get = &document["paths"]["/shelves/{shelf}/books/{book}"]["get"];
    assert_eq!(get["description"], "One book.");
    let create = &document["paths"]["/shelves/{shelf}/books"]["post"];
    assert!(create["responses"].get("201").is_some(), "{create}");
    let burn = &document["paths"]["/books/{name}:burn"]["post"]["requestBody"];
    let fields = &burn["content"]["application/json"]["schema"]["properties"];
    let mut fields: Vec<_> = fields.as_object().unwrap().keys().collect();
    fields.sort();
    assert_eq!(fields, ["etag", "reason"]);
    assert_eq!(references(&document), Vec::<String>::new(), "references to nothing");
}

/// The references that lead nowhere.
fn references(document: &Value) -> Vec<String> {
    let mut waiting = vec![document];
    let mut dangling = Vec::new();
    while let Some(value) = waiting.pop() {
        if let Some(reference) = value.get("$ref").and_then(Value::as_str) {
            let pointer = reference.trim_start_matches('#');
            if document.pointer(pointer).is_none_or(|found| *found == json!(null)) {
                dangling.push(reference.to_owned());
            }
        }
        waiting.extend(value.as_object().into_iter().flat_map(serde_json::Map::values));
        waiting.extend(value.as_array().into_iter().flatten());
    }
    dangling
}
