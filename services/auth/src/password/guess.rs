//! How many guesses a password would stand, as an attacker with a list of
//! words would count: the cheapest way to spell it with pieces.
//!
//! The whole password is judged, never a word in it: a common word costs
//! little, and what stands around it counts in full.

use std::collections::HashSet;

use super::words::{self, Words};

/// Bits for a password to stand per character, up to fifteen characters: 36
/// bits for a password of the default length, which at one Argon2id of 20 ms
/// is forty years of one core.
const NEEDED_PER_CHARACTER: f64 = 2.4;

/// One of the few hundred common words.
const COMMON_WORD: f64 = 9.0;
/// A word that is tried for this person at this service first of all.
const CONTEXT_WORD: f64 = 3.0;
/// Something that stood in the password before.
const REPETITION: f64 = 3.0;
/// `abcdef`, `98765`: a start, a direction, a length.
const SEQUENCE: f64 = 6.0;
/// A walk along the keys: a row, a direction, a start, a length.
const WALK: f64 = 6.0;

const SHORTEST_WORD: usize = 3;
const LONGEST_WORD: usize = 32;
const SHORTEST_SEQUENCE: usize = 3;
const SHORTEST_WALK: usize = 4;

/// Keys that lie side by side, on the usual keyboards.
const ROWS: [&str; 11] = [
    "1234567890",
    "qwertyuiop",
    "asdfghjkl",
    "zxcvbnm",
    "qwertzuiop",
    "yxcvbnm",
    "azertyuiop",
    "qsdfghjklm",
    "wxcvbn",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p",
    "1q2w3e4r5t6y7u8i9o0p",
];

/// Counts guesses with the words that everybody and this person would use.
pub(super) struct Guesser<'a> {
    /// The block list and the words of the service.
    pub(super) words: &'a Words,
    /// The words of the person's address.
    pub(super) own: &'a HashSet<u64>,
}

/// The bits that a password of `length` characters has to reach.
pub(super) fn needed(length: usize) -> f64 {
    let counted = u32::try_from(length.clamp(8, 15)).unwrap_or(15);
    NEEDED_PER_CHARACTER * f64::from(counted)
}

impl Guesser<'_> {
    /// The bits of the cheapest spelling of a folded password.
    pub(super) fn bits(&self, text: &[char]) -> f64 {
        let repeated = repetitions(text);
        let skeleton = words::skeleton(text);
        let mut best = vec![f64::INFINITY; text.len() + 1];
        if let Some(start) = best.first_mut() {
            *start = 0.0;
        }
        for (start, &repeat) in repeated.iter().enumerate() {
            let (Some(rest), Some(&so_far)) = (text.get(start..), best.get(start)) else { break };
            let mut offer = |length: usize, cost: f64| {
                if let Some(known) = best.get_mut(start + length) {
                    *known = known.min(so_far + cost);
                }
            };
            rest.first().into_iter().for_each(|c| offer(1, character(*c)));
            (1..=repeat).for_each(|length| offer(length, REPETITION));
            let sequence = sequence(rest);
            (SHORTEST_SEQUENCE..=sequence).for_each(|length| offer(length, SEQUENCE));
            let walk = walk(rest);
            (SHORTEST_WALK..=walk).for_each(|length| offer(length, WALK));
            for length in SHORTEST_WORD..=LONGEST_WORD {
                let Some(piece) = skeleton.get(start..start + length) else { break };
                if self.words.is_context(piece, self.own) {
                    offer(length, CONTEXT_WORD);
                } else if self.words.is_common(piece) {
                    offer(length, COMMON_WORD);
                }
            }
        }
        best.last().copied().unwrap_or(0.0)
    }
}

/// The bits of a character that belongs to nothing known.
fn character(c: char) -> f64 {
    match c {
        '0'..='9' => 3.3,
        'a'..='z' => 4.7,
        ' '..='~' => 5.0,
        _ => 6.0,
    }
}

/// For each place the length of the longest piece from there on that began
/// before; pieces may overlap, so `aaaa` is an `a` and a repetition.
fn repetitions(text: &[char]) -> Vec<usize> {
    let mut longest = vec![0; text.len()];
    // common[later]: how far the texts from `earlier` and from `later` agree.
    let mut common = vec![0_usize; text.len() + 1];
    for (earlier, a) in text.iter().enumerate().rev() {
        // Ascending, so that common[later + 1] still belongs to `earlier + 1`.
        for (later, b) in text.iter().enumerate().skip(earlier + 1) {
            let agreed = if a == b { 1 + common.get(later + 1).copied().unwrap_or(0) } else { 0 };
            if let (Some(slot), Some(known)) = (common.get_mut(later), longest.get_mut(later)) {
                *slot = agreed;
                *known = agreed.max(*known);
            }
        }
    }
    longest
}

/// The length of the run up or down the alphabet or the digits at the start.
fn sequence(text: &[char]) -> usize {
    let step = |pair: &[char]| match pair {
        [a, b] if a.is_ascii_alphanumeric() && b.is_ascii_alphanumeric() => {
            // After the nine comes the nought.
            match (*a, *b) {
                ('9', '0') => Some(1),
                ('0', '9') => Some(-1),
                (a, b) => Some(i64::from(u32::from(b)) - i64::from(u32::from(a))),
            }
        }
        _ => None,
    };
    let mut steps = text.windows(2).map(step);
    match steps.next() {
        Some(Some(first @ (1 | -1))) => 2 + steps.take_while(|step| *step == Some(first)).count(),
        _ => 0,
    }
}

/// The length of the longest walk along the keys at the start.
fn walk(text: &[char]) -> usize {
    let agree = |row: &mut dyn Iterator<Item = char>| {
        row.zip(text).take_while(|(key, c)| key == *c).count()
    };
    let along = |row: &&str| {
        let ahead = (0..row.len()).map(|from| agree(&mut row.chars().skip(from)));
        let back = (0..row.len()).map(|from| agree(&mut row.chars().rev().skip(from)));
        ahead.chain(back).max().unwrap_or(0)
    };
    ROWS.iter().map(along).max().unwrap_or(0)
}
