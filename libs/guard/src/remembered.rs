//! Permits that were given to the holder of a token, kept with the token:
//! whoever asks the very same again is not decided on again.
//!
//! A decision is a function of its question and of the caller, and of nothing
//! else; the caller is the token's. So a permit holds for as long as the same is
//! asked, and there is nothing that could make it stale. Whether the token holds
//! is asked before, each time, and what the service says of the resource is part
//! of the question. Denials are not kept: they are rare, and always recorded.

use std::{borrow::Cow, collections::VecDeque, sync::Arc};

use parking_lot::Mutex;

use crate::{Attributes, PeerCertificate, decision::Case, policies::Policies, principal::Unusable};

/// Permits that are kept of one token: the oldest makes room.
const KEPT: usize = 8;
/// Octets of a question that is kept, so that a token takes 4 KiB at the most.
const OCTETS_MAX: usize = 512;

/// The last permits of one token.
#[derive(Default)]
pub(crate) struct Remembered(Mutex<VecDeque<Kept>>);

struct Kept {
    question: Question<'static>,
    policies: Arc<[String]>,
}

/// All that a decision on one caller depends on.
#[derive(PartialEq, Eq)]
pub(crate) struct Question<'a> {
    /// The policies of one RPC in one generation: they stand for its action and
    /// its type of resource as well.
    policies: u64,
    /// In whole seconds, where a policy reads it.
    session_age: Option<i64>,
    id: Cow<'a, str>,
    /// Where a policy reads them.
    attributes: Option<Cow<'a, Attributes>>,
    /// Whose certificate the connection has, where a policy reads it.
    peer: Option<PeerCertificate>,
}

impl<'a> Question<'a> {
    /// What the policies are asked in a case.
    pub(crate) fn of(case: &Case<'a>, policies: &Policies) -> Result<Self, Unusable> {
        // Whatever a case comes to hold, a question has to say something about it.
        let Case { gate: _, principal, id, attributes, peer, now } = *case;
        Ok(Self {
            policies: policies.number(),
            session_age: match policies.read_session_age() {
                true => Some(principal.session_age(now)?),
                false => None,
            },
            id: Cow::Borrowed(id),
            attributes: attributes.map(Cow::Borrowed),
            peer: peer.filter(|_| policies.read_context()).cloned(),
        })
    }

    fn octets(&self) -> usize {
        let names = self.peer.iter().flat_map(|peer| peer.names.iter());
        self.id.len()
            + self.attributes.as_ref().map_or(0, |held| held.octets())
            + names.map(String::len).sum::<usize>()
    }

    fn into_owned(self) -> Question<'static> {
        Question {
            id: Cow::Owned(self.id.into_owned()),
            attributes: self.attributes.map(|held| Cow::Owned(held.into_owned())),
            ..self
        }
    }
}

impl Remembered {
    /// The `@id`s of the policies that have permitted this before.
    pub(crate) fn policies(&self, question: &Question<'_>) -> Option<Arc<[String]>> {
        let kept = self.0.lock();
        let same = kept.iter().rev().find(|kept| kept.question == *question);
        same.map(|kept| Arc::clone(&kept.policies))
    }

    /// Keeps a permit.
    pub(crate) fn keep(&self, question: Question<'_>, policies: &Arc<[String]>) {
        if question.octets() > OCTETS_MAX {
            return;
        }
        let permit = Kept { question: question.into_owned(), policies: Arc::clone(policies) };
        let mut kept = self.0.lock();
        if kept.len() >= KEPT {
            kept.pop_front();
        }
        kept.push_back(permit);
    }
}
