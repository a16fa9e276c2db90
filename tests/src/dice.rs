//! Numbers that look random and are the same for the same seed.

use std::time::Duration;

/// A sequence of numbers (SplitMix64): good enough to choose with, and nothing else.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// The sequence of this seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Another sequence, that of the `number`th who plays.
    #[must_use]
    pub const fn of_player(seed: u64, number: u64) -> Self {
        Self(seed ^ (number + 1).wrapping_mul(0xd134_2543_de82_ef95))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from 0 on, below `limit`; 0 where that is 0.
    pub fn below(&mut self, limit: usize) -> usize {
        let limit = u64::try_from(limit).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.next() % limit).unwrap_or(0)
    }

    /// One of these.
    ///
    /// # Panics
    /// There is none.
    pub fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len())]
    }

    /// A time from `least` on, below `most`, in milliseconds.
    pub fn millis(&mut self, least: usize, most: usize) -> Duration {
        let millis = least + self.below(most.saturating_sub(least));
        Duration::from_millis(u64::try_from(millis).unwrap_or(0))
    }
}
