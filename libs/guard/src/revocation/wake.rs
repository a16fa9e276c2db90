//! Who waits to hear that a session or an account is revoked: open streams.
//!
//! Only those that a revocation concerns are woken, so that it costs the same
//! however many streams are open. There is an entry for as long as there is a
//! stream for it, and not longer.

use std::{collections::HashMap, sync::Arc};

use countersign_types::{SessionId, UserId};
use parking_lot::Mutex;
use tokio::sync::watch;

/// What is waited for.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Subject {
    Session(SessionId),
    Account(UserId),
}

/// All who wait.
#[derive(Clone, Default)]
pub(super) struct Wakes(Arc<Mutex<HashMap<Subject, Arc<watch::Sender<()>>>>>);

/// One who waits, until it is dropped.
pub(crate) struct Wake {
    wakes: Wakes,
    session: (Subject, Arc<watch::Sender<()>>),
    account: (Subject, Arc<watch::Sender<()>>),
}

/// Hears of what happens after it was made.
pub(crate) struct Ear {
    session: watch::Receiver<()>,
    account: watch::Receiver<()>,
}

impl Wakes {
    pub(super) fn wait_for(&self, session: SessionId, account: UserId) -> Wake {
        let mut held = self.0.lock();
        let mut one = |subject| (subject, Arc::clone(held.entry(subject).or_default()));
        let session = one(Subject::Session(session));
        let account = one(Subject::Account(account));
        drop(held);
        Wake { wakes: self.clone(), session, account }
    }

    pub(super) fn wake(&self, subject: Subject) {
        let concerned = self.0.lock().get(&subject).cloned();
        if let Some(concerned) = concerned {
            concerned.send_replace(());
        }
    }

    pub(super) fn len(&self) -> usize {
        self.0.lock().len()
    }
}

impl Wake {
    pub(crate) fn listen(&self) -> Ear {
        Ear { session: self.session.1.subscribe(), account: self.account.1.subscribe() }
    }
}

impl Drop for Wake {
    fn drop(&mut self) {
        let mut held = self.wakes.0.lock();
        for (subject, sender) in [&self.session, &self.account] {
            // The map's own, and this one.
            if Arc::strong_count(sender) <= 2 {
                held.remove(subject);
            }
        }
    }
}

impl Ear {
    /// Something was revoked that may concern the stream.
    pub(crate) async fn heard(&mut self) {
        // The senders live as long as the `Wake` that this was made from.
        let _ = tokio::select! {
            heard = self.session.changed() => heard,
            heard = self.account.changed() => heard,
        };
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn only_those_are_woken_whom_a_revocation_concerns() {
        let (wakes, session, account) =
            (Wakes::default(), SessionId::generate(), UserId::generate());
        let mine = wakes.wait_for(session, account);
        let other = wakes.wait_for(SessionId::generate(), account);
        let (mut my_ear, mut other_ear) = (mine.listen(), other.listen());
        assert!(my_ear.heard().now_or_never().is_none());

        wakes.wake(Subject::Session(session));
        assert!(my_ear.heard().now_or_never().is_some());
        assert!(other_ear.heard().now_or_never().is_none());

        wakes.wake(Subject::Account(account));
        assert!(my_ear.heard().now_or_never().is_some());
        assert!(other_ear.heard().now_or_never().is_some());
        assert!(other_ear.heard().now_or_never().is_none(), "it was heard already");
    }

    #[test]
    fn an_entry_goes_with_the_last_who_waits() {
        let (wakes, session, account) =
            (Wakes::default(), SessionId::generate(), UserId::generate());
        let first = wakes.wait_for(session, account);
        let second = wakes.wait_for(session, account);
        assert_eq!(wakes.len(), 2);
        drop(first);
        assert_eq!(wakes.len(), 2);
        let mut ear = second.listen();
        wakes.wake(Subject::Session(session));
        assert!(ear.heard().now_or_never().is_some());
        drop(second);
        assert_eq!(wakes.len(), 0);
    }
}
