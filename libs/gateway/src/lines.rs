//! A stream of messages as lines of JSON: `{"result": …}` for each, and, where it
//! does not end well, `{"error": …}` as the last one.

use bytes::Bytes;
use futures::{Stream, stream};
use http::Response;
use http_body::Frame;
use http_body_util::StreamBody;
use serde_json::{Value, json};
use tonic::{Status, body::Body};

use crate::{
    answer::{Exchange, private},
    frames::Frames,
};

pub(crate) struct Lines {
    exchange: Exchange,
    first: Option<Bytes>,
    frames: Frames,
    over: bool,
}

impl Lines {
    /// Of an answer whose first message is there; `None` where there is none.
    pub(crate) fn new(exchange: Exchange, first: Option<Bytes>, frames: Frames) -> Self {
        let over = first.is_none();
        Self { exchange, first, frames, over }
    }

    /// The answer.
    pub(crate) fn answer(self) -> Response<Body> {
        let mut answer = Response::new(Body::new(StreamBody::new(self.lines())));
        private(&mut answer, "application/x-ndjson");
        answer
    }

    fn lines(self) -> impl Stream<Item = Result<Frame<Bytes>, Status>> {
        stream::unfold(self, |mut lines| async move {
            let line = lines.next().await?;
            let mut text = line.to_string().into_bytes();
            text.push(b'\n');
            Some((Ok(Frame::data(Bytes::from(text))), lines))
        })
    }

    async fn next(&mut self) -> Option<Value> {
        if self.over {
            return None;
        }
        let message = match self.first.take() {
            Some(message) => Ok(Some(message)),
            None => self.frames.next().await,
        };
        let line = message.and_then(|message| message.map(|m| self.exchange.json(m)).transpose());
        match line {
            Ok(line) => line.map(|message| json!({"result": message})),
            Err(said) => {
                self.over = true;
                Some(json!({"error": self.exchange.error(&said)}))
            }
        }
    }
}
