//! What the service does. Who may call is not asked here: whoever has got a
//! `Call` may.

use countersign_guard::{Call, Messages};
use countersign_types::{Code, Fault};
use futures::{Stream, StreamExt};
use tokio_stream::wrappers::WatchStream;

use crate::{store::Notes, v1};

impl v1::NotesService for Notes {
    type Error = Fault;
    type WatchNoteStream =
        std::pin::Pin<Box<dyn Stream<Item = Result<v1::WatchNoteResponse, Fault>> + Send>>;

    async fn write_note(
        &self,
        call: Call<v1::WriteNoteRequest>,
    ) -> Result<v1::WriteNoteResponse, Fault> {
        let v1::WriteNoteRequest { text, tenant, shared } = call.message;
        let note_id = self.write(call.caller.user_id(), tenant, shared, text);
        Ok(v1::WriteNoteResponse { note_id })
    }

    async fn get_note(&self, call: Call<v1::GetNoteRequest>) -> Result<v1::GetNoteResponse, Fault> {
        let text = self.text(&call.permit).ok_or_else(gone)?;
        let text = text.borrow().clone();
        Ok(v1::GetNoteResponse { text })
    }

    async fn watch_note(
        &self,
        call: Call<v1::WatchNoteRequest>,
    ) -> Result<Self::WatchNoteStream, Fault> {
        let texts = WatchStream::new(self.text(&call.permit).ok_or_else(gone)?);
        Ok(Box::pin(texts.map(|text| Ok(v1::WatchNoteResponse { text }))))
    }

    async fn append_lines(
        &self,
        call: Call<Messages<v1::AppendLinesRequest>>,
    ) -> Result<v1::AppendLinesResponse, Fault> {
        let (mut messages, permit) = (call.message, call.permit);
        let mut lines = 0;
        while let Some(message) = messages.message().await? {
            self.append(&permit, &message.line);
            lines += 1;
        }
        Ok(v1::AppendLinesResponse { lines })
    }
}

fn gone() -> Fault {
    Fault::new(Code::NotFound, "NOTE_NOT_FOUND", "there is no such note")
}
