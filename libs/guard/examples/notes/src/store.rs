//! The notes, in memory.

use std::{collections::HashMap, sync::Arc};

use countersign_guard::{Attributes, Permit, Resolver, Value};
use countersign_types::{Fault, UserId};
use futures::future::BoxFuture;
use parking_lot::RwLock;
use tokio::sync::watch;
use uuid::Uuid;

/// All notes. Clones are the same.
#[derive(Clone, Default)]
pub struct Notes(Arc<RwLock<HashMap<String, Note>>>);

struct Note {
    owner: UserId,
    tenant: String,
    shared: bool,
    text: watch::Sender<String>,
}

impl Notes {
    pub fn write(&self, owner: UserId, tenant: String, shared: bool, text: String) -> String {
        let id = Uuid::now_v7().to_string();
        let note = Note { owner, tenant, shared, text: watch::Sender::new(text) };
        self.0.write().insert(id.clone(), note);
        id
    }

    /// The text of the note that the permit is for, now and from now on. Only a
    /// call that was permitted has one.
    pub fn text(&self, permit: &Permit) -> Option<watch::Receiver<String>> {
        self.0.read().get(permit.resource_id()).map(|note| note.text.subscribe())
    }

    pub fn append(&self, permit: &Permit, line: &str) {
        if let Some(note) = self.0.read().get(permit.resource_id()) {
            note.text.send_modify(|text| *text = format!("{text}\n{line}"));
        }
    }
}

impl Resolver for Notes {
    fn resolve<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Option<Attributes>, Fault>> {
        let attributes = self.0.read().get(id).map(|note| {
            Attributes::owner(note.owner)
                .set("tenant", Value::String(note.tenant.clone()))
                .set("shared", Value::Bool(note.shared))
        });
        Box::pin(async move { Ok(attributes) })
    }
}
