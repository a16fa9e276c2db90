//! The tables of this crate. Times are microseconds.

/// Marks and secrets, by name.
pub(crate) mod mark {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "vault")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub name: String,
        pub value: Vec<u8>,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// The data key of each person, for a service to join to its own rows.
pub mod data_key {
    use sea_orm::entity::prelude::*;

    /// The one key of a person. Where it is gone, what it sealed is gone.
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "data_keys")]
    pub struct Model {
        /// Whose key it is.
        #[sea_orm(primary_key, auto_increment = false)]
        pub user_id: Uuid,
        /// Counted from 1; a rotation makes the next one.
        pub version: i64,
        /// Sealed with a master key.
        pub sealed: Vec<u8>,
        /// When this version was made.
        pub create_time: i64,
    }

    /// A key knows no more than an id.
    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}
