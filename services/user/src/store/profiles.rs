//! Reading and writing profiles.

use countersign_guard::{Permit, Visible};
use countersign_mesh::database::{self, Page};
use countersign_types::{Fault, Tenant, Timestamp, UserId};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, EntityTrait, ExprTrait, Iterable, QueryFilter, QueryOrder,
    QuerySelect, Select,
    sea_query::{Expr, OnConflict},
};

use super::{
    Profile,
    entity::{ActiveModel, Column, Entity, Model, Status},
};
use crate::{
    error::Error,
    fields::{Fields, TextField},
};

/// The profile that the permit is for; `None` where it is not made yet.
pub async fn find(db: &impl ConnectionTrait, permit: &Permit) -> Result<Option<Profile>, Error> {
    let user: UserId = permit.resource_as()?;
    let row = living(user).one(db).await?;
    row.map(Profile::try_from).transpose()
}

/// The same, locked until the transaction ends: nobody else changes it in between.
pub async fn lock(db: &impl ConnectionTrait, permit: &Permit) -> Result<Option<Profile>, Error> {
    let user: UserId = permit.resource_as()?;
    // SQLite knows no row locks and needs none: the unit's transaction is the only writer.
    let row = living(user).lock_exclusive().one(db).await?;
    row.map(Profile::try_from).transpose()
}

/// Stores the fields, version and time of a profile in place of the version before.
///
/// # Errors
/// [`Error::EtagMismatch`] when the version before is not the stored one.
pub async fn save(
    db: &impl ConnectionTrait,
    permit: &Permit,
    profile: &Profile,
) -> Result<(), Error> {
    let user: UserId = permit.resource_as()?;
    let row = ActiveModel {
        version: Set(profile.version),
        update_time: Set(profile.update_time.as_micros()),
        ..columns_of(&profile.fields)?
    };
    let done = Entity::update_many()
        .set(row)
        .filter(Column::UserId.eq(user.as_uuid()))
        .filter(Column::Version.eq(profile.version - 1))
        .exec(db)
        .await?;
    if done.rows_affected == 1 { Ok(()) } else { Err(Error::EtagMismatch) }
}

/// A page of the profiles that may be seen, in the order of their ids, and one more.
pub async fn list(
    db: &impl ConnectionTrait,
    visible: &Visible,
    page: Page,
) -> Result<Vec<Profile>, Error> {
    let column = |attribute: &str| match attribute {
        "owner" => Some(Column::UserId.into_expr()),
        "tenant" => Some(Column::Tenant.into_expr()),
        _ => None,
    };
    let visible = database::visible(visible.condition(), &Column::UserId.into_expr(), &column);
    let mut query = Entity::find()
        .filter(visible.ok_or_else(Fault::internal)?)
        .filter(Column::Status.eq(Status::Active));
    if let Some(after) = page.after {
        query = query.filter(Column::UserId.gt(after));
    }
    let rows = query.order_by_asc(Column::UserId).limit(page.size + 1).all(db).await?;
    rows.into_iter().map(Profile::try_from).collect()
}

/// Makes the empty profile of a new account. False: it was there already, or
/// was removed already.
pub async fn create(
    db: &impl ConnectionTrait,
    user: UserId,
    tenant: &Tenant,
    now: Timestamp,
) -> Result<bool, Error> {
    let row = ActiveModel {
        user_id: Set(user.as_uuid()),
        tenant: Set(tenant.to_string()),
        version: Set(1),
        status: Set(Status::Active),
        create_time: Set(now.as_micros()),
        update_time: Set(now.as_micros()),
        last_active_time: Set(None),
        ..columns_of(&Fields::default())?
    };
    let once = OnConflict::column(Column::UserId).do_nothing().to_owned();
    let rows = Entity::insert(row).on_conflict(once).exec_without_returning(db).await?;
    Ok(rows > 0)
}

/// Leaves nothing of a profile but its id, whether it was there or not. False:
/// that was so already.
pub async fn erase(db: &impl ConnectionTrait, user: UserId, now: Timestamp) -> Result<bool, Error> {
    let row = ActiveModel {
        user_id: Set(user.as_uuid()),
        tenant: Set(Tenant::default().to_string()),
        version: Set(0),
        status: Set(Status::Deleted),
        create_time: Set(now.as_micros()),
        update_time: Set(now.as_micros()),
        last_active_time: Set(None),
        ..columns_of(&Fields::default())?
    };
    // One statement, whoever is first: a creation that comes meanwhile finds this row.
    let mut over = OnConflict::column(Column::UserId);
    let stays = |column: &Column| matches!(column, Column::UserId | Column::Tenant);
    over.update_columns(Column::iter().filter(|column| !stays(column)));
    over.action_and_where(Expr::col((Entity, Column::Status)).ne(Status::Deleted));
    let rows = Entity::insert(row).on_conflict(over).exec_without_returning(db).await?;
    Ok(rows > 0)
}

/// Moves the last activity forward, never back, so that events may come in any
/// order. A removed profile stays as it is. False: there is no such profile.
pub async fn touch(
    db: &impl ConnectionTrait,
    user: UserId,
    time: Timestamp,
) -> Result<bool, Error> {
    let time = time.as_micros();
    let earlier = Column::LastActiveTime.is_null().or(Column::LastActiveTime.lt(time));
    let latest = Expr::case(earlier, time).finally(Expr::col(Column::LastActiveTime));
    let kept = Column::Status.eq(Status::Deleted);
    let latest = Expr::case(kept, Expr::col(Column::LastActiveTime)).finally(latest);
    let done = Entity::update_many()
        .col_expr(Column::LastActiveTime, latest.into())
        .filter(Column::UserId.eq(user.as_uuid()))
        .exec(db)
        .await?;
    Ok(done.rows_affected > 0)
}

/// The tenant of a profile, also of a removed one; for the policies, which
/// decide on it.
pub async fn tenant(db: &impl ConnectionTrait, user: UserId) -> Result<Option<String>, Error> {
    let tenant = Entity::find_by_id(user.as_uuid()).select_only().column(Column::Tenant);
    Ok(tenant.into_tuple().one(db).await?)
}

/// The profile of a person, if it was not removed.
fn living(user: UserId) -> Select<Entity> {
    Entity::find_by_id(user.as_uuid()).filter(Column::Status.eq(Status::Active))
}

fn columns_of(fields: &Fields) -> Result<ActiveModel, Error> {
    let text = |field| Set(fields.text(field).to_owned());
    Ok(ActiveModel {
        display_name: text(TextField::DisplayName),
        given_name: text(TextField::GivenName),
        family_name: text(TextField::FamilyName),
        bio: text(TextField::Bio),
        avatar_uri: text(TextField::AvatarUri),
        locale: text(TextField::Locale),
        time_zone: text(TextField::TimeZone),
        metadata: Set(serde_json::to_string(&fields.metadata).map_err(Error::Metadata)?),
        ..ActiveModel::default()
    })
}

impl TryFrom<Model> for Profile {
    type Error = Error;

    fn try_from(row: Model) -> Result<Self, Error> {
        let mut fields = Fields {
            metadata: serde_json::from_str(&row.metadata).map_err(Error::Metadata)?,
            ..Fields::default()
        };
        fields.set(TextField::DisplayName, row.display_name);
        fields.set(TextField::GivenName, row.given_name);
        fields.set(TextField::FamilyName, row.family_name);
        fields.set(TextField::Bio, row.bio);
        fields.set(TextField::AvatarUri, row.avatar_uri);
        fields.set(TextField::Locale, row.locale);
        fields.set(TextField::TimeZone, row.time_zone);
        Ok(Self {
            user: row.user_id.into(),
            fields,
            version: row.version,
            status: row.status,
            create_time: Timestamp::from_micros(row.create_time),
            update_time: Timestamp::from_micros(row.update_time),
            last_active_time: row.last_active_time.map(Timestamp::from_micros),
        })
    }
}
