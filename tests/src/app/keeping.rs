//! What an operator does to the keys of a system that runs.

use countersign_seal::MasterKeys;
use countersign_user::admin::Keeper as UserKeeper;

use super::{Keeper, TestApp};

impl TestApp {
    /// The keys of the auth service, on connections of their own.
    ///
    /// # Panics
    /// They do not open.
    pub async fn auth_keeper(&self) -> Keeper {
        let db = self.ledger().await.auth;
        Keeper::open(&db, &self.shape().clock, self.masters()).await.expect("the vault opens")
    }

    /// The same of the user service.
    ///
    /// # Panics
    /// They do not open.
    pub async fn user_keeper(&self) -> UserKeeper {
        let db = self.ledger().await.user;
        UserKeeper::open(&db, &self.shape().clock, self.masters()).await.expect("the vault opens")
    }

    /// The master keys, which both services share.
    ///
    /// # Panics
    /// There are none.
    #[must_use]
    pub fn masters(&self) -> MasterKeys {
        let config = self.config();
        let file = config.master_key_file.clone();
        let file = file.unwrap_or_else(|| config.data_dir.join("master.key"));
        MasterKeys::load(file).expect("the master key is there")
    }
}
