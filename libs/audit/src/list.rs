//! Entries as those see them who may: decided in the query.

use countersign_guard::Visible;
use countersign_mesh::database::{self, Page, Since};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, prelude::Uuid,
};

use crate::{
    Error,
    entity::log::{Column, Entity, Model},
    filter::Term,
};

/// A page of the entries that may be seen and that fit the filter, the latest
/// first, and one more.
pub(crate) async fn list(
    db: &impl ConnectionTrait,
    visible: &Visible,
    filter: &[Term],
    page: Page,
) -> Result<Vec<Model>, Error> {
    let column = |attribute: &str| match attribute {
        "owner" => Some(Column::Account.into_expr()),
        "tenant" => Some(Column::Tenant.into_expr()),
        _ => None,
    };
    let visible = database::visible(visible.condition(), &Column::Id.into_expr(), &column);
    let mut query = Entity::find().filter(visible.ok_or(Error::Unlistable)?);
    for term in filter {
        query = match term {
            Term::Account(account) => query.filter(Column::Account.eq(Uuid::from(*account))),
            Term::Actor(actor) => query.filter(Column::Actor.eq(Uuid::from(*actor))),
            Term::Session(session) => query.filter(Column::Session.eq(Uuid::from(*session))),
            Term::Type(action) => query.filter(Column::Action.eq(action.as_str())),
            Term::Outcome(outcome) => query.filter(Column::Outcome.eq(outcome.as_str())),
            Term::Time(Since::Before(time)) => {
                query.filter(Column::RecordTime.lt(time.as_micros()))
            }
            Term::Time(Since::From(time)) => query.filter(Column::RecordTime.gte(time.as_micros())),
        };
    }
    if let Some(after) = page.after {
        query = query.filter(Column::Id.lt(after));
    }
    // Ids are made in the order of time.
    Ok(query.order_by_desc(Column::Id).limit(page.size + 1).all(db).await?)
}
