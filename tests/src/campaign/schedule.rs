//! What is done to the system: one thing after another.

use super::{
    Harm, SCHEDULE,
    act::{Act, Told},
    fleet::Fleet,
    history::History,
};
use crate::{Weather, dice::Dice};

/// What an operator does to publish everything again.
const REPLAY: [&str; 4] = ["events", "replay", "--since", "1d"];

/// Draws the next thing and does it; but for a clock, it is over when this returns.
pub(super) async fn next(dice: &mut Dice, fleet: &mut Fleet, history: &History) {
    // At another moment of the load each time; this waits for nothing.
    tokio::time::sleep(dice.millis(0, 150)).await;
    let act = Act::draw(dice, fleet);
    history.note(SCHEDULE, Told(act, fleet));
    match act {
        Act::Kill { member, down } => {
            fleet.kill(member).await;
            tokio::time::sleep(down).await;
            fleet.start(member).await;
        }
        Act::KillTwice { member, after } => {
            fleet.kill(member).await;
            fleet.start_and_kill(member, after).await;
            fleet.start(member).await;
        }
        Act::KillBackend { number } => fleet.kill_backend(number).await,
        Act::Stop { member, span } => {
            fleet.freeze(member).await;
            tokio::time::sleep(span).await;
            fleet.thaw(member).await;
        }
        Act::Wire { wire, weather, span } => {
            fleet.set(wire, weather);
            tokio::time::sleep(span).await;
            fleet.set(wire, Weather::Clear);
        }
        Act::Reset { wire } => fleet.reset(wire),
        Act::Restart => in_order(history, fleet.restart().await),
        Act::RestartOne { member } => in_order(history, fleet.restart_one(member).await),
        Act::Clock { member, seconds } => {
            in_order(history, fleet.set_clock(member, seconds).await);
        }
        Act::FillDisk { broker, span } => {
            let brokers = broker.map_or_else(|| fleet.brokers(), |broker| vec![broker]);
            brokers.iter().for_each(|&broker| fleet.fill_disk(broker));
            tokio::time::sleep(span).await;
            brokers.iter().for_each(|&broker| fleet.free_disk(broker));
            // A broker that found no room has turned its streams off.
            for broker in brokers {
                in_order(history, fleet.restart_one(broker).await);
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
        Act::LoseNode { member, down } => {
            fleet.kill(member).await;
            fleet.lose_store(member);
            tokio::time::sleep(down).await;
            fleet.start(member).await;
            // Who touches another one before is no single fault any more.
            fleet.has_caught_up(member).await;
        }
    }
    history.note(SCHEDULE, "over");
}

fn in_order(history: &History, unruly: Vec<String>) {
    for name in unruly {
        history.find(Harm::Wronged, &name, "does not end in good order");
    }
}

fn operated(history: &History, done: Result<String, String>) {
    match done {
        Ok(said) => history.note(SCHEDULE, said),
        Err(said) => history.find(Harm::Wronged, SCHEDULE, said),
    }
}
