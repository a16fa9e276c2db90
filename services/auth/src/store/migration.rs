//! How the tables come to be, step by step. A step that was released is never
//! changed. Times are microseconds.

use sea_orm_migration::{
    MigrationName, MigrationTrait, MigratorTrait, SchemaManager, async_trait,
    schema::{big_integer, big_integer_null, text, text_null, uuid},
    sea_orm::{ConnectionTrait, DbErr, Statement},
    sea_query::{ColumnDef, ForeignKey, ForeignKeyAction, Index, IntoIden, Table},
};

use super::{account, credential, network, session, signing_key};

/// All steps: the tables of events, of the audit trail and of the probe, and our own.
pub struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        let mut steps = countersign_events::migrations();
        steps.extend(countersign_audit::migrations());
        steps.push(Box::new(Tables));
        steps.push(Box::new(LiveSessions));
        steps.push(Box::new(Administration));
        steps.push(Box::new(Attributes));
        steps.push(Box::new(AuthenticationMethods));
        steps.extend(countersign_vault::migrations());
        steps.push(Box::new(Sealed));
        steps.push(Box::new(Networks));
        steps.extend(countersign_mesh::database::migrations());
        steps
    }
}

struct Tables;

impl MigrationName for Tables {
    fn name(&self) -> &'static str {
        "auth_000001_tables"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Tables {
    // On SQLite, too: a start that is killed in the middle can be repeated.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        accounts(manager).await?;
        sessions(manager).await?;
        keys(manager).await
    }
}

struct LiveSessions;

impl MigrationName for LiveSessions {
    fn name(&self) -> &'static str {
        "auth_000002_live_sessions"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for LiveSessions {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // Partial: however many sessions of an account have ended, its live ones are found at once.
        let live = "CREATE INDEX sessions_live ON sessions (user_id, id) \
                    WHERE revoke_time IS NULL";
        manager.get_connection().execute_unprepared(live).await.map(drop)
    }
}

struct Administration;

impl MigrationName for Administration {
    fn name(&self) -> &'static str {
        "auth_000003_administration"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Administration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        use account::Column as Account;
        for column in [Account::EpochTime, Account::DeleteTime] {
            let mut added = Table::alter();
            added.table(account::Entity).add_column(big_integer_null(column));
            manager.alter_table(added).await?;
        }
        // Partial, both: few accounts were changed, and few have roles.
        for index in [
            "CREATE INDEX accounts_epoch ON accounts (epoch_time) WHERE epoch_time IS NOT NULL",
            "CREATE INDEX accounts_roles ON accounts (id) WHERE roles <> '[]'",
        ] {
            manager.get_connection().execute_unprepared(index).await?;
        }
        Ok(())
    }
}

struct Attributes;

impl MigrationName for Attributes {
    fn name(&self) -> &'static str {
        "auth_000004_attributes"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Attributes {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        use account::Column as Account;
        // With defaults: servers of the former version go on making accounts.
        for (column, value) in [(Account::Tenant, "default"), (Account::Attributes, "{}")] {
            let mut added = Table::alter();
            added.table(account::Entity).add_column(text(column).default(value));
            manager.alter_table(added).await?;
        }
        // A list of a small tenant must not look through all the others.
        let listed = "CREATE INDEX accounts_tenant ON accounts (tenant, id)";
        manager.get_connection().execute_unprepared(listed).await.map(drop)
    }
}

struct AuthenticationMethods;

impl MigrationName for AuthenticationMethods {
    fn name(&self) -> &'static str {
        "auth_000005_authentication_methods"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for AuthenticationMethods {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // With a default: so far all sessions have begun with a password, and those
        // that servers of the former version go on beginning do.
        let methods = text(session::Column::AuthMethods).default("pwd").take();
        let mut added = Table::alter();
        added.table(session::Entity).add_column(methods);
        manager.alter_table(added).await
    }
}

struct Sealed;

impl MigrationName for Sealed {
    fn name(&self) -> &'static str {
        "auth_000006_sealed"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Sealed {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        use account::Column as Account;
        use session::Column as Session;
        // Beside the columns in the clear, which servers of the former version go on with.
        for column in [Account::EmailSealed, Account::EmailIndex] {
            let mut added = Table::alter();
            added.table(account::Entity).add_column(ColumnDef::new(column).blob().null());
            manager.alter_table(added).await?;
        }
        for column in [Session::DeviceLabelSealed, Session::AddressSealed] {
            let mut added = Table::alter();
            added.table(session::Entity).add_column(ColumnDef::new(column).blob().null());
            manager.alter_table(added).await?;
        }
        let db = manager.get_connection();
        for index in [
            "CREATE UNIQUE INDEX accounts_email_index ON accounts (email_index)",
            "CREATE INDEX accounts_deleting ON accounts (delete_time) WHERE status = 'deleting'",
        ] {
            db.execute_unprepared(index).await?;
        }
        let anybody = "SELECT id FROM accounts LIMIT 1";
        let anybody = Statement::from_string(manager.get_database_backend(), anybody);
        let is_empty = db.query_one_raw(anybody).await?.is_none();
        countersign_vault::begins_sealed(manager, is_empty).await
    }
}

struct Networks;

impl MigrationName for Networks {
    fn name(&self) -> &'static str {
        "auth_000007_networks"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Networks {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        use network::Column as Network;
        let networks = Table::create()
            .table(network::Entity)
            .col(uuid(Network::AccountId))
            .col(blob(Network::Mark))
            .col(big_integer(Network::LastTime))
            .primary_key(Index::create().col(Network::AccountId).col(Network::Mark))
            .take();
        manager.create_table(networks).await
    }
}

async fn accounts(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    use account::Column as Account;
    use credential::Column as Credential;
    let accounts = Table::create()
        .table(account::Entity)
        .col(uuid(Account::Id).primary_key())
        .col(text(Account::Email).unique_key())
        .col(text(Account::Status))
        .col(big_integer(Account::Epoch))
        .col(text(Account::Roles))
        .col(big_integer(Account::CreateTime))
        .col(big_integer(Account::UpdateTime))
        .take();
    let mut owner = ForeignKey::create();
    owner
        .from(credential::Entity, Credential::AccountId)
        .to(account::Entity, Account::Id)
        .on_delete(ForeignKeyAction::Cascade);
    let credentials = Table::create()
        .table(credential::Entity)
        .col(uuid(Credential::AccountId).primary_key())
        .col(text(Credential::Hash))
        .col(big_integer(Credential::UpdateTime))
        .foreign_key(&mut owner)
        .take();
    manager.create_table(accounts).await?;
    manager.create_table(credentials).await
}

async fn sessions(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    use session::Column as Session;
    let mut owner = ForeignKey::create();
    owner
        .from(session::Entity, Session::UserId)
        .to(account::Entity, account::Column::Id)
        .on_delete(ForeignKeyAction::Cascade);
    let sessions = Table::create()
        .table(session::Entity)
        .col(uuid(Session::Id).primary_key())
        .col(uuid(Session::UserId))
        .col(big_integer(Session::Generation))
        .col(text(Session::DeviceLabel))
        .col(text(Session::Address))
        .col(big_integer(Session::CreateTime))
        .col(big_integer(Session::AuthTime))
        .col(big_integer(Session::LastActiveTime))
        .col(big_integer(Session::RotateTime))
        .col(big_integer(Session::ExpireTime))
        .col(big_integer(Session::AbsoluteExpireTime))
        .col(big_integer_null(Session::RevokeTime))
        .col(text_null(Session::RevokeReason))
        .foreign_key(&mut owner)
        .take();
    let of_user = Index::create()
        .name("sessions_user")
        .table(session::Entity)
        .col(Session::UserId)
        .col(Session::Id)
        .take();
    let expiring = Index::create()
        .name("sessions_expire")
        .table(session::Entity)
        .col(Session::ExpireTime)
        .take();
    manager.create_table(sessions).await?;
    manager.create_index(of_user).await?;
    manager.create_index(expiring).await?;
    // Partial: only the few that were revoked and are not swept yet.
    let revoked = "CREATE INDEX sessions_revoked ON sessions (revoke_time) \
                   WHERE revoke_time IS NOT NULL";
    manager.get_connection().execute_unprepared(revoked).await?;
    Ok(())
}

async fn keys(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    use signing_key::Column as Key;
    let keys = Table::create()
        .table(signing_key::Entity)
        .col(uuid(Key::Id).primary_key())
        .col(text(Key::KeyId).unique_key())
        // A key has one successor, whoever is first to make it.
        .col(text(Key::Predecessor).unique_key())
        .col(text(Key::Paserk))
        .col(blob(Key::Secret))
        .col(big_integer(Key::AnnounceTime))
        .col(big_integer(Key::SignTime))
        .col(big_integer_null(Key::RetireTime))
        .col(big_integer_null(Key::RemoveTime))
        .take();
    let vault =
        Table::create().table("vault").col(text("name").primary_key()).col(blob("value")).take();
    manager.create_table(keys).await?;
    manager.create_table(vault).await
}

fn blob(column: impl IntoIden) -> ColumnDef {
    ColumnDef::new(column).blob().not_null().take()
}
