//! A stream of messages as lines of JSON: `{"result": …}` for each, and, where it
//! does not end well, `{"error": …}` as the last one.

use bytes::Bytes;
use futures::{Stream, stream};
use http::Response;
use http_body::Frame;
use http_body_util::StreamBody;
use serde_json::{Value, json};
use tonic::{Status, body::Body};

use crate::{frames::Frames, reply::private};

/// The lines of one answer; `tell` makes JSON of a message, or of the error that
/// ends them.
pub(crate) struct Lines<T> {
    first: Option<Bytes>,
    frames: Frames,
    tell: T,
    over: bool,
}

impl<T> Lines<T>
where
    T: Fn(Result<Bytes, Status>) -> Result<Value, Value> + Send + 'static,
{
    /// Of an answer whose first message is there; `None` where there is none.
    pub(crate) fn new(first: Option<Bytes>, frames: Frames, tell: T) -> Self {
        let over = first.is_none();
        Self { first, frames, tell, over }
    }

    /// The answer.
    pub(crate) fn answer(self) -> Response<Body> {
        let mut answer = Response::new(Body::new(StreamBody::new(self.lines())));
        private(&mut answer, "application/x-ndjson");
        answer
    }

    fn lines(self) -> impl Stream<Item = Result<Frame<Bytes>, Status>> + Send {
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
        match (self.tell)(message.transpose()?) {
            Ok(message) => Some(json!({"result": message})),
            Err(error) => {
                self.over = true;
                Some(json!({"error": error}))
            }
        }
    }
}
