//! The messages of a gRPC answer, one by one, until its status.

use bytes::{Buf, Bytes, BytesMut};
use countersign_guard::status;
use countersign_types::Fault;
use http_body_util::BodyExt;
use tonic::{Status, body::Body};

/// Bytes before each message: whether it is compressed, and its length.
const HEAD: usize = 5;

/// An answer that is being read.
pub(crate) struct Frames {
    body: Body,
    read: BytesMut,
    /// What the trailers have said, once they are there.
    end: Option<Result<(), Status>>,
}

impl Frames {
    pub(crate) fn of(body: Body) -> Self {
        Self { body, read: BytesMut::new(), end: None }
    }

    /// The next message; `None` after the last one.
    ///
    /// # Errors
    /// How the call has ended, where it has not ended well.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Status> {
        loop {
            if let Some(message) = self.whole()? {
                return Ok(Some(message));
            }
            if let Some(end) = self.end.take() {
                return end.map(|()| None);
            }
            match self.body.frame().await {
                None => return Err(broken()),
                Some(Err(error)) => return Err(error),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.read.extend_from_slice(&data),
                    Err(frame) => {
                        let trailers = frame.trailers_ref();
                        let said = trailers.and_then(Status::from_header_map);
                        self.end = Some(ended(said.ok_or_else(broken)?));
                    }
                },
            }
        }
    }

    /// A message that is there as a whole.
    fn whole(&mut self) -> Result<Option<Bytes>, Status> {
        let Some((head, rest)) = self.read.split_at_checked(HEAD) else { return Ok(None) };
        let mut head = head;
        if head.get_u8() != 0 {
            return Err(broken());
        }
        let length = usize::try_from(head.get_u32()).map_err(|_| broken())?;
        if rest.len() < length {
            return Ok(None);
        }
        self.read.advance(HEAD);
        Ok(Some(self.read.split_to(length).freeze()))
    }
}

/// What a status says of the call that it ends.
pub(crate) fn ended(said: Status) -> Result<(), Status> {
    if said.code() == tonic::Code::Ok { Ok(()) } else { Err(said) }
}

fn broken() -> Status {
    status(Fault::internal())
}
