//! What is done to the system: one thing after another, drawn from the seed.

use std::time::Duration;

use super::{Harm, SCHEDULE, fleet::Fleet, history::History};
use crate::{Weather, dice::Dice};

/// What an operator does to publish everything again.
const REPLAY: [&str; 4] = ["events", "replay", "--since", "1d"];

/// One thing that happens to the system, and passes.
#[derive(Clone, Copy, Debug)]
enum Act {
    /// kill -9, and a new start.
    Kill { member: usize },
    /// The same, and another kill in the midst of the start.
    KillTwice { member: usize, after: Duration },
    /// The process stands still, as on a machine that swaps, and goes on.
    Stop { member: usize, span: Duration },
    /// A wire has a fault for a while.
    Wire { wire: usize, weather: Weather, span: Duration },
    /// All connections of a wire break.
    Reset { wire: usize },
    /// Every process ends in good order and starts again.
    Restart,
    /// An operator publishes everything again.
    Replay,
    /// All brokers forget everything; an operator refills the stream.
    LoseStream,
    /// One broker of several forgets everything, and gets it from the others.
    LoseNode { member: usize },
}

impl Act {
    fn draw(dice: &mut Dice, fleet: &Fleet) -> Self {
        let member = dice.below(fleet.members());
        let wire = dice.below(fleet.wires());
        let brokers = fleet.brokers();
        if !brokers.is_empty() && dice.below(20) == 0 {
            return match brokers.as_slice() {
                [_] => Self::LoseStream,
                several if dice.below(3) > 0 => Self::LoseNode { member: *dice.pick(several) },
                _ => Self::LoseStream,
            };
        }
        match dice.below(20) {
            0..6 => Self::Kill { member },
            6..8 => Self::KillTwice { member, after: dice.millis(0, 60) },
            8..11 => Self::Stop { member, span: dice.millis(20, 600) },
            11 => {
                let weather = Weather::Slow(dice.millis(1, 20));
                Self::Wire { wire, weather, span: dice.millis(20, 500) }
            }
            12 | 13 => Self::Wire { wire, weather: Weather::Cut, span: dice.millis(20, 800) },
            14 => Self::Wire { wire, weather: Weather::Refusing, span: dice.millis(20, 300) },
            15..18 => Self::Reset { wire },
            18 => Self::Restart,
            _ => Self::Replay,
        }
    }

    fn tell(self, fleet: &Fleet) -> String {
        match self {
            Self::Kill { member } => format!("kill {}", fleet.member_name(member)),
            Self::KillTwice { member, after } => {
                format!("kill {}, and again {after:?} after its start", fleet.member_name(member))
            }
            Self::Stop { member, span } => {
                format!("stop {} for {span:?}", fleet.member_name(member))
            }
            Self::Wire { wire, weather, span } => {
                format!("wire to {}: {weather:?} for {span:?}", fleet.wire_name(wire))
            }
            Self::Reset { wire } => format!("wire to {}: reset", fleet.wire_name(wire)),
            Self::Restart => "restart everything".to_owned(),
            Self::Replay => "replay all events".to_owned(),
            Self::LoseStream => "delete the whole store of all brokers, and replay".to_owned(),
            Self::LoseNode { member } => {
                format!("delete the store of {}", fleet.member_name(member))
            }
        }
    }
}

/// Draws the next thing and does it; it is over when this returns.
pub(super) async fn next(dice: &mut Dice, fleet: &mut Fleet, history: &History) {
    // At another moment of the load each time; this waits for nothing.
    tokio::time::sleep(dice.millis(0, 150)).await;
    let act = Act::draw(dice, fleet);
    history.note(SCHEDULE, act.tell(fleet));
    match act {
        Act::Kill { member } => {
            fleet.kill(member).await;
            fleet.start(member).await;
        }
        Act::KillTwice { member, after } => {
            fleet.kill(member).await;
            fleet.start_and_kill(member, after).await;
            fleet.start(member).await;
        }
        Act::Stop { member, span } => {
            fleet.signal(member, "STOP").await;
            tokio::time::sleep(span).await;
            fleet.signal(member, "CONT").await;
        }
        Act::Wire { wire, weather, span } => {
            fleet.set(wire, weather);
            tokio::time::sleep(span).await;
            fleet.set(wire, Weather::Clear);
        }
        Act::Reset { wire } => fleet.reset(wire),
        Act::Restart => {
            for name in fleet.restart().await {
                history.find(Harm::Wronged, &name, "does not end in good order");
            }
        }
        Act::Replay => operated(history, fleet.operate(&REPLAY).await),
        Act::LoseStream => {
            let brokers = fleet.brokers();
            for &broker in &brokers {
                fleet.kill(broker).await;
            }
            for broker in brokers {
                fleet.lose_store(broker);
                fleet.start(broker).await;
            }
            operated(history, fleet.operate(&REPLAY).await);
        }
        Act::LoseNode { member } => {
            fleet.kill(member).await;
            fleet.lose_store(member);
            fleet.start(member).await;
        }
    }
    history.note(SCHEDULE, "over");
}

fn operated(history: &History, done: Result<String, String>) {
    match done {
        Ok(said) => history.note(SCHEDULE, said),
        Err(said) => history.find(Harm::Wronged, SCHEDULE, said),
    }
}
