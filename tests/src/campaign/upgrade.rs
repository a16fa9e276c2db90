//! A rolling upgrade under load: the former release is replaced, one process
//! after another, while clients call that give up as soon as
//! `docs/retries.md` lets them.

use std::{path::Path, sync::Arc};

use futures::future::join;
use tokio_util::sync::CancellationToken;

use super::{
    Layout, SCHEDULE, Verdict, answers_again,
    caller::Manners,
    fleet::Fleet,
    history::{Harm, History},
    load, look_for,
};
use crate::Edition;

/// An upgrade of two replicas of each service.
#[derive(Clone, Copy, Debug)]
pub struct Upgrade {
    /// What is drawn from it is the same each time.
    pub seed: u64,
}

impl Upgrade {
    /// Does it: migrates under the former release, replaces one process of each
    /// service, goes back with one, and replaces them all; then seals what the former
    /// release had in the clear. Between two steps both releases serve beside each other.
    ///
    /// # Panics
    /// The system does not start, or the history cannot be written.
    pub async fn run(self, folder: &Path) -> Verdict {
        let history = Arc::new(History::new());
        let mut fleet = Fleet::start_all(Layout::Split, Edition::Former).await;
        let doors = fleet.doors();
        let enough = CancellationToken::new();
        let load = load(0, self.seed, Manners::Documented, &doors, &history, &enough);
        let steps = async {
            answers_again(&history).await;
            // While the former release uses the tables.
            operate(&fleet, &["migrate"], &history).await;
            answers_again(&history).await;
            let servers = fleet.servers();
            for &member in servers.iter().step_by(2) {
                replace(&mut fleet, member, Edition::Current, &history).await;
            }
            for &member in servers.iter().step_by(2) {
                replace(&mut fleet, member, Edition::Former, &history).await;
            }
            for &member in &servers {
                replace(&mut fleet, member, Edition::Current, &history).await;
            }
            // Not before no former server is left.
            for _ in 0..2 {
                operate(&fleet, &["keys", "seal-data"], &history).await;
                answers_again(&history).await;
            }
            enough.cancel();
        };
        let (records, ()) = join(load, steps).await;
        look_for(records, &mut Vec::new(), &fleet, self.seed, &history).await;
        let name = format!("an upgrade, seed {}", self.seed);
        Verdict::of(&name, self.seed, &history, &fleet.said(), folder)
    }
}

/// Has an operator do something while clients call.
async fn operate(fleet: &Fleet, command: &[&str], history: &History) {
    history.note(SCHEDULE, command.join(" "));
    match fleet.operate(command).await {
        Ok(said) => history.note(SCHEDULE, said),
        Err(said) => history.find(Harm::Wronged, SCHEDULE, said),
    }
}

async fn replace(fleet: &mut Fleet, member: usize, edition: Edition, history: &History) {
    let name = fleet.member_name(member).to_owned();
    history.note(SCHEDULE, format_args!("{name} becomes {edition:?}"));
    if !fleet.replace(member, edition).await {
        history.find(Harm::Wronged, &name, "does not end in good order");
    }
    answers_again(history).await;
}
