//! Ends calls that wait for a database which is away: a refusal now, with a time
//! to come back, is worth more than one at the end of the caller's time. It also
//! keeps those calls from filling the places of calls that need no database.

use std::{collections::BTreeMap, pin::pin, sync::Arc, time::Duration};

use countersign_contracts::status;
use tokio::time::timeout;

use super::{
    stage::{Request, Response, Stage},
    tail::refusal,
};
use crate::{
    Part,
    database::{Presence, away},
};

/// What is answered from memory is answered within this time.
const GRACE: Duration = Duration::from_millis(50);

/// Where each service keeps its data.
pub(super) type Keeps = BTreeMap<&'static str, Presence>;

pub(super) struct Storage<S> {
    next: S,
    keeps: Arc<Keeps>,
}

impl<S> Storage<S> {
    pub(super) const fn new(next: S, keeps: Arc<Keeps>) -> Self {
        Self { next, keeps }
    }
}

impl<S: Stage> Stage for Storage<S> {
    async fn handle(&self, request: Request) -> Response {
        let service = request.uri().path().split('/').nth(1);
        let Some(presence) = service.and_then(|service| self.keeps.get(service)) else {
            return self.next.handle(request).await;
        };
        let mut answer = pin!(self.next.handle(request));
        tokio::select! {
            biased;
            response = &mut answer => return response,
            () = presence.lost() => {}
        }
        match timeout(GRACE, answer).await {
            Ok(response) => response,
            Err(_) => refusal(status(away())),
        }
    }
}

/// Where the services of these parts keep their data.
pub(super) fn keeps(parts: &[Part]) -> Arc<Keeps> {
    let kept = parts.iter().filter_map(|part| Some((&part.services, part.storage.as_ref()?)));
    let keeps = kept.flat_map(|(services, presence)| {
        services.iter().map(|service| (*service, presence.clone()))
    });
    Arc::new(keeps.collect())
}
