//! What administrators do to accounts.

use countersign_contracts::auth::v1::{
    Account, DeleteAccountRequest, DisableAccountRequest, EnableAccountRequest, GetAccountRequest,
    UpdateAccountRolesRequest,
};
use tonic::Status;

use crate::Clients;

impl Clients {
    /// An account; "me" is that of the caller.
    ///
    /// # Errors
    /// The refusal.
    pub async fn account(&self, user_id: &str) -> Result<Account, Status> {
        let request = GetAccountRequest { user_id: user_id.to_owned() };
        let response = self.accounts().get_account(request).await?;
        Ok(response.into_inner().account.unwrap_or_default())
    }

    /// Gives roles to an account and takes others from it.
    ///
    /// # Errors
    /// The refusal.
    pub async fn change_roles(
        &self,
        user_id: &str,
        add: &[&str],
        remove: &[&str],
    ) -> Result<Account, Status> {
        let owned = |roles: &[&str]| roles.iter().map(|&role| role.to_owned()).collect();
        let request = UpdateAccountRolesRequest {
            user_id: user_id.to_owned(),
            add_roles: owned(add),
            remove_roles: owned(remove),
            etag: String::new(),
        };
        let response = self.accounts().update_account_roles(request).await?;
        Ok(response.into_inner().account.unwrap_or_default())
    }

    /// Lets an account log in no more.
    ///
    /// # Errors
    /// The refusal.
    pub async fn disable(&self, user_id: &str) -> Result<Account, Status> {
        let request = DisableAccountRequest { user_id: user_id.to_owned(), etag: String::new() };
        let response = self.accounts().disable_account(request).await?;
        Ok(response.into_inner().account.unwrap_or_default())
    }

    /// Lets an account log in again.
    ///
    /// # Errors
    /// The refusal.
    pub async fn enable(&self, user_id: &str) -> Result<Account, Status> {
        let request = EnableAccountRequest { user_id: user_id.to_owned(), etag: String::new() };
        let response = self.accounts().enable_account(request).await?;
        Ok(response.into_inner().account.unwrap_or_default())
    }

    /// Deletes an account.
    ///
    /// # Errors
    /// The refusal.
    pub async fn delete(&self, user_id: &str) -> Result<Account, Status> {
        let request = DeleteAccountRequest { user_id: user_id.to_owned(), etag: String::new() };
        let response = self.accounts().delete_account(request).await?;
        Ok(response.into_inner().account.unwrap_or_default())
    }
}
