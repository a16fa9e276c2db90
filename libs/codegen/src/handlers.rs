//! Guarded handlers: for each service a plain trait, a private adapter that
//! makes it a tonic service, and the one function that mounts it.
//!
//! tonic's own server code goes into the private module of the adapter, so that
//! a service can not be mounted but through the guard.

use std::{fmt::Write as _, sync::Arc};

use prost_build::{Comments, Method, Service, ServiceGenerator};

use crate::{
    names,
    rules::{Access, Contract},
};

/// Writes clients and guarded handlers, with tonic's generators inside.
pub(crate) struct Handlers {
    contract: Arc<Contract>,
    client: Box<dyn ServiceGenerator>,
    server: Box<dyn ServiceGenerator>,
}

impl Handlers {
    pub(crate) fn new(contract: Arc<Contract>) -> Self {
        let client = tonic_prost_build::configure().build_server(false);
        let server = tonic_prost_build::configure().build_client(false).proto_path("super::super");
        Self { contract, client: client.service_generator(), server: server.service_generator() }
    }
}

impl ServiceGenerator for Handlers {
    fn generate(&mut self, service: Service, buf: &mut String) {
        self.client.generate(service.clone(), buf);
        let mut server = String::new();
        self.server.generate(service.clone(), &mut server);

        let name = service.name.clone();
        let full = format!("{}.{}", service.package, service.proto_name);
        let module = names::snake(&service.proto_name);
        let constant = module.to_ascii_uppercase();
        let mut trait_items = String::new();
        let mut adapter_items = String::new();
        for method in &service.methods {
            let rule = self.contract.rpcs.get(&format!("{full}/{}", method.proto_name));
            let access = rule.map(|rule| &rule.access);
            trait_items.push_str(&trait_method(method, access));
            adapter_items.push_str(&adapter_method(&service, method, access));
        }
        let docs = docs(&service.comments);

        // Writing to a string does not fail.
        let _ = write!(
            buf,
            r#"
/// The full name of the service `{full}`, as health checks and reflection have it.
pub const {constant}: &str = "{full}";

{docs}///
/// A handler of this service; [`{module}`] mounts it.
#[cfg(feature = "server")]
pub trait {name}: Send + Sync + 'static {{
    /// Why a call fails.
    type Error: Into<::countersign_types::Fault> + Send;
    {trait_items}
}}

/// Mounts a handler of `{full}` behind the guard. There is no other way to
/// mount one.
#[cfg(feature = "server")]
pub fn {module}<H: {name}>(
    handler: H,
    guard: &::countersign_guard::Guard,
) -> ::countersign_guard::Guarded<
    {module}_guarded::{module}_server::{name}Server<{module}_guarded::Adapter<H>>,
> {{
    let adapter = {module}_guarded::Adapter::new(handler);
    let server = {module}_guarded::{module}_server::{name}Server::new(adapter)
        .accept_compressed(::tonic::codec::CompressionEncoding::Gzip)
        .max_decoding_message_size(guard.max_message_bytes());
    guard.protect(server)
}}

#[cfg(feature = "server")]
mod {module}_guarded {{
    /// Makes a handler a tonic service.
    pub struct Adapter<H>(H);

    impl<H> Adapter<H> {{
        pub(super) const fn new(handler: H) -> Self {{
            Self(handler)
        }}
    }}

    #[::tonic::async_trait]
    impl<H: super::{name}> {module}_server::{name} for Adapter<H> {{
        {adapter_items}
    }}

    {server}
}}
"#
        );
    }
}

/// The method of the plain trait.
fn trait_method(method: &Method, access: Option<&Access>) -> String {
    let Method { name, input_type, output_type, .. } = method;
    let call = match access {
        Some(Access::Public) => "PublicCall",
        Some(Access::List { .. }) => "ListCall",
        _ => "Call",
    };
    let docs = docs(&method.comments);
    let input = match method.client_streaming {
        true => format!("::countersign_guard::Messages<{input_type}>"),
        false => input_type.clone(),
    };
    let (stream, output) = if method.server_streaming {
        let stream = names::camel(&format!("{}Stream", method.proto_name));
        let declared = format!(
            "/// What `{}` answers, message by message.
            type {stream}: ::tonic::codegen::tokio_stream::Stream<Item = Result<{output_type}, Self::Error>> + Send + 'static;\n",
            method.proto_name
        );
        (declared, format!("Self::{stream}"))
    } else {
        (String::new(), output_type.clone())
    };
    format!(
        "{stream}{docs}fn {name}(&self, call: ::countersign_guard::{call}<{input}>)
            -> impl ::core::future::Future<Output = Result<{output}, Self::Error>> + Send;\n"
    )
}

/// The method of tonic's trait: enter through the guard, call, map the error.
fn adapter_method(service: &Service, method: &Method, access: Option<&Access>) -> String {
    let enter = match access {
        Some(Access::Public) => "enter_public(request)".to_owned(),
        Some(Access::List { .. }) => "enter_list(request)".to_owned(),
        Some(Access::Resource { id, .. }) => format!("enter(request, |message| {id})"),
        // An RPC without a rule has been reported; nothing is written then.
        Some(Access::Service) | None => "enter_service(request)".to_owned(),
    };
    let (name, handler) = (&method.name, &service.name);
    let output = from_adapter(&method.output_type);
    let mut input = from_adapter(&method.input_type);
    let mut enter = format!("::countersign_guard::{enter}");
    if method.client_streaming {
        input = format!("::tonic::Streaming<{input}>");
        enter = enter.replacen("::countersign_guard::", "hold.", 1);
    }
    let call = format!("super::{handler}::{name}(&self.0, call)");
    if !method.client_streaming && !method.server_streaming {
        return format!(
            "async fn {name}(&self, request: ::tonic::Request<{input}>)
                -> Result<::tonic::Response<{output}>, ::tonic::Status> {{
                let call = {enter}.await?;
                let answer = {call}.await;
                answer
                    .map(::tonic::Response::new)
                    .map_err(|error| ::countersign_guard::status(error.into()))
            }}\n"
        );
    }
    // Whatever streams is held: it ends when its caller may not go on.
    let (declared, output, answer) = if method.server_streaming {
        let stream = names::camel(&format!("{}Stream", method.proto_name));
        let declared = format!("type {stream} = ::tonic::codegen::BoxStream<{output}>;\n");
        (declared, format!("Self::{stream}"), "hold.stream(answer)")
    } else {
        (String::new(), output, "answer")
    };
    format!(
        "{declared}
        async fn {name}(&self, request: ::tonic::Request<{input}>)
            -> Result<::tonic::Response<{output}>, ::tonic::Status> {{
            let hold = ::countersign_guard::Hold::of(&request)?;
            let call = {enter}.await?;
            let answer = hold.answer({call}).await?;
            Ok(::tonic::Response::new({answer}))
        }}\n"
    )
}

/// A type as the adapter's module sees it, which lies one deeper than the
/// module for which prost wrote the path.
fn from_adapter(path: &str) -> String {
    match path {
        "()" => path.to_owned(),
        _ if path.starts_with("::") => path.to_owned(),
        _ => format!("super::{path}"),
    }
}

fn docs(comments: &Comments) -> String {
    let mut text = String::new();
    // The detached blocks of a file's head are about the file.
    let comments = Comments { leading_detached: Vec::new(), ..comments.clone() };
    comments.append_with_indent(0, &mut text);
    text
}
