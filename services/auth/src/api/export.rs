//! Everything that is held about a person, record by record.

use std::sync::Arc;

use countersign_contracts::auth::v1::{
    ExportAccountRequest, ExportAccountResponse, export_account_response::Record,
};
use countersign_guard::Call;
use countersign_types::SessionId;
use futures::{
    StreamExt, TryStreamExt,
    stream::{self, BoxStream},
};

use super::Api;
use crate::{
    Error, convert,
    store::session::{self, Page},
};

/// Sessions that are read at a time.
const PAGE: u64 = 100;

pub(super) type Records = BoxStream<'static, Result<ExportAccountResponse, Error>>;

impl Api {
    pub(super) async fn export(&self, call: Call<ExportAccountRequest>) -> Result<Records, Error> {
        let Call { permit, caller, .. } = call;
        let account = Record::Account(self.account(&permit).await?);
        let (api, permit, current) = (self.clone(), Arc::new(permit), caller.session_id());
        let pages = stream::try_unfold(Some(None), move |from: Option<Option<SessionId>>| {
            let (api, permit) = (api.clone(), Arc::clone(&permit));
            async move {
                let Some(after) = from else { return Ok(None) };
                let page = Page { after, size: PAGE };
                let rows = session::history(api.db(), &api.people, &permit, page).await?;
                let next = rows.last().filter(|_| rows.len() as u64 == PAGE);
                let next = next.map(|last| Some(last.id.into()));
                let records: Vec<_> = rows
                    .iter()
                    .map(|row| Ok(Record::Session(convert::session(row, current))))
                    .collect();
                Ok::<_, Error>(Some((stream::iter(records), next)))
            }
        });
        let records = stream::iter([Ok(account)]).chain(pages.try_flatten());
        Ok(records.map_ok(|record| ExportAccountResponse { record: Some(record) }).boxed())
    }
}
