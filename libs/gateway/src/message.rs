//! The message of a call, from what path, query, headers and body say of it.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use countersign_guard::status;
use countersign_types::{Code, Fault, Violation};
use http::{HeaderMap, header::IF_MATCH};
use prost::Message as _;
use prost_reflect::{DynamicMessage, ReflectMessage, Value as Field};
use serde_json::{Map, Value};
use tonic::Status;

use crate::{
    binding::{Binding, Takes, field},
    json, query,
    rpc::Rpc,
    shape,
};

/// What is known of a message before its body is there.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    pub(crate) rpc: Arc<Rpc>,
    /// The route; a call that names its RPC has none.
    pub(crate) binding: Option<Arc<Binding>>,
    fields: Map<String, Value>,
}

impl Draft {
    /// Of a call whose body is its message.
    pub(crate) fn of_rpc(rpc: Arc<Rpc>) -> Self {
        Self { rpc, binding: None, fields: Map::new() }
    }

    /// Of a call by a route.
    ///
    /// # Errors
    /// Says every parameter that is no field, or that the path gives already.
    pub(crate) fn of_route(
        binding: Arc<Binding>,
        path: Vec<(String, String)>,
        query: &str,
        headers: &HeaderMap,
    ) -> Result<Self, Fault> {
        let rpc = Arc::clone(&binding.rpc);
        let mut draft = Self { rpc, binding: Some(Arc::clone(&binding)), fields: Map::new() };
        let mut broken = Vec::new();
        for (name, value) in path {
            query::set(&mut draft.fields, &draft.rpc.input, &name, value, &mut broken);
        }
        let reserved = |name: &str| match &binding.body {
            Takes::Nothing => false,
            Takes::Everything => true,
            Takes::Field(body) => {
                let first = name.split('.').next().unwrap_or_default();
                first == body.name() || first == body.json_name()
            }
        };
        for (name, value) in query::parameters(query)? {
            if reserved(&name) {
                let rule = "the body gives this field, and the query can not";
                broken.push(Violation::new(json::shown(&name), "query.parameter", rule));
            } else {
                query::set(&mut draft.fields, &draft.rpc.input, &name, value, &mut broken);
            }
        }
        if let Some(version) = if_match(headers)? {
            draft.expect_version(&binding, version, &mut broken)?;
        }
        if broken.is_empty() { Ok(draft) } else { Err(Fault::invalid(broken)) }
    }

    fn expect_version(
        &mut self,
        binding: &Binding,
        version: Option<String>,
        broken: &mut Vec<Violation>,
    ) -> Result<(), Fault> {
        let message = "there is no version here for If-Match to be compared with";
        let refused = || Fault::new(Code::InvalidArgument, "IF_MATCH_UNSUPPORTED", message);
        let place = binding.etag.as_deref().ok_or_else(refused)?;
        if let Some(version) = version {
            query::set(&mut self.fields, &self.rpc.input, place, version, broken);
        }
        Ok(())
    }

    /// The message as a frame of gRPC; `body` is empty where there is none.
    pub(crate) fn frame(self, body: &[u8]) -> Result<Bytes, Status> {
        let message = self.message(body).map_err(status)?;
        let mut frame = BytesMut::with_capacity(5 + message.encoded_len());
        frame.put_u8(0);
        let length = u32::try_from(message.encoded_len());
        frame.put_u32(length.map_err(|_| status(Fault::internal()))?);
        frame.put_slice(&message.encode_to_vec());
        Ok(frame.freeze())
    }

    fn message(self, body: &[u8]) -> Result<DynamicMessage, Fault> {
        let Self { rpc, binding, mut fields } = self;
        let mut broken = Vec::new();
        let mut changed = Vec::new();
        let takes = binding.as_ref().map_or(&Takes::Everything, |binding| &binding.body);
        let given = if body.is_empty() { Value::Object(Map::new()) } else { json::parse(body)? };
        let given = match takes {
            Takes::Nothing => Map::new(),
            Takes::Everything => object(given)?,
            Takes::Field(field) => Map::from_iter([(field.name().to_owned(), given)]),
        };
        let given = shape::named(given, &rpc.input, "", &mut broken);
        if let Takes::Field(field) = takes {
            let value = given.get(field.name()).and_then(Value::as_object);
            changed.extend(value.into_iter().flat_map(Map::keys).cloned());
        }
        merge(&mut fields, given, "", &mut broken);
        if !broken.is_empty() {
            return Err(Fault::invalid(broken));
        }
        let mut message = read(fields, &rpc)?;
        if let Some(binding) = binding {
            add_mask(&mut message, &binding, changed);
        }
        Ok(message)
    }
}

fn read(fields: Map<String, Value>, rpc: &Rpc) -> Result<DynamicMessage, Fault> {
    shape::read(fields.clone(), &rpc.input).map_err(|_| {
        // What the reader says would repeat the value.
        let mut broken = Vec::new();
        shape::mistyped(&fields, &rpc.input, "", &mut broken);
        Fault::invalid(broken)
    })
}

/// Without a mask, a PATCH changes the fields that its body has (AIP-134), be it
/// to nothing; never the version that it expects.
fn add_mask(message: &mut DynamicMessage, binding: &Binding, mut changed: Vec<String>) {
    let Some(mask) = &binding.mask else { return };
    if message.has_field(mask) {
        return;
    }
    let etag = binding.etag.as_deref().and_then(|path| path.split_once('.'));
    changed.retain(|name| etag.is_none_or(|(_, etag)| etag != name));
    let Some(descriptor) = mask.kind().as_message().cloned() else { return };
    let mut paths = DynamicMessage::new(descriptor);
    let list = changed.into_iter().map(Field::String).collect();
    if paths.try_set_field_by_name("paths", Field::List(list)).is_ok() {
        message.set_field(mask, Field::Message(paths));
    }
}

fn object(value: Value) -> Result<Map<String, Value>, Fault> {
    let message = "the body is not the JSON that is expected: it is no object";
    match value {
        Value::Object(map) => Ok(map),
        _ => Err(Fault::new(Code::InvalidArgument, "MALFORMED_JSON", message)),
    }
}

/// Adds what the body gives to what the path, the query and the headers have given.
fn merge(
    into: &mut Map<String, Value>,
    given: Map<String, Value>,
    path: &str,
    broken: &mut Vec<Violation>,
) {
    for (name, value) in given {
        let at = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        match (into.get_mut(&name), value) {
            (None, value) => {
                into.insert(name, value);
            }
            (Some(Value::Object(known)), Value::Object(value)) => {
                merge(known, value, &at, broken);
            }
            (Some(known), value) if *known == value => {}
            (Some(_), _) => {
                let rule = "the path, the query or a header gives another value";
                broken.push(Violation::new(at, "json.twice", rule));
            }
        }
    }
}

/// The version that `If-Match` asks for (RFC 9110, section 13.1.1); `Some(None)`
/// for any.
fn if_match(headers: &HeaderMap) -> Result<Option<Option<String>>, Fault> {
    let mut given = headers.get_all(IF_MATCH).iter();
    let (first, second) = (given.next(), given.next());
    let Some(first) = first else { return Ok(None) };
    let text = first.to_str().ok().map(str::trim).filter(|_| second.is_none());
    if text == Some("*") {
        return Ok(Some(None));
    }
    let quoted = text.and_then(|text| text.strip_prefix('"')?.strip_suffix('"'));
    let etag = quoted.filter(|etag| !etag.is_empty() && !etag.contains('"'));
    let message = "If-Match must be one strong etag in quotes, or *";
    let malformed = || Fault::new(Code::InvalidArgument, "MALFORMED_IF_MATCH", message);
    etag.map(|etag| Some(Some(etag.to_owned()))).ok_or_else(malformed)
}

/// The version of what an answer shows: its own etag, or that of the one thing in it.
pub(crate) fn etag(message: &DynamicMessage) -> Option<String> {
    let text = |message: &DynamicMessage| {
        let value = field(&message.descriptor(), "etag").filter(|field| !field.is_list())?;
        message.get_field(&value).as_str().map(str::to_owned)
    };
    let descriptor = message.descriptor();
    text(message).or_else(|| {
        let mut things = descriptor.fields().filter(|field| field.kind().as_message().is_some());
        let (thing, None) = (things.next()?, things.next()) else { return None };
        let value = message.get_field(&thing);
        text(value.as_message()?)
    })
}
