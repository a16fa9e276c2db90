//! What can happen to the system, drawn from the seed.

use std::{fmt, time::Duration};

use super::fleet::Fleet;
use crate::{Weather, dice::Dice};

/// How far a clock is off, in seconds.
const OFF: [i64; 3] = [-30, 30, 0];

/// One thing that happens to the system.
#[derive(Clone, Copy, Debug)]
pub(super) enum Act {
    /// kill -9, and a new start after a while.
    Kill { member: usize, down: Duration },
    /// The same, and another kill in the midst of the start.
    KillTwice { member: usize, after: Duration },
    /// kill -9 of one of the processes of the database that serve connections.
    KillBackend { number: usize },
    /// The process stands still, as on a machine that swaps, and goes on.
    Stop { member: usize, span: Duration },
    /// A wire has a fault for a while.
    Wire { wire: usize, weather: Weather, span: Duration },
    /// All connections of a wire break.
    Reset { wire: usize },
    /// Every process ends in good order and starts again.
    Restart,
    /// One process does.
    RestartOne { member: usize },
    /// A process starts anew with a clock that is off, until this happens again.
    Clock { member: usize, seconds: i64 },
    /// The disk of a broker, or of all, is full for a while; an operator makes
    /// room, and restarts what a broker gives up by then.
    FillDisk { broker: Option<usize>, span: Duration },
    /// An operator publishes everything again.
    Replay,
    /// All brokers forget everything; an operator refills the stream.
    LoseStream,
    /// One broker of several is gone for a while, forgets everything, and gets
    /// it from the others.
    LoseNode { member: usize, down: Duration },
}

/// An act, and the names of those whom it meets.
pub(super) struct Told<'a>(pub Act, pub &'a Fleet);

impl Act {
    /// The next thing that happens.
    pub(super) fn draw(dice: &mut Dice, fleet: &Fleet) -> Self {
        // What needs engines of their own comes behind what every layout has.
        let acts = if fleet.brokers().is_empty() { 32 } else { 48 };
        let member = dice.below(fleet.members());
        let wire = dice.below(fleet.wires());
        match dice.below(acts) {
            0..8 => Self::Kill { member, down: down(dice) },
            8..11 => Self::KillTwice { member, after: dice.millis(0, 60) },
            11..16 => Self::Stop { member, span: span(dice, 600) },
            16..18 => {
                let weather = Weather::Slow(dice.millis(1, 20));
                Self::Wire { wire, weather, span: dice.millis(20, 500) }
            }
            18..22 => Self::Wire { wire, weather: Weather::Cut, span: span(dice, 800) },
            22..24 => Self::Wire { wire, weather: Weather::Refusing, span: dice.millis(20, 300) },
            24..29 => Self::Reset { wire },
            29 => Self::RestartOne { member },
            30 => Self::Restart,
            31 => Self::Replay,
            32..36 => Self::KillBackend { number: dice.below(1000) },
            36..39 => Self::RestartOne { member: *dice.pick(&fleet.brokers()) },
            39..42 => {
                let member = *dice.pick(&fleet.clocks());
                Self::Clock { member, seconds: *dice.pick(&OFF) }
            }
            42..45 => {
                let brokers = fleet.brokers();
                let one = brokers.len() > 1 && dice.below(3) > 0;
                let broker = one.then(|| *dice.pick(&brokers));
                Self::FillDisk { broker, span: dice.millis(100, 1500) }
            }
            _ => match fleet.brokers().as_slice() {
                [_, _, ..] if dice.below(3) > 0 => {
                    Self::LoseNode { member: *dice.pick(&fleet.brokers()), down: down(dice) }
                }
                _ => Self::LoseStream,
            },
        }
    }
}

/// How long something lasts: now and then for longer than anybody waits who
/// must not wait for ever, such as for a claim, a ping or a lease.
fn span(dice: &mut Dice, most: usize) -> Duration {
    if dice.below(12) == 0 { dice.millis(5_000, 8_000) } else { dice.millis(20, most) }
}

/// How long something that was killed is away: mostly for no time at all.
fn down(dice: &mut Dice) -> Duration {
    if dice.below(4) == 0 { dice.millis(100, 2_000) } else { Duration::ZERO }
}

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(act, fleet) = *self;
        let name = |member| fleet.member_name(member);
        match act {
            Act::Kill { member, down } => write!(f, "kill {} for {down:?}", name(member)),
            Act::KillTwice { member, after } => {
                write!(f, "kill {}, and again {after:?} after its start", name(member))
            }
            Act::KillBackend { number } => write!(f, "kill process {number} of the database"),
            Act::Stop { member, span } => write!(f, "stop {} for {span:?}", name(member)),
            Act::Wire { wire, weather, span } => {
                write!(f, "wire {}: {weather:?} for {span:?}", fleet.wire_name(wire))
            }
            Act::Reset { wire } => write!(f, "wire {}: reset", fleet.wire_name(wire)),
            Act::Restart => f.write_str("restart everything"),
            Act::RestartOne { member } => write!(f, "restart {}", name(member)),
            Act::Clock { member, seconds } => {
                write!(f, "clock of {}: {seconds:+} s", name(member))
            }
            Act::FillDisk { broker, span } => {
                let whose = broker.map_or("every broker", name);
                write!(f, "disk of {whose}: full for {span:?}")
            }
            Act::Replay => f.write_str("replay all events"),
            Act::LoseStream => f.write_str("delete the whole store of all brokers, and replay"),
            Act::LoseNode { member, down } => {
                write!(f, "delete the store of {}, gone for {down:?}", name(member))
            }
        }
    }
}
