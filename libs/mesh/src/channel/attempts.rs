//! One call: within its deadline, with as many attempts as it may have.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, uri::PathAndQuery};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::time::{Instant, sleep};
use tonic::{Code, Status, body::Body};

use super::{
    exchange::{Answer, Outgoing, Payload},
    failure::Failure,
    fleet::Fleet,
    methods::{Method, Methods},
    replica::is_held_against,
    retry::Verdict,
    throttle::Throttle,
};
use crate::{
    config::ChannelConfig,
    server::{Timed, asked},
};

/// How often a call may meet connections that had ended before it was sent. It
/// costs nobody anything; but nothing is done without an end.
const MAX_UNSENT: u32 = 100;
/// The header that tells a server how often a call was tried before (gRFC A6).
const PREVIOUS: &str = "grpc-previous-rpc-attempts";

/// Makes the calls of a channel.
pub(super) struct Attempts {
    pub(super) fleet: Fleet,
    methods: Methods,
    throttle: Throttle,
    config: ChannelConfig,
}

/// A call with one message there and one back.
struct Unary {
    path: PathAndQuery,
    headers: HeaderMap,
    message: Bytes,
    method: Method,
    deadline: Instant,
}

/// What the caller gets; of a stream, its beginning.
pub(super) struct Outcome {
    pub code: Code,
    pub response: http::Response<Body>,
}

impl From<Status> for Outcome {
    fn from(status: Status) -> Self {
        Self { code: status.code(), response: status.into_http() }
    }
}

impl Attempts {
    pub(super) fn new(fleet: Fleet, methods: Methods, config: &ChannelConfig) -> Self {
        let throttle = Throttle::new(config);
        Self { fleet, methods, throttle, config: config.clone() }
    }

    /// Makes a call, which has to be over by `latest`.
    pub(super) async fn call(
        self: Arc<Self>,
        request: http::Request<Body>,
        latest: Option<Instant>,
    ) -> Outcome {
        let now = Instant::now();
        let (head, body) = request.into_parts();
        let Ok(asked) = asked(&head.headers) else {
            return Status::invalid_argument("grpc-timeout cannot be read").into();
        };
        let asked = asked.map(|asked| now + asked);
        let Some(path) = head.uri.path_and_query().cloned() else {
            return Status::internal("a call without a path").into();
        };
        let method = self.methods.of(path.path());
        if !method.unary {
            let end = [asked, latest].into_iter().flatten().min();
            return self.stream(path, head.headers, body, end).await;
        }
        let own = asked.unwrap_or(now + self.config.timeout);
        let deadline = latest.map_or(own, |latest| latest.min(own));
        let message = match Limited::new(body, self.max_bytes()).collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) if error.is::<LengthLimitError>() => {
                return Status::resource_exhausted("the request is too large").into();
            }
            Err(error) => return Status::from_error(error).into(),
        };
        self.unary(Unary { path, headers: head.headers, message, method, deadline }).await
    }

    async fn unary(&self, call: Unary) -> Outcome {
        let (mut attempts, mut unsent) = (1, 0);
        loop {
            let outcome = match self.attempt(&call, attempts).await {
                Some(outcome) => outcome,
                None => return self.nobody(call.deadline).into(),
            };
            let unheard = matches!(outcome, Err(Failure::Unsent | Failure::Unheard));
            let (status, response) = match outcome {
                Ok(Answer { response, code: Some(Code::Ok) }) => {
                    self.throttle.succeeded();
                    return Outcome { code: Code::Ok, response };
                }
                Ok(mut answer) => (answer.status().await, Some(answer.response)),
                Err(Failure::Unsent) if unsent < MAX_UNSENT => {
                    unsent += 1;
                    continue;
                }
                Err(failure) => (failure.to_status(), None),
            };
            // What nobody has looked at may be sent again, whatever it asks for.
            let method = Method { idempotent: call.method.idempotent || unheard, ..call.method };
            if !self.again(&status, method, &call, attempts).await {
                let code = status.code();
                return response
                    .map_or_else(|| status.into(), |response| Outcome { code, response });
            }
            attempts += 1;
        }
    }

    /// One attempt; `None` where there was no replica for it in time.
    async fn attempt(&self, call: &Unary, attempts: u32) -> Option<Result<Answer, Failure>> {
        let mut headers = call.headers.clone();
        if attempts > 1 {
            headers.insert(PREVIOUS, HeaderValue::from(attempts - 1));
        }
        let outgoing = Outgoing {
            path: call.path.clone(),
            headers,
            payload: Payload::Whole(call.message.clone()),
            deadline: Some(call.deadline),
            // What cannot be tried again has all the time there is.
            patience: call.method.idempotent.then_some(self.config.attempt_timeout),
            max_bytes: self.max_bytes(),
        };
        Some(self.fleet.give(outgoing).await?.await)
    }

    /// Waits until it may be tried again; false where it may not.
    async fn again(&self, status: &Status, method: Method, call: &Unary, attempts: u32) -> bool {
        let verdict = Verdict::of(status, method);
        if verdict == Verdict::Final && !is_held_against(status.code()) {
            // A refusal is an answer: the server is well.
            self.throttle.succeeded();
            return false;
        }
        let granted = self.throttle.failed();
        let Some(pause) = verdict.pause(attempts, &self.config) else { return false };
        if attempts >= self.config.max_attempts || Instant::now() + pause >= call.deadline {
            return false;
        }
        if !granted {
            self.fleet.meter.throttled();
            return false;
        }
        sleep(pause).await;
        self.fleet.meter.retried();
        true
    }

    /// A call of which one message or the other is a stream: it is sent once.
    async fn stream(
        &self,
        path: PathAndQuery,
        headers: HeaderMap,
        body: Body,
        end: Option<Instant>,
    ) -> Outcome {
        let max_bytes = self.max_bytes();
        let outgoing = Outgoing {
            path,
            headers,
            payload: Payload::Stream(body),
            deadline: end,
            patience: None,
            max_bytes,
        };
        let Some(attempt) = self.fleet.give(outgoing).await else {
            return self.nobody(end.unwrap_or_else(Instant::now)).into();
        };
        let Answer { response, code } = match attempt.await {
            Ok(answer) => answer,
            Err(failure) => return failure.to_status().into(),
        };
        let response = match end {
            Some(end) => response.map(|body| Timed::body(body, end)),
            None => response,
        };
        Outcome { code: code.unwrap_or(Code::Ok), response }
    }

    /// What a call gets for which there was no replica.
    fn nobody(&self, deadline: Instant) -> Status {
        let (name, trouble) = (self.fleet.name(), self.fleet.trouble());
        let why = trouble.map(|trouble| format!(": {trouble}")).unwrap_or_default();
        match Instant::now() >= deadline {
            true => {
                Status::deadline_exceeded(format!("no replica of {name} was there in time{why}"))
            }
            false => Status::unavailable(format!("no replica of {name} can be reached{why}")),
        }
    }

    fn max_bytes(&self) -> usize {
        usize::try_from(self.config.max_message_bytes).unwrap_or(usize::MAX)
    }
}
