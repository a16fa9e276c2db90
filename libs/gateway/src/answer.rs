//! The answer to a call that came as JSON: gRPC's answer, told as its caller
//! understands it.

use std::sync::Arc;

use bytes::Bytes;
use countersign_guard::status;
use countersign_types::Fault;
use http::{HeaderValue, Response, StatusCode, header::ETAG};
use prost_reflect::{DynamicMessage, FieldDescriptor, Value as Field};
use serde_json::{Value, json};
use tonic::{Status, body::Body};

use crate::{
    binding::Binding,
    connect,
    frames::{Frames, ended},
    lines::Lines,
    message,
    refusal::Refusals,
    reply::json_answer,
    rpc::Rpc,
};

/// A call that is under way, and how its caller wants to be answered.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) rpc: Arc<Rpc>,
    /// The route; without one, the caller speaks Connect.
    pub(crate) binding: Option<Arc<Binding>>,
    pub(crate) had_if_match: bool,
    pub(crate) refusals: Arc<Refusals>,
}

impl Exchange {
    /// Makes the answer of what gRPC has answered.
    pub(crate) async fn answer(self, response: Response<Body>) -> Response<Body> {
        if let Some(Err(said)) = Status::from_header_map(response.headers()).map(ended) {
            return self.refusal(&said);
        }
        let mut frames = Frames::of(response.into_body());
        let first = frames.next().await;
        if self.rpc.answers_in_a_stream {
            return match first {
                Ok(first) => Lines::new(first, frames, move |line| self.line(line)).answer(),
                Err(said) => self.refusal(&said),
            };
        }
        let message = match first {
            // The call has ended well only when its status says so.
            Ok(Some(message)) => frames.next().await.map(|_| message),
            Ok(None) => Err(status(Fault::internal())),
            Err(said) => Err(said),
        };
        let answer = message.and_then(|message| self.success(message));
        answer.unwrap_or_else(|said| self.refusal(&said))
    }

    /// The error, as this caller understands it.
    pub(crate) fn refusal(&self, said: &Status) -> Response<Body> {
        match &self.binding {
            Some(_) => self.refusals.answer(said, self.had_if_match),
            None => connect::refusal(said),
        }
    }

    /// A message of a stream as JSON, or the error that ends it.
    fn line(&self, line: Result<Bytes, Status>) -> Result<Value, Value> {
        let told = line.and_then(|message| self.part(&self.decode(message)?));
        told.map_err(|said| self.refusals.json(&said))
    }

    fn success(&self, message: Bytes) -> Result<Response<Body>, Status> {
        let message = self.decode(message)?;
        let (code, etag) = match &self.binding {
            Some(_) => (self.rpc.success, message::etag(&message)),
            None => (StatusCode::OK, None),
        };
        let mut answer = json_answer(code, &self.part(&message)?);
        let etag = etag.filter(|etag| !etag.is_empty() && !etag.contains('"'));
        if let Some(etag) = etag.and_then(|etag| HeaderValue::try_from(format!("\"{etag}\"")).ok())
        {
            answer.headers_mut().insert(ETAG, etag);
        }
        Ok(answer)
    }

    fn decode(&self, message: Bytes) -> Result<DynamicMessage, Status> {
        DynamicMessage::decode(self.rpc.output.clone(), message)
            .map_err(|_| status(Fault::internal()))
    }

    /// The message, or the field of it that the route answers with.
    fn part(&self, message: &DynamicMessage) -> Result<Value, Status> {
        let field = self.binding.as_ref().and_then(|binding| binding.answer.as_ref());
        let value = match field {
            None => serde_json::to_value(message),
            Some(field) => match (&*message.get_field(field), field.is_list()) {
                (Field::Message(part), false) => serde_json::to_value(part),
                _ => serde_json::to_value(message).map(|whole| picked(whole, field)),
            },
        };
        value.map_err(|_| status(Fault::internal()))
    }
}

fn picked(mut whole: Value, field: &FieldDescriptor) -> Value {
    let part = whole.get_mut(field.json_name()).map(Value::take);
    part.unwrap_or_else(|| if field.is_list() { json!([]) } else { Value::Null })
}
