//! The auth service, as far as its contract goes: asked on behalf of the caller,
//! whom its own guard has to let in.

use countersign_contracts::auth::v1::{
    ExportAccountRequest, account_service_client::AccountServiceClient,
    export_account_response::Record,
};
use countersign_mesh::channel::Reach;
use countersign_types::{Code, Fault, UserId};
use futures::{Stream, StreamExt};
use tonic::Status;

use crate::error::Error;

/// What the auth service knows of people.
#[derive(Clone)]
pub struct Accounts(Option<AccountServiceClient<Reach>>);

impl Accounts {
    pub fn new(reach: Option<Reach>) -> Self {
        Self(reach.map(AccountServiceClient::new))
    }

    /// The records of a person: the account first, then the sessions.
    ///
    /// # Errors
    /// [`Error::Refused`], also for each record.
    pub async fn export(
        &self,
        user: UserId,
    ) -> Result<impl Stream<Item = Result<Record, Error>> + Send + Unpin + 'static, Error> {
        let request = ExportAccountRequest { user_id: user.to_string() };
        let mut accounts = self.0.clone().ok_or_else(|| refused(Status::unavailable("unset")))?;
        let records = accounts.export_account(request).await.map_err(refused)?.into_inner();
        Ok(records
            .filter_map(async |record| match record {
                Ok(record) => record.record.map(Ok),
                Err(status) => Some(Err(refused(status))),
            })
            .boxed())
    }
}

/// What became of the call, in words of our own: the other service's could be about anything.
fn refused(status: Status) -> Error {
    let new = |code, reason, message| Error::Refused(Fault::new(code, reason, message));
    match status.code() {
        tonic::Code::PermissionDenied => {
            new(Code::PermissionDenied, "ACCESS_DENIED", "the account may not be exported")
        }
        tonic::Code::NotFound => {
            new(Code::NotFound, "ACCOUNT_NOT_FOUND", "the account does not exist")
        }
        tonic::Code::Unauthenticated => {
            new(Code::Unauthenticated, "TOKEN_OUTDATED", "the token holds no more: refresh it")
        }
        tonic::Code::DataLoss => {
            let message = "what is stored was damaged and can not be read: tell the operator";
            new(Code::DataLoss, "DATA_DAMAGED", message)
        }
        code => {
            tracing::warn!(rpc.code = ?code, "the account cannot be exported");
            let message = "the service of accounts does not answer: try again later";
            new(Code::Unavailable, "ACCOUNTS_UNAVAILABLE", message)
        }
    }
}
