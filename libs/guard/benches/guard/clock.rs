//! Times things in turn, so that a busy machine slows them all alike.

use std::time::Instant;

const ROUNDS: usize = 21;

/// Microseconds that each takes, the median of rounds of `count`.
pub fn in_turn<const N: usize>(count: u32, mut things: [&mut dyn FnMut(); N]) -> [f64; N] {
    let mut rounds: [Vec<f64>; N] = std::array::from_fn(|_| Vec::new());
    for _ in 0..ROUNDS {
        for (thing, taken) in things.iter_mut().zip(&mut rounds) {
            let began = Instant::now();
            (0..count).for_each(|_| thing());
            taken.push(began.elapsed().as_secs_f64() * 1e6 / f64::from(count));
        }
    }
    rounds.map(median)
}

pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap()
}
