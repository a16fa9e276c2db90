//! The row of a profile.

use std::fmt;

use countersign_vault::data_key;
use sea_orm::entity::prelude::*;

/// One person's profile.
#[derive(Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "profiles")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: Uuid,
    pub display_name: String,
    pub given_name: String,
    pub family_name: String,
    pub bio: String,
    pub avatar_uri: String,
    pub locale: String,
    pub time_zone: String,
    /// A JSON object of texts, its keys in order.
    pub metadata: String,
    pub version: i64,
    pub status: Status,
    pub create_time: i64,
    pub update_time: i64,
    pub last_active_time: Option<i64>,
    pub tenant: String,
    // The fields again, sealed; those above are blank then.
    pub display_name_sealed: Option<Vec<u8>>,
    pub given_name_sealed: Option<Vec<u8>>,
    pub family_name_sealed: Option<Vec<u8>>,
    pub bio_sealed: Option<Vec<u8>>,
    pub avatar_uri_sealed: Option<Vec<u8>>,
    pub locale_sealed: Option<Vec<u8>>,
    pub time_zone_sealed: Option<Vec<u8>>,
    pub metadata_sealed: Option<Vec<u8>>,
}

/// Where a profile stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text")]
pub enum Status {
    /// It can be read and changed.
    #[sea_orm(string_value = "active")]
    Active,
    /// Its account is deleted: the row holds nothing but the id, and keeps a
    /// late `UserCreated` from making the profile once more.
    #[sea_orm(string_value = "deleted")]
    Deleted,
}

/// What is joined to a profile.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {
    /// The data key of the person.
    #[sea_orm(
        belongs_to = "data_key::Entity",
        from = "Column::UserId",
        to = "data_key::Column::UserId"
    )]
    DataKey,
}

impl Related<data_key::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::DataKey.def()
    }
}

impl ActiveModelBehavior for ActiveModel {}

// A profile is personal data: only its id may show.
impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Model").field("user_id", &self.user_id).finish_non_exhaustive()
    }
}
