//! Which requests two sets of policies decide differently.

use super::{
    Answer, Desk, Question,
    draw::{Draw, Words},
};
use crate::Error;

/// Where drawing begins: the same requests each time.
const SEED: u64 = 0x636f_756e_7465_7273;

/// What a comparison has found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// What was asked, by RPC.
    pub coverage: Vec<Coverage>,
    /// The requests that are decided differently.
    pub differences: Vec<Difference>,
}

/// How much of what there is to ask about an RPC was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coverage {
    /// The RPC.
    pub rpc: String,
    /// Requests that were asked.
    pub asked: u64,
    /// Requests that can be made up.
    pub total: u64,
}

/// A request that is decided differently.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The request.
    pub question: Question,
    /// What the old policies say.
    pub old: Answer,
    /// What the new ones say.
    pub new: Answer,
}

impl Desk {
    /// Compares with other policies over the same schema: on requests made up
    /// from every RPC × role × id × value of an attribute that a policy on
    /// either side speaks of. Where an RPC has more than `limit` of them, `limit`
    /// are drawn, the same each time.
    ///
    /// # Errors
    /// [`Error::Question`]: the schemas are not the same.
    pub fn compare(&self, new: &Self, limit: u64) -> Result<Comparison, Error> {
        let (mut coverage, mut differences) = (Vec::new(), Vec::new());
        for rpc in self.rpcs() {
            let action = self.action(&rpc)?;
            let words = Words::of(self, action).and(Words::of(new, action));
            let Some(draw) = Draw::new(self, action, &words) else { continue };
            let total = draw.total();
            for number in numbers(total, limit) {
                let question = draw.question(number);
                differences.extend(self.difference(new, question)?);
            }
            coverage.push(Coverage { rpc, asked: total.min(limit), total });
        }
        Ok(Comparison { coverage, differences })
    }

    /// Whether other policies decide a request differently. Other policies that
    /// lead to the same decision are no difference.
    ///
    /// # Errors
    /// [`Error::Question`]: the schema knows no such request.
    pub fn difference(&self, new: &Self, question: Question) -> Result<Option<Difference>, Error> {
        let (old, new) = (self.answer(&question)?, new.answer(&question)?);
        let said = |answer: &Answer| (answer.allowed, answer.step_up.clone());
        let is_same = said(&old) == said(&new) && old.errors == new.errors;
        Ok(if is_same { None } else { Some(Difference { question, old, new }) })
    }
}

/// All numbers below `total`, or `limit` of them that lie everywhere.
fn numbers(total: u64, limit: u64) -> Box<dyn Iterator<Item = u64>> {
    if total <= limit {
        return Box::new(0..total);
    }
    let mut state = SEED;
    // SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators).
    Box::new((0..limit).map(move |_| {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % total
    }))
}
