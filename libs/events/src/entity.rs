//! The tables of this crate, one module each. Times are microseconds.

/// Events that happened here, published or not.
pub(crate) mod outbox {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "outbox")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub kind: String,
        pub source: String,
        pub aggregate: Uuid,
        /// Null where the aggregate is nil: such events have no order.
        pub sequence: Option<i64>,
        pub create_time: i64,
        pub data: Vec<u8>,
        pub published_time: Option<i64>,
        /// When it is due, or its lane.
        pub next_attempt_time: i64,
        pub attempts: i32,
        /// Where the stream has it; null where it went by the bus in memory.
        pub stream_sequence: Option<i64>,
        /// The relay that has the row in hand.
        pub claimant: Option<Uuid>,
        /// When others may take it over.
        pub claim_until: Option<i64>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// The traces of events that are part of one. A table of its own: a column more
/// in the outbox would break the statements that a running version before this
/// one has prepared on PostgreSQL. A row goes with its event.
pub(crate) mod trace {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "outbox_traces")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub event_id: Uuid,
        /// As W3C Trace Context writes it.
        pub traceparent: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// The last sequence given to an aggregate. It outlives the aggregate's rows
/// in the outbox, which are pruned.
pub(crate) mod sequence {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "outbox_sequences")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub aggregate: Uuid,
        pub last: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// What one replica at a time does, and how far it has come.
pub(crate) mod chore {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "event_chores")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub name: String,
        pub holder: Uuid,
        pub lease_until: i64,
        /// The stream that was last compared: when it was made.
        pub stream_created: i64,
        /// The last sequence that it had then.
        pub stream_last: i64,
        /// Up to where outbox and stream were compared: when a row was published,
        pub cursor_time: i64,
        /// and which one of that time.
        pub cursor: Uuid,
        /// What was published before is compared without a wait.
        pub urgent_until: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Events that a consumer has settled: their effect is there, or they are
/// among the dead letters.
pub(crate) mod inbox {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "inbox")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub consumer: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub event_id: Uuid,
        /// When the event was last delivered.
        pub seen_time: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// How often a consumer has failed at an event.
pub(crate) mod attempt {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "attempts")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub consumer: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub event_id: Uuid,
        pub tries: i32,
        pub error: String,
        pub try_time: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Events that a consumer gave up on, whole, until an operator decides.
pub(crate) mod dead_letter {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "dead_letters")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub consumer: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub event_id: Uuid,
        pub kind: String,
        pub source: String,
        pub aggregate: Uuid,
        pub sequence: i64,
        pub create_time: i64,
        pub data: Vec<u8>,
        pub error: String,
        pub tries: i32,
        pub dead_time: i64,
        /// When an operator asked for another delivery.
        pub requeue_time: Option<i64>,
        /// The trace that the event is part of.
        pub traceparent: Option<String>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}
