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
mod upgrade;
mod visitor;

use std::{
    fmt,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::future::{join, join_all};
use tokio_util::sync::CancellationToken;

use crate::{Edition, dice::Dice};
use caller::{Caller, Doors, LONGEST, Manners};
use fleet::Fleet;
use history::History;
use record::Record;

pub use fleet::Layout;
pub use history::Harm;
pub use upgrade::Upgrade;

/// How the history calls what is done to the system.
const SCHEDULE: &str = "schedule";
/// People who are at it at the same time.
const VISITORS: u64 = 8;
/// Rounds until all is looked for.
const EPOCH: u32 = 20;
/// Rounds that one system goes through before a new one takes its place: what
/// it keeps, and publishes again at each replay, does not grow for ever.
const SYSTEM: u32 = 200;
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

/// How far a campaign has come.
struct Course {
    seed: u64,
    dice: Dice,
    history: Arc<History>,
    start: Instant,
    round: u32,
    epoch: u64,
    people: usize,
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
        let mut course = Course {
            seed: self.seed,
            dice: Dice::new(self.seed),
            history: Arc::new(History::new()),
            start: Instant::now(),
            round: 0,
            epoch: 0,
            people: 0,
        };
        let mut said = String::new();
        while course.round < self.rounds && !course.history.is_marred() {
            let mut fleet = Fleet::start_all(self.layout, Edition::Current).await;
            let last = self.rounds.min(course.round + SYSTEM);
            course.run(&mut fleet, last, &mut progress).await;
            said = fleet.said();
        }
        let Self { layout, rounds, seed } = self;
        let name = format!("seed {seed}, {rounds} rounds, {layout}");
        let mut verdict = Verdict::of(&name, seed, &course.history, &said, folder);
        verdict.rounds = course.round;
        verdict
    }
}

impl Course {
    /// Goes on with this system up to this round.
    async fn run(&mut self, fleet: &mut Fleet, last: u32, progress: &mut impl FnMut(String)) {
        let doors = fleet.doors();
        let history = Arc::clone(&self.history);
        let mut all = Vec::new();
        while self.round < last && !history.is_marred() {
            let records = self.epoch(fleet, &doors, last).await;
            self.epoch += 1;
            self.people += records.len();

            look_for(records, &mut all, fleet, self.seed, &history).await;
            let Self { round, people, start, .. } = self;
            let (done, seconds) = (history.acknowledged(), start.elapsed().as_secs());
            progress(format!("round {round}: {people} people, {done} operations, {seconds} s"));
        }
        if let Err(said) = fleet.operate(&["audit", "verify"]).await {
            history.find(Harm::Lost, SCHEDULE, said);
        }
    }

    /// Some rounds under load; returns who was there, and what they were told.
    async fn epoch(&mut self, fleet: &mut Fleet, doors: &Doors, last: u32) -> Vec<Record> {
        let rounds = EPOCH.min(last - self.round);
        let history = Arc::clone(&self.history);
        let enough = CancellationToken::new();
        let load = load(self.epoch, self.seed, Manners::Stubborn, doors, &history, &enough);
        let faults = async {
            for _ in 0..rounds {
                if history.is_marred() {
                    break;
                }
                schedule::next(&mut self.dice, fleet, &history).await;
                answers_again(&history).await;
                self.round += 1;
            }
            enough.cancel();
        };
        join(load, faults).await.0
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
    manners: Manners,
    doors: &Doors,
    history: &Arc<History>,
    enough: &CancellationToken,
) -> Vec<Record> {
    let visitors = (0..VISITORS).map(|visitor| async move {
        let dice = Dice::of_player(seed, epoch * VISITORS + visitor);
        let name = format!("visitor-{epoch}-{visitor}");
        let mut caller = Caller::new(name.clone(), doors, dice, Arc::clone(history)).with(manners);
        let mut records = Vec::new();
        while !enough.is_cancelled() {
            let name = format!("{name}-{}", records.len());
            records.push(visitor::live(&mut caller, name).await);
        }
        records
    });
    join_all(visitors).await.into_iter().flatten().collect()
}

/// Looks for everything that was promised to these people, and to those before.
async fn look_for(
    records: Vec<Record>,
    all: &mut Vec<Record>,
    fleet: &Fleet,
    seed: u64,
    history: &Arc<History>,
) {
    let ledger = fleet.ledger().await;
    books::settle(&ledger, history).await;
    check::people(&records, &fleet.doors(), seed, history).await;
    books::settle(&ledger, history).await;
    all.extend(records);
    books::audit(&ledger, all, history).await;
    ledger.close().await;
}

impl Verdict {
    /// What `history` comes to. It is kept in `folder`, and beside it what the
    /// processes said.
    fn of(name: &str, seed: u64, history: &History, said: &str, folder: &Path) -> Self {
        let harms: Vec<_> = history.findings().iter().map(|finding| finding.harm).collect();
        let kept = history.keep(folder, seed, said).expect("the history can be written");
        let mut report = String::new();
        if !harms.is_empty() {
            report = history.report();
            report.push_str(&format!(
                "\n{name}; the whole history is in {}, and beside it what the processes said",
                kept.display()
            ));
        }
        Self { rounds: 0, acknowledged: history.acknowledged(), harms, report }
    }

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
