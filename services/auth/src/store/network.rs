//! The networks that accounts were used from, by their marks.

use std::time::Duration;

use countersign_types::{Timestamp, UserId};
use sea_orm::{QueryOrder, Set, entity::prelude::*, sea_query::Expr};

use crate::Error;

/// Networks that are remembered of one account; the one that was not used for
/// the longest time is forgotten for another.
const REMEMBERED: usize = 32;
/// How exactly it is remembered when a network was last used.
const SAMPLE: Duration = Duration::from_secs(24 * 60 * 60);

/// A network that an account was used from.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "account_networks")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub account_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub mark: Vec<u8>,
    pub last_time: i64,
}

/// Networks stand alone.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// What an account is known for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    /// Whether it was used before, from anywhere.
    pub(crate) account: bool,
    /// Whether it was used from there.
    pub(crate) network: bool,
}

/// Remembers that an account is used from a network, and tells what was known before.
pub(crate) async fn used(
    db: &impl ConnectionTrait,
    account: UserId,
    mark: Vec<u8>,
    now: Timestamp,
) -> Result<Known, Error> {
    let of_account = Column::AccountId.eq(account.as_uuid());
    let before = Entity::find().filter(of_account.clone()).order_by_desc(Column::LastTime);
    let before = before.all(db).await?;
    let found = before.iter().find(|row| row.mark == mark);
    let known = Known { account: !before.is_empty(), network: found.is_some() };
    match found {
        Some(row) if now.since(Timestamp::from_micros(row.last_time)) < SAMPLE => {}
        Some(_) => {
            Entity::update_many()
                .col_expr(Column::LastTime, Expr::value(now.as_micros()))
                .filter(of_account)
                .filter(Column::Mark.eq(mark))
                .exec(db)
                .await?;
        }
        None => {
            for row in before.iter().skip(REMEMBERED - 1) {
                Entity::delete_by_id((row.account_id, row.mark.clone())).exec(db).await?;
            }
            let row = ActiveModel {
                account_id: Set(account.as_uuid()),
                mark: Set(mark),
                last_time: Set(now.as_micros()),
            };
            let once = [Column::AccountId, Column::Mark];
            Entity::insert(row).on_conflict_do_nothing_on(once).exec_without_returning(db).await?;
        }
    }
    Ok(known)
}

/// Forgets all networks of an account.
pub(crate) async fn forget(db: &impl ConnectionTrait, account: UserId) -> Result<(), Error> {
    Entity::delete_many().filter(Column::AccountId.eq(account.as_uuid())).exec(db).await?;
    Ok(())
}
