//! The description of all routes, as OpenAPI 3.1
//! (<https://spec.openapis.org/oas/v3.1.0>), made of the descriptors.

mod comments;
mod schema;

use http::{Method, StatusCode};
use prost_reflect::{FieldDescriptor, MessageDescriptor};
use serde_json::{Map, Value, json};

use crate::{
    Settings,
    binding::{Binding, Takes, field},
    rpc::Rpc,
    shape::is_ours,
    table::Table,
};
use schema::Schemas;

/// The whole document.
pub(crate) fn document(table: &Table, settings: &Settings) -> Value {
    let mut schemas = Schemas::default();
    let mut paths = Map::new();
    for binding in table.bindings() {
        let operation = operation(binding, &mut schemas);
        let path = paths.entry(template(binding)).or_insert_with(|| json!({}));
        if let Some(path) = path.as_object_mut() {
            path.insert(binding.method.as_str().to_ascii_lowercase(), operation);
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {"title": settings.title, "version": settings.version},
        "paths": paths,
        "components": {
            "schemas": schemas.into_components(),
            "responses": {"Error": error()},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"token": []}],
    })
}

/// The path as OpenAPI writes it: without the patterns of variables.
fn template(binding: &Binding) -> String {
    let mut text = String::new();
    let mut inside = false;
    for c in binding.template.text().chars() {
        inside = (inside || c == '=') && c != '}';
        if !inside {
            text.push(c);
        }
    }
    text
}

fn operation(binding: &Binding, schemas: &mut Schemas) -> Value {
    let rpc = &binding.rpc;
    let service = rpc.descriptor.parent_service();
    let mut operation = Map::new();
    operation.insert("operationId".to_owned(), json!(rpc.name().replace(['.', '/'], "_")));
    operation.insert("tags".to_owned(), json!([service.name()]));
    if let Some(comment) = comments::of(&service.parent_file(), rpc.descriptor.path()) {
        operation.insert("description".to_owned(), json!(comment));
    }
    if is_public(rpc) {
        operation.insert("security".to_owned(), json!([]));
    }
    operation.insert("parameters".to_owned(), Value::Array(parameters(binding, schemas)));
    if let Some(body) = body(binding, schemas) {
        operation.insert("requestBody".to_owned(), body);
    }
    operation.insert("responses".to_owned(), responses(binding, schemas));
    Value::Object(operation)
}

/// Whether anybody may call it: the rule that the guard goes by says so.
fn is_public(rpc: &Rpc) -> bool {
    let pool = rpc.descriptor.parent_pool();
    let options = rpc.descriptor.options();
    let Some(rule) = pool.get_extension_by_name("countersign.policy.v1.rule") else { return false };
    let rule = options.get_extension(&rule);
    rule.as_message().is_some_and(|rule| rule.has_field_by_name("public"))
}

fn parameters(binding: &Binding, schemas: &mut Schemas) -> Vec<Value> {
    let input = &binding.rpc.input;
    let given: Vec<&str> = binding.template.fields().collect();
    let mut all: Vec<Value> = given
        .iter()
        .filter_map(|name| Some(parameter("path", name, &field(input, name)?, schemas)))
        .collect();
    if !matches!(binding.body, Takes::Everything) {
        let mut inner = Vec::new();
        query(input, "", 0, &mut inner);
        for (name, field) in inner {
            let first = name.split('.').next();
            let in_body = matches!(&binding.body, Takes::Field(body) if first == Some(body.name()));
            if !in_body && !given.contains(&name.as_str()) {
                all.push(parameter("query", &name, &field, schemas));
            }
        }
    }
    if binding.etag.is_some() {
        let description = "The etag that is to be changed; 412 where it is another by now.";
        let schema = json!({"type": "string"});
        all.push(json!({"in": "header", "name": "If-Match", "description": description, "schema": schema}));
    }
    all
}

/// The fields that a query can give, with those of messages within.
fn query(
    message: &MessageDescriptor,
    path: &str,
    depth: u32,
    found: &mut Vec<(String, FieldDescriptor)>,
) {
    for field in message.fields() {
        let name = if path.is_empty() {
            field.name().to_owned()
        } else {
            format!("{path}.{}", field.name())
        };
        let kind = field.kind();
        match kind.as_message() {
            _ if field.is_map() => {}
            Some(inner) if is_ours(inner) => {
                // A message may lie within itself.
                if !field.is_list() && depth < 2 {
                    query(inner, &name, depth + 1, found);
                }
            }
            _ => found.push((name, field)),
        }
    }
}

fn parameter(place: &str, name: &str, field: &FieldDescriptor, schemas: &mut Schemas) -> Value {
    let mut parameter = Map::new();
    parameter.insert("in".to_owned(), json!(place));
    parameter.insert("name".to_owned(), json!(name));
    if place == "path" {
        parameter.insert("required".to_owned(), json!(true));
    }
    if let Some(comment) = comments::of(&field.parent_file(), field.path()) {
        parameter.insert("description".to_owned(), json!(comment));
    }
    parameter.insert("schema".to_owned(), schemas.of_value(field));
    Value::Object(parameter)
}

fn body(binding: &Binding, schemas: &mut Schemas) -> Option<Value> {
    let schema = match &binding.body {
        Takes::Nothing => return None,
        Takes::Field(field) => schemas.of_value(field),
        Takes::Everything => {
            let given: Vec<&str> = binding.template.fields().collect();
            schemas.without(&binding.rpc.input, &given)
        }
    };
    Some(json!({"required": true, "content": {"application/json": {"schema": schema}}}))
}

fn responses(binding: &Binding, schemas: &mut Schemas) -> Value {
    let rpc = &binding.rpc;
    let schema = match &binding.answer {
        Some(field) => schemas.of_value(field),
        None => schemas.reference(&rpc.output),
    };
    let (kind, schema) = if rpc.answers_in_a_stream {
        let line = json!({"type": "object", "properties": {"result": schema}});
        ("application/x-ndjson", line)
    } else {
        ("application/json", schema)
    };
    let comment = comments::of(&rpc.output.parent_file(), rpc.output.path());
    let description = comment.unwrap_or_else(|| "The answer.".to_owned());
    let mut success = json!({"description": description, "content": {kind: {"schema": schema}}});
    if let (Some(success), true) = (success.as_object_mut(), binding.method != Method::DELETE)
        && binding.etag.is_some()
    {
        let etag = json!({"ETag": {"description": "The version.", "schema": {"type": "string"}}});
        success.insert("headers".to_owned(), etag);
    }
    let code = if rpc.answers_in_a_stream { StatusCode::OK } else { rpc.success };
    json!({code.as_str(): success, "default": {"$ref": "#/components/responses/Error"}})
}

fn error() -> Value {
    let detail = json!({
        "type": "object",
        "required": ["@type"],
        "properties": {"@type": {"type": "string"}},
    });
    let status = json!({
        "type": "object",
        "required": ["code", "message", "details"],
        "properties": {
            "code": {"type": "integer", "description": "google.rpc.Code"},
            "message": {"type": "string"},
            "details": {"type": "array", "items": detail},
        },
    });
    json!({
        "description": "google.rpc.Status; its details say why, to programs.",
        "content": {"application/json": {"schema": status}},
    })
}
