//! The crash campaign: a load of whole flows through real sockets, while one
//! thing after another happens to the processes; then everything that was
//! acknowledged is looked for.
//!
//! [`Campaign::run`] is all there is to call. What happens is drawn from the
//! seed; how it interleaves with the load is the machine's.

mod act;
mod books;
mod caller;
mod check;
mod fleet;
mod history;
mod record;
mod schedule;
mod visitor;

use std::{
    fmt,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::future::{join, join_all};
use tokio_util::sync::CancellationToken;

use crate::dice::Dice;
use caller::{Caller, Doors, LONGEST};
use fleet::Fleet;
use history::History;
use record::Record;

pub use fleet::Layout;
pub use history::Harm;

/// How the history calls what is done to the system.
const SCHEDULE: &str = "schedule";
/// People who are at it at the same time.
const VISITORS: u64 = 8;
/// Rounds until all is looked for.
const EPOCH: u32 = 20;
/// Operations that must be answered after each round: the system works again.
const SIGNS_OF_LIFE: u64 = 4;

/// What a campaign is about.
#[derive(Clone, Copy, Debug)]
pub struct Campaign {
    /// How the system is spread over processes.
    pub layout: Layout,
    /// How many things happen to the system.
    pub rounds: u32,
    /// What is drawn from it is the same each time.
    pub seed: u64,
}

/// What came of a campaign.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// How many things happened to the system before it was looked at for the last time.
    rounds: u32,
    acknowledged: u64,
    harms: Vec<Harm>,
    /// The findings with their history; empty where there are none.
    pub report: String,
}

impl Campaign {
    /// Does it all; `progress` hears a line now and then. The whole history goes
    /// to a file in `folder`.
    ///
    /// # Panics
    /// The system does not start, or the history cannot be written.
    pub async fn run(self, folder: &Path, mut progress: impl FnMut(String)) -> Verdict {
        let started = Instant::now();
        let history = Arc::new(History::new());
        let mut fleet = Fleet::start_all(self.layout).await;
        let doors = fleet.doors();
        let mut dice = Dice::new(self.seed);
        let mut all = Vec::new();
        let (mut round, mut epoch) = (0, 0);
        while round < self.rounds && !history.is_marred() {
            let rounds = EPOCH.min(self.rounds - round);
            let enough = CancellationToken::new();
            let faults = async {
                for _ in 0..rounds {
                    if history.is_marred() {
                        break;
                    }
                    schedule::next(&mut dice, &mut fleet, &history).await;
                    answers_again(&history).await;
                    round += 1;
                }
                enough.cancel();
            };
            let load = load(epoch, self.seed, &doors, &history, &enough);
            let (records, ()) = join(load, faults).await;
            epoch += 1;

            let ledger = fleet.ledger().await;
            books::settle(&ledger, &history).await;
            check::people(&records, &doors, self.seed, &history).await;
            books::settle(&ledger, &history).await;
            all.extend(records);
            books::audit(&ledger, &all, &history).await;
            ledger.close().await;
            let done = history.acknowledged();
            let seconds = started.elapsed().as_secs();
            let people = all.len();
            progress(format!("round {round}: {people} people, {done} operations, {seconds} s"));
        }
        if let Err(said) = fleet.operate(&["audit", "verify"]).await {
            history.find(Harm::Lost, SCHEDULE, said);
        }
        self.judge(round, &history, &fleet.said(), folder)
    }

    fn judge(self, done: u32, history: &History, said: &str, folder: &Path) -> Verdict {
        let harms: Vec<_> = history.findings().iter().map(|finding| finding.harm).collect();
        let kept = history.keep(folder, self.seed, said).expect("the history can be written");
        let mut report = String::new();
        if !harms.is_empty() {
            let Self { layout, rounds, seed } = self;
            report = history.report();
            report.push_str(&format!(
                "\nseed {seed}, {rounds} rounds, {layout}; the whole history is in {}, and beside \
                 it what the processes said",
                kept.display()
            ));
        }
        Verdict { rounds: done, acknowledged: history.acknowledged(), harms, report }
    }
}

/// Waits until operations are answered again.
async fn answers_again(history: &History) {
    let enough = history.acknowledged() + SIGNS_OF_LIFE;
    let deadline = Instant::now() + LONGEST;
    while history.acknowledged() < enough {
        if Instant::now() > deadline {
            history.find(Harm::Stuck, SCHEDULE, "nothing is answered any more");
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// People who come and go until it is enough; then everybody comes to an end,
/// which takes a system that works.
async fn load(
    epoch: u64,
    seed: u64,
    doors: &Doors,
    history: &Arc<History>,
    enough: &CancellationToken,
) -> Vec<Record> {
    let visitors = (0..VISITORS).map(|visitor| async move {
        let dice = Dice::of_player(seed, epoch * VISITORS + visitor);
        let name = format!("visitor-{epoch}-{visitor}");
        let mut caller = Caller::new(name.clone(), doors, dice, Arc::clone(history));
        let mut records = Vec::new();
        while !enough.is_cancelled() {
            let name = format!("{name}-{}", records.len());
            records.push(visitor::live(&mut caller, name).await);
        }
        records
    });
    join_all(visitors).await.into_iter().flatten().collect()
}

impl Verdict {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.harms.is_empty()
    }

    /// How many operations were acknowledged.
    #[must_use]
    pub const fn acknowledged(&self) -> u64 {
        self.acknowledged
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |harm| self.harms.iter().filter(|found| **found == harm).count();
        let (lost, doubled) = (count(Harm::Lost), count(Harm::Doubled));
        let (wronged, stuck) = (count(Harm::Wronged), count(Harm::Stuck));
        let (rounds, done) = (self.rounds, self.acknowledged);
        write!(
            f,
            "{rounds} rounds, {done} operations acknowledged, {lost} lost, {doubled} doubled"
        )?;
        if wronged + stuck > 0 {
            write!(f, ", {wronged} wronged, {stuck} stuck")?;
        }
        Ok(())
    }
}
