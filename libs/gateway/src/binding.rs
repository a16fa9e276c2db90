//! One HTTP route of an RPC, as `google.api.http` says it is.

use std::sync::Arc;

use http::Method;
use prost::Message as _;
use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};

use crate::{Error, rpc::Rpc, template::Template};

/// A route.
#[derive(Debug)]
pub(crate) struct Binding {
    pub(crate) method: Method,
    pub(crate) template: Template,
    pub(crate) body: Takes,
    /// The field of the answer that its body holds.
    pub(crate) answer: Option<FieldDescriptor>,
    /// The field that takes the names of what a PATCH changes.
    pub(crate) mask: Option<FieldDescriptor>,
    /// Where the version goes that `If-Match` names.
    pub(crate) etag: Option<String>,
    pub(crate) rpc: Arc<Rpc>,
}

/// What the body of a request is.
#[derive(Debug)]
pub(crate) enum Takes {
    /// There is none.
    Nothing,
    /// All that the path does not give.
    Everything,
    /// This field.
    Field(FieldDescriptor),
}

/// `google.api.HttpRule`.
#[derive(Clone, PartialEq, prost::Message)]
struct HttpRule {
    #[prost(oneof = "Pattern", tags = "2, 3, 4, 5, 6, 8")]
    pattern: Option<Pattern>,
    #[prost(string, tag = "7")]
    body: String,
    #[prost(message, repeated, tag = "11")]
    additional_bindings: Vec<HttpRule>,
    #[prost(string, tag = "12")]
    response_body: String,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Pattern {
    #[prost(string, tag = "2")]
    Get(String),
    #[prost(string, tag = "3")]
    Put(String),
    #[prost(string, tag = "4")]
    Post(String),
    #[prost(string, tag = "5")]
    Delete(String),
    #[prost(string, tag = "6")]
    Patch(String),
    #[prost(message, tag = "8")]
    Custom(CustomHttpPattern),
}

/// `google.api.CustomHttpPattern`.
#[derive(Clone, PartialEq, prost::Message)]
struct CustomHttpPattern {
    #[prost(string, tag = "1")]
    kind: String,
    #[prost(string, tag = "2")]
    path: String,
}

impl Binding {
    /// All routes of an RPC; none, where it has no annotation.
    pub(crate) fn all(rpc: &Arc<Rpc>) -> Result<Vec<Self>, Error> {
        let pool = rpc.descriptor.parent_pool();
        let options = rpc.descriptor.options();
        let extension = pool.get_extension_by_name("google.api.http");
        let Some(extension) = extension.filter(|known| options.has_extension(known)) else {
            return Ok(Vec::new());
        };
        let value = options.get_extension(&extension);
        let bytes = value.as_message().map(|rule| rule.encode_to_vec()).unwrap_or_default();
        let rule = HttpRule::decode(bytes.as_slice()).map_err(|e| rpc.wrong(e.to_string()))?;
        if rpc.asks_in_a_stream {
            return Err(rpc.wrong("stands at an RPC whose requests stream, which HTTP can not"));
        }
        std::iter::once(&rule)
            .chain(&rule.additional_bindings)
            .map(|rule| Self::of(rule, rpc))
            .collect()
    }

    fn of(rule: &HttpRule, rpc: &Arc<Rpc>) -> Result<Self, Error> {
        let (method, template) = rule.pattern(rpc)?;
        let template = Template::parse(template).map_err(|reason| rpc.wrong(reason))?;
        for path in template.fields() {
            field(&rpc.input, path).filter(is_single).ok_or_else(|| {
                rpc.wrong(format!("has {path} in its path, which is no field of one value"))
            })?;
        }
        let named = |message: &MessageDescriptor, name: &str| {
            let found = message.get_field_by_name(name);
            found.ok_or_else(|| rpc.wrong(format!("names {name}, which is no field")))
        };
        let body = match rule.body.as_str() {
            "" => Takes::Nothing,
            "*" => Takes::Everything,
            name => Takes::Field(named(&rpc.input, name)?),
        };
        let answer = match rule.response_body.as_str() {
            "" => None,
            name => Some(named(&rpc.output, name)?),
        };
        let mask = match &body {
            Takes::Field(_) if method == Method::PATCH => update_mask(&rpc.input),
            _ => None,
        };
        let etag = etag_of(&rpc.input, &body);
        Ok(Self { method, template, body, answer, mask, etag, rpc: Arc::clone(rpc) })
    }
}

impl HttpRule {
    fn pattern(&self, rpc: &Rpc) -> Result<(Method, &str), Error> {
        match &self.pattern {
            Some(Pattern::Get(path)) => Ok((Method::GET, path)),
            Some(Pattern::Put(path)) => Ok((Method::PUT, path)),
            Some(Pattern::Post(path)) => Ok((Method::POST, path)),
            Some(Pattern::Delete(path)) => Ok((Method::DELETE, path)),
            Some(Pattern::Patch(path)) => Ok((Method::PATCH, path)),
            Some(Pattern::Custom(_)) | None => Err(rpc.wrong("has no method, or one of its own")),
        }
    }
}

/// The field at a path such as `profile.user_id`.
pub(crate) fn field(message: &MessageDescriptor, path: &str) -> Option<FieldDescriptor> {
    let (name, rest) = path.split_once('.').map_or((path, None), |(name, rest)| (name, Some(rest)));
    let found = message.get_field_by_name(name)?;
    match rest {
        None => Some(found),
        Some(rest) if !found.is_list() => field(found.kind().as_message()?, rest),
        Some(_) => None,
    }
}

fn is_single(field: &FieldDescriptor) -> bool {
    !field.is_list() && !field.is_map() && !matches!(field.kind(), Kind::Message(_))
}

fn update_mask(input: &MessageDescriptor) -> Option<FieldDescriptor> {
    let field = input.get_field_by_name("update_mask")?;
    let kind = field.kind();
    (kind.as_message()?.full_name() == "google.protobuf.FieldMask").then_some(field)
}

fn etag_of(input: &MessageDescriptor, body: &Takes) -> Option<String> {
    let has = |message: &MessageDescriptor| {
        message.get_field_by_name("etag").is_some_and(|etag| etag.kind() == Kind::String)
    };
    match body {
        Takes::Field(field) if field.kind().as_message().is_some_and(has) => {
            Some(format!("{}.etag", field.name()))
        }
        _ => has(input).then(|| "etag".to_owned()),
    }
}
